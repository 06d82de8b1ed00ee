# SPDX-License-Identifier: GPL-3.0-or-later
"""What this host sent to PEC last of the fields that nothing reads, such as passwords. Private to the collection."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.esus.pec.plugins.module_utils.api.operations import Operation, Setting
from ansible_collections.esus.pec.plugins.module_utils.system import remembered


@dataclass(frozen=True)
class Sent:
    """The notes in the file C(path) for the PEC whose database C(database) identifies."""

    database: str
    path: str = field(default_factory=lambda: remembered.SENT)

    def holds(self, setting: Setting, fields: Mapping[str, Any]) -> bool:
        """Return True if these fields are what PEC confirmed last."""
        if not setting.unread or not self.database:
            return False
        return remembered.find(self.path, setting.name, _note(setting, fields), self.database) is not None

    def keep(self, setting: Setting, fields: Mapping[str, Any]) -> None:
        """Remember what PEC has confirmed; of a setting that is off, nothing."""
        if setting.unread and fields.get("enabled", True):
            remembered.add(self.path, setting.name, _note(setting, fields), self.database, only=True)
        else:
            self.forget(setting)

    def forget(self, setting: Setting) -> None:
        """Forget it, because PEC may have something else from now on."""
        if setting.unread:
            remembered.forget(self.path, setting.name)


def _note(setting: Setting, fields: Mapping[str, Any]) -> str:
    """The fields and the operation that sent them: a corrected operation may send something else."""
    writer = setting.writer(fields)
    by = [writer.document, writer.variables] if isinstance(writer, Operation) else []
    return json.dumps([by, {key: fields.get(key) for key in setting.unread}], sort_keys=True)
