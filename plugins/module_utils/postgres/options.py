# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of modules that work on a database. Private to the collection."""

from __future__ import annotations

from typing import Any

DATABASE: dict[str, Any] = {
    "type": "dict",
    "options": {
        "host": {"type": "str", "default": "127.0.0.1"},
        "port": {"type": "int", "default": 5432},
        "name": {"type": "str", "default": "esus"},
        "username": {"type": "str", "default": "esus"},
        "password": {"type": "str", "default": "", "no_log": True},
        "sslmode": {"type": "str", "choices": ["disable", "prefer", "require", "verify-ca", "verify-full"], "default": "prefer"},
        "sslrootcert": {"type": "str", "default": ""},
    },
}
"""The option C(database), documented in the fragment esus.pec.database. psql.connection_from reads it."""

ADMIN: dict[str, Any] = {
    "type": "dict",
    "options": {
        "username": {"type": "str", "default": "postgres"},
        "password": {"type": "str", "required": True, "no_log": True},
    },
}
"""The option C(admin): a superuser's login."""
