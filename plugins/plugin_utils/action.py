# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The action of the modules whose messages name a role's variables. Private to the collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.plugins.action.normal import ActionModule as Normal

from ansible_collections.esus.pec.plugins.plugin_utils.variables import names, with_variables

_TEXTS = ("msg", "reason", "notes", "warnings")


class ActionModule(Normal):  # type: ignore[misc]  # Ansible has no types
    """Runs the module as Ansible does, and changes the texts of its result."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        task = self._task.get_ds() or {}
        given = task.get(self._task.action)
        variables = names(given) if isinstance(given, Mapping) else {}
        message = result.get("msg")
        for name in _TEXTS:
            value = result.get(name)
            if isinstance(value, str):
                result[name] = with_variables(value, variables)
            elif isinstance(value, list):
                result[name] = [with_variables(each, variables) if isinstance(each, str) else each for each in value]
        if result.get("msg") != message:
            result.pop("exception", None)  # it has the message once more; Ansible makes another one from the new message
        return result
