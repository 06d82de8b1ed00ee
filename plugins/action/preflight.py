# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The part of esus.pec.preflight that runs on the controller: it looks at an installer there, once for all servers."""

from __future__ import annotations

from typing import Any

from ansible import constants
from ansible.errors import AnsibleError

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.installer import jar
from ansible_collections.esus.pec.plugins.plugin_utils import action
from ansible_collections.esus.pec.plugins.plugin_utils.once import once


class ActionModule(action.ActionModule):
    """Gives the module what is wrong with the installer, so that it is reported with everything else."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        given = self._task.args
        if given.get("jar_file"):
            found = self._problem(str(given["jar_file"]), str(given.get("version") or ""), str(given.get("jar_sha256") or ""))
            self._task.args = {**given, "jar_problem": found}
        return super().run(tmp, task_vars)

    def variables(self, task_vars: dict[str, Any] | None) -> dict[str, str]:
        found = super().variables(task_vars)
        return {**found, **({"sha256": found["jar_sha256"]} if "jar_sha256" in found else {})}

    def _problem(self, source: str, version: str, sha256: str) -> str:
        try:
            path = self.file_here(source)
            return once(constants.DEFAULT_LOCAL_TMP, [path, version, sha256], lambda: _look(path, version, sha256))
        except AnsibleError as error:
            return str(error)


def _look(path: str, version: str, sha256: str) -> str:
    try:
        jar.inspect(path, version=version, sha256=sha256, ours=False)
    except PecError as error:
        return str(error)
    return ""
