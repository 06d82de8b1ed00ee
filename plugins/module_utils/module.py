# SPDX-License-Identifier: GPL-3.0-or-later
"""The one piece of Ansible among the module utilities, because three modules need the same answer to the same leak."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule

# The option database of modules that work on one.
DATABASE_OPTIONS = {
    "host": {"type": "str", "default": "127.0.0.1"},
    "port": {"type": "int", "default": 5432},
    "name": {"type": "str", "default": "esus"},
    "username": {"type": "str", "default": "esus"},
    "password": {"type": "str", "default": "", "no_log": True},
}


class QuietModule(AnsibleModule):  # type: ignore[misc]  # Ansible has no types
    """A module that keeps its arguments out of the host's journal.

    Ansible writes a dictionary there as Python text and then looks for the secrets in it; one that holds a backslash or both kinds
    of quotes is written with escapes, and so not found.
    """

    def _log_invocation(self) -> None:
        pass
