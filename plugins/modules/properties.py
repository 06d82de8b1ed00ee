#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: properties
short_description: Set and remove pairs of a Java properties file
description:
  - Sets keys of a C(.properties) file, such as C(application.properties) of e-SUS PEC, and removes others.
  - What is not asked for stays as it was, byte for byte. That is comments, order, separators, lines that continue, line ends, a line end
    that is missing at the very end, and the encoding.
  - Values are compared as Java reads them, so that one that is written otherwise, but means the same, is left alone. Characters beyond
    ASCII are written as C(\uXXXX), which readers of Latin-1 and of UTF-8 understand alike.
  - Of a key that stands there several times Java takes the last. Setting it changes that one and removes the others; removing it
    removes all.
  - Spring, which PEC is made with, takes a line C(#---) for the start of another document. Here it is a comment like any other.
  - Values that look like a mistake are refused, because Java would take the mistake literally.
version_added: 0.1.0
author: ["esus.pec contributors (@esus-pec)"]
options:
  path:
    description: The file.
    type: path
    required: true
  values:
    description:
      - Keys and the values that they are to have. A boolean becomes V(true) or V(false), a number its digits.
      - Of keys that hold C(password), C(senha), C(secret), C(token) or the like, no value is shown.
    type: dict
    default: {}
  absent:
    description: Keys that are to be gone.
    type: list
    elements: str
    default: []
  verbatim:
    description:
      - Take the values as they are, even if they look like a mistake. Those are values with blanks around them, with line ends in them,
        with a blank followed by C(#) or C(!), which looks like a comment, or with a C(\uXXXX).
    type: bool
    default: false
  create:
    description: Whether the file is made, of mode 0600, when there is none. Its directory must exist.
    type: bool
    default: false
  backup:
    description: Whether the old file is kept beside the new one, under a name with date and time. It holds the secrets that the file held.
    type: bool
    default: false
attributes:
  check_mode:
    description: Can run in check mode and predict the change. There, a file that is missing counts as empty, with a warning.
    support: full
  diff_mode:
    description: Shows the pairs that change, without secret values.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
extends_documentation_fragment:
  - esus.pec.attributes
seealso:
  - module: esus.pec.govbr_oauth
"""

EXAMPLES = r"""
- name: Serve HTTPS with a keystore of our own
  esus.pec.properties:
    path: /opt/e-SUS/webserver/config/application.properties
    values:
      server.port: 443
      server.ssl.key-store: config/esusaps.p12
      server.ssl.key-store-type: PKCS12
      server.ssl.key-store-password: "{{ vault_keystore_password }}"
      security.require-ssl: true
    backup: true
  become: true

- name: Go back to the default port
  esus.pec.properties:
    path: /opt/e-SUS/webserver/config/application.properties
    absent: [server.port]
  become: true
"""

RETURN = r"""
path: {description: The file., returned: success, type: str, sample: /opt/e-SUS/webserver/config/application.properties}
set:
  description: Keys whose values changed or are new, in the order in which they were asked for.
  returned: success
  type: list
  elements: str
  sample: [server.port]
removed:
  description: Keys that are gone.
  returned: success
  type: list
  elements: str
  sample: []
backup_file:
  description: Where the old file is.
  returned: when O(backup=true) and the file was changed
  type: str
  sample: /opt/e-SUS/webserver/config/application.properties.4711.2026-11-22@10:00:00~
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.module import QuietModule
from ansible_collections.esus.pec.plugins.module_utils.properties import editing
from ansible_collections.esus.pec.plugins.module_utils.properties.planning import Desired, plan
from ansible_collections.esus.pec.plugins.module_utils.system import files

ARGUMENTS = {
    "path": {"type": "path", "required": True},
    "values": {"type": "dict", "default": {}},
    "absent": {"type": "list", "elements": "str", "default": []},
    "verbatim": {"type": "bool", "default": False},
    "create": {"type": "bool", "default": False},
    "backup": {"type": "bool", "default": False},
}


def as_text(key: str, value: object) -> str:
    """YAML makes booleans and numbers of what a properties file has as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int)):
        return str(value)
    remedy = "to remove it name it in absent" if value is None else "give a text, in quotes"
    kind = {dict: "a mapping", list: "a list", float: "a number with a fraction"}.get(value.__class__, "nothing")
    raise PecError(f"the value of {key} is {kind}; {remedy}")


def desired_from(params: dict[str, Any]) -> Desired:
    """Raises PecError with everything that is wrong with the options."""
    values = {str(key): as_text(str(key), value) for key, value in params["values"].items()}
    problems = [problem for key in (*values, *params["absent"]) for problem in editing.key_problems(key)]
    problems += [f"{key} is in values and in absent; leave it in one of them" for key in params["absent"] if key in values]
    if not params["verbatim"]:
        problems += [problem for key, value in values.items() for problem in editing.value_problems(key, value)]
    if problems:
        meant = "" if params["verbatim"] else " (verbatim: true takes values as they are)"
        raise PecError("\n".join([f"{params['path']} was not changed{meant}:", *problems]))
    return Desired(values, tuple(params["absent"]))


def secrets(values: Mapping[str, object]) -> set[str]:
    """What Ansible must not show of the options either."""
    texts = {str(key): str(value) for key, value in values.items() if isinstance(value, (str, int)) and not isinstance(value, bool)}
    return {value for key, value in texts.items() if value and editing.looks_secret(key, value)}


def main() -> None:
    module = QuietModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    path = module.params["path"]
    module.no_log_values.update(secrets(module.params["values"]))
    backup_file = None
    try:
        desired = desired_from(module.params)
        current = editing.read(path)
        if current is None and desired.values and not module.params["create"]:
            if not module.check_mode:
                raise PecError(f"{path} does not exist; check the path, or set create: true")
            module.warn(f"{path} does not exist yet; it must be there before this runs without check mode")
        todo = plan(current, desired)
        if todo.changed and not module.check_mode:
            backup_file = module.backup_local(path) if module.params["backup"] and current is not None else None
            files.write_atomic(path, editing.encode(todo.text))
        for key in editing.mistakes(todo.text):
            if key not in desired.values:
                module.warn(f"{path}: the value of {key} looks like a mistake (blanks around it, a comment at its end, or the like)")
    except PecError as error:
        module.fail_json(msg=str(error) if str(path) in str(error) else f"{path}: {error}")
    kept = {"backup_file": backup_file} if backup_file else {}
    diff = {"before": todo.before, "after": todo.after, "before_header": path, "after_header": path}
    module.exit_json(changed=todo.changed, path=path, set=list(todo.set), removed=list(todo.removed), diff=diff, **kept)


if __name__ == "__main__":
    main()
