# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The action of every module: what it reports names a role's variables and, in a warning, the server. Private to the collection.

plugins/action has a file for each module, because Ansible finds an action by the module's name. With redirections in meta/runtime.yml it
would take one module's module_defaults for all, and antsibull-docs takes links for redirections.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action.normal import ActionModule as Normal

from ansible_collections.esus.pec.plugins.module_utils.module import INVENTORY_NAME
from ansible_collections.esus.pec.plugins.plugin_utils.variables import names, with_variables

_TEXTS = ("msg", "reason", "notes", "next_step", "message", "remedy", "warnings", "problems")


class ActionModule(Normal):  # type: ignore[misc]  # Ansible has no types
    """Runs the module as Ansible does, and changes the texts of its result."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        # The module begins its warnings with it. Here they cannot be changed: since ansible-core 2.21 the result no longer has them.
        name = {INVENTORY_NAME: str((task_vars or {}).get("inventory_hostname", ""))}
        self._task.environment = [*(self._task.environment or []), name]
        result: dict[str, Any] = super().run(tmp, task_vars)
        self._drop_facts(result)
        variables = self.variables(task_vars)
        message = result.get("msg")
        result = {key: _told(key, value, variables) for key, value in result.items()}
        if result.get("msg") != message:
            result.pop("exception", None)  # it has the message once more; Ansible makes another one from the new message
        return result

    def _drop_facts(self, result: dict[str, Any]) -> None:
        """Keep only what the controller itself found out: no module of the collection has facts, but what answers may be hostile.

        Where a task is delegated, they would be variables of another server, and count more than its inventory.
        """
        given, key = result.pop("ansible_facts", None), getattr(self, "_discovered_interpreter_key", None)
        if given and key:
            result["ansible_facts"] = {key: self._discovered_interpreter}

    def variables(self, task_vars: dict[str, Any] | None) -> dict[str, str]:
        """Return the inventory's variable of each option."""
        given = (self._task.get_ds() or {}).get(self._task.action)
        return names(given, task_vars or {}) if isinstance(given, Mapping) else {}

    def file_here(self, source: str) -> str:
        """Return the path of a file on the controller. Raises AnsibleError when there is none."""
        try:
            return str(self._find_needle("files", source))
        except AnsibleError:
            searched = "Ansible searches beside the playbook; for a file beside the inventory give {{ inventory_dir }}/FILE"
            raise AnsibleError(f"there is no file {source} on the controller; {searched}") from None


def _told(key: str, value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {name: _told(name, each, variables) for name, each in value.items()}
    if isinstance(value, list):
        return [_told(key, each, variables) for each in value]
    return with_variables(value, variables) if isinstance(value, str) and key in _TEXTS else value
