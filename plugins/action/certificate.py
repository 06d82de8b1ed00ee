# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The part of esus.pec.certificate that runs on the controller: it reads src there, also encrypted with ansible-vault."""

from __future__ import annotations

import base64
import os
from typing import Any

from ansible.errors import AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.esus.pec.plugins.plugin_utils import action


class ActionModule(action.ActionModule):
    """Passes the content of the file to the module, so that no copy of a private key is made on the way."""

    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        arguments = dict(self._task.args)
        source = arguments.get("src")
        here = bool(source) and not arguments.get("content") and not boolean(arguments.get("remote_src") or False, strict=False)
        if here and arguments.get("state", "present") == "present":
            arguments["name"] = arguments.get("name") or os.path.basename(str(source))
            try:
                arguments["content"] = self._read(str(source))
            except AnsibleError as error:
                return {"failed": True, "msg": f"{self.variables(task_vars).get('src', 'src')}: {error}"}
            del arguments["src"]
            self._task.args = arguments
        return super().run(tmp, task_vars)

    def _read(self, source: str) -> str:
        """Return the file as base64. If ansible-vault encrypted it, a decrypted copy for this user alone exists meanwhile."""
        real = self._loader.get_real_file(self.file_here(source))
        try:
            with open(real, "rb") as stream:
                return base64.b64encode(stream.read()).decode("ascii")
        except OSError as error:
            raise AnsibleError(f"{source}: {error.strerror}") from None
        finally:
            self._loader.cleanup_tmp_file(real)
