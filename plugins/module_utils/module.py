# SPDX-License-Identifier: GPL-3.0-or-later
"""The base of every module: a module is its arguments and one function that returns its result. Private to the collection."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Dict

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import signals

Result = Dict[str, Any]

DATABASE: dict[str, Any] = {
    "type": "dict",
    "options": {
        "host": {"type": "str", "default": "127.0.0.1"},
        "port": {"type": "int", "default": 5432},
        "name": {"type": "str", "default": "esus"},
        "username": {"type": "str", "default": "esus"},
        "password": {"type": "str", "default": "", "no_log": True},
    },
}
"""The option C(database), documented in the fragment esus.pec.database. postgres.psql.connection_from reads it."""


def diff(path: str | None, before: str, after: str) -> dict[str, str]:
    """Return the change of one file in the form that Ansible shows with --diff."""
    return {"before": before, "after": after, "before_header": path or "", "after_header": path or ""}


class PecModule(AnsibleModule):  # type: ignore[misc]  # Ansible has no types
    """A module that keeps its arguments out of the host's journal.

    Ansible writes a dictionary there as Python text and then looks for the secrets in it; one that holds a backslash or both kinds
    of quotes is written with escapes, and so not found.
    """

    def _log_invocation(self) -> None:
        pass


def run_module(work: Callable[[PecModule], Mapping[str, Any]], *, root: bool = True, stoppable: bool = False, **arguments: Any) -> None:
    """Parse the arguments, call C(work), and end the module with what it returns.

    The result's "warnings" are shown as warnings. A PecError ends the module as a failure, with the error's facts beside the message.
    root: refuse to run as another account. stoppable: raise signals.Stopped in C(work) when the run is told to end, so that it can undo
    what it began. arguments are AnsibleModule's; check mode is supported unless they say otherwise.
    """
    module = PecModule(**{"supports_check_mode": True, **arguments})
    if stoppable:
        signals.listen()
    try:
        if root and os.geteuid() != 0:
            raise PecError("this module requires root, because only root can read PEC's files; use become: true")
        result = {"changed": False, **work(module)}
    except (PecError, signals.Stopped) as error:
        module.fail_json(msg=str(error), **getattr(error, "facts", {}))
    for warning in result.pop("warnings", ()):
        module.warn(warning)
    module.exit_json(**result)
