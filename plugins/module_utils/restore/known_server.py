# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an administrator's password may be sent. Private to the collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.system import files


def require(params: Mapping[str, Any]) -> None:
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
