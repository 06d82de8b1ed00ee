# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of every module that restores a database, documented in the fragment esus.pec.restoring. Private to the collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.postgres.options import ADMIN, DATABASE
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import connection_from
from ansible_collections.esus.pec.plugins.module_utils.restore.planning import Desired
from ansible_collections.esus.pec.plugins.module_utils.system import files

RESTORING: dict[str, Any] = {
    "database": DATABASE,
    "from_municipality": {"type": "str", "default": ""},
    "admin": ADMIN,
    "admin_account": {"type": "str", "default": "postgres"},
    "replace": {"type": "bool", "default": False},
    "stop_service": {"type": "bool", "default": False},
    "rehearse": {"type": "bool", "default": False},
    "keep_previous": {"type": "bool", "default": True},
    "keep_failed": {"type": "bool", "default": False},
    "allow_older_server": {"type": "bool", "default": False},
    "require_pec": {"type": "bool", "default": True},
    "allow_other_version": {"type": "bool", "default": False},
    "update_jar": {"type": "path"},
    "check_space": {"type": "bool", "default": True},
    "jobs": {"type": "int"},
    "extensions": {
        "type": "list",
        "elements": "str",
        "default": [
            *("btree_gin", "btree_gist", "citext", "fuzzystrmatch", "hstore", "intarray"),
            *("ltree", "pg_trgm", "pgcrypto", "tablefunc", "unaccent", "uuid-ossp"),
        ],
    },
    "without_extensions": {"type": "list", "elements": "str", "default": []},
    "skip_objects": {"type": "list", "elements": "str", "default": []},
    "function_search_path": {"type": "list", "elements": "str", "default": []},
    "encoding": {"type": "str"},
    "locale": {"type": "str"},
}


def desired_from(params: Mapping[str, Any]) -> Desired:
    """Return these options as a restore takes them. Raises PecError for one that no restore can follow."""
    if params["jobs"] is not None and params["jobs"] < 1:
        raise PecError(f"jobs is {params['jobs']}, but at least one is needed; leave it out for one per processor")
    admin = params["admin"]
    lists = ("extensions", "without_extensions", "skip_objects", "function_search_path")
    converted = {
        **{name: tuple(params[name]) for name in lists},
        "admin_login": (admin["username"], admin["password"]) if admin else None,
        "connection": connection_from(params["database"]),
        "from_host": "",
    }
    return Desired(**{**{name: params[name] for name in RESTORING if name not in ("database", "admin")}, **converted})


def require_known_server(params: Mapping[str, Any]) -> None:
    """Refuse to log in as the administrator wherever another account says that the server is: it could work through that login.

    C(params) are a module's, with C(admin) and C(database).
    """
    source = installation.discover().connection_source if params["admin"] and params["database"] is None else None
    found = files.changers(source) if source else []
    if found:
        raise PecError(
            f"nothing logs in as admin where {source} says that the server is, because {found[0]}; give database, too, with the server's "
            "host, port, name, username and password"
        )
