# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of modules that use PEC's API, and the address that answers. Private to the collection."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.esus.pec.plugins.module_utils import brazil
from ansible_collections.esus.pec.plugins.module_utils.api.client import Client, PecUnreachableError, Server
from ansible_collections.esus.pec.plugins.module_utils.api.operations import Catalogue
from ansible_collections.esus.pec.plugins.module_utils.api.session import Account
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.postgres import psql

ARGUMENTS: dict[str, Any] = {
    "url": {"type": "str"},
    "validate_certs": {"type": "bool", "default": True},
    "ca_path": {"type": "path"},
    "operations": {"type": "dict", "default": {}},
}
"""Documented in the fragment esus.pec.api."""

INSTALADOR: dict[str, Any] = {
    "instalador": {
        "type": "dict",
        "required": True,
        "options": {"cpf": {"type": "str", "required": True}, "password": {"type": "str", "required": True, "no_log": True}},
    },
    "force": {"type": "bool", "default": False},
    "timeout": {"type": "int", "default": 60},
    "wait": {"type": "int", "default": 300},
}
"""Documented in the fragment esus.pec.api.instalador."""

_PAUSE = 3.0


def installation_here() -> installation.Installation:
    """Return the installation on this host; only root can see it."""
    return installation.discover() if os.geteuid() == 0 else installation.Installation("absent")


def clients(params: Mapping[str, Any], here: installation.Installation, catalogue: Catalogue, patience: float = 0) -> list[Client]:
    """Return one client for each address. No certificate names an address of this host, so only that of C(url) is checked.

    Raises PecError for options that make no sense.
    """
    given = params["url"]
    problems = brazil.link_problems(given) if given else []
    if params["ca_path"] and not os.path.isfile(params["ca_path"]):
        problems.append(f"ca_path: the file {params['ca_path']} does not exist")
    if problems:
        raise PecError("; ".join(problems))
    ports = () if here.state == "absent" else here.ports
    servers = [
        Server(url, params["timeout"], params["validate_certs"] if given else False, params["ca_path"], here.version or "", ports)
        for url in ((given,) if given else here.urls)
    ]
    return [Client(server, catalogue=catalogue, patience=patience) for server in servers]


def answering(candidates: list[Client], seconds: float) -> tuple[Client, bool]:
    """Return the client of the first address that answers within so many seconds, and True if the first run is over there.

    Raises PecUnreachableError, of the first address, if none answers.
    """
    deadline = time.monotonic() + seconds
    while True:
        failures = []
        for client in candidates:
            try:
                return client, client.first_run_done()
            except PecUnreachableError as error:
                failures.append(error)
        if all(error.final for error in failures) or time.monotonic() + _PAUSE > deadline:
            raise failures[0]
        time.sleep(_PAUSE)


def account(params: Mapping[str, Any], check_mode: bool) -> Account:
    """Return who logs in; in check mode nobody's session is ended. Raises PecError for a CPF or password that cannot be right."""
    problems = brazil.cpf_problems(params["instalador"]["cpf"])
    problems += [] if params["instalador"]["password"] else ["the instalador's password is empty"]
    if problems:
        raise PecError("\n".join(["nothing was sent to PEC, because this login cannot work:", *problems]))
    return Account(brazil.cpf_digits(params["instalador"]["cpf"]), params["instalador"]["password"], params["force"] and not check_mode)


def reach(params: Mapping[str, Any], here: installation.Installation, catalogue: Catalogue, check_mode: bool) -> tuple[Client | None, str]:
    """Return a client that outlasts a restart of PEC; in check mode none, and why, if PEC is not ready for it yet.

    Raises PecError if PEC does not answer, or nobody can log in because its first run is not over.
    """
    if here.state == "absent" and not params["url"]:
        if check_mode:
            return None, "PEC is not installed on this host yet"
        raise PecError("PEC is not installed on this host; install it first")
    client, done = answering(clients(params, here, catalogue), params["wait"])
    if not done:
        if check_mode:
            return None, "PEC has not been through its first run yet"
        raise PecError(f"PEC at {client.server.url} has not been through its first run; do it first (esus.pec.first_run)")
    return Client(client.server, catalogue=catalogue, patience=params["wait"]), ""


def database(here: installation.Installation, client: Client) -> str:
    """Return what identifies PEC's database: nothing if it cannot be reached, PEC's address if this host does not know the database."""
    if here.connection is None:
        return client.server.url
    try:
        return psql.identity(here.connection)
    except PecError:
        return ""
