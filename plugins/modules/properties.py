#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: properties
short_description: Set and remove keys of a Java properties file
description:
  - Sets keys of a C(.properties) file, such as C(application.properties) of e-SUS PEC, and removes others.
  - Everything else stays as it is, byte for byte, including comments, order, separators, continued lines, line ends, a missing line end at
    the end of the file, and the encoding.
  - Values are compared as Java reads them, so a value that is written differently but means the same is left alone. Characters beyond
    ASCII are written as C(\uXXXX), which readers of Latin-1 and of UTF-8 understand alike.
  - Of a repeated key Java uses the last line. Setting the key changes that line and removes the others; removing it removes all.
  - Spring, which PEC is built with, takes a line C(#---) as the start of another document. Here it is a comment like any other.
  - Values that look like a mistake are rejected, because Java would take the mistake literally.
  - A key that is invisible to Java because of a byte order mark is reported. A file with text in UTF-16 or UTF-32 is rejected.
  - Two runs as root that change the same file wait for each other.
version_added: 0.1.0
author: ["esus.pec contributors (@esus-pec)"]
options:
  path:
    description: The file.
    type: path
    required: true
  values:
    description:
      - Keys and their values. A boolean becomes V(true) or V(false), a number its digits.
      - The values of keys that contain C(password), C(senha), C(secret), C(token) or the like are not shown.
    type: dict
    default: {}
  absent:
    description: Keys to remove.
    type: list
    elements: str
    default: []
  verbatim:
    description:
      - Accept values that look like a mistake. Those begin or end with a blank, contain a line end, contain a blank followed by C(#) or
        C(!), which looks like a comment, contain a C(\uXXXX), or contain C(${...}), which Spring replaces by another setting.
    type: bool
    default: false
  create:
    description: Create a missing file with mode 0600. Its directory must exist.
    type: bool
    default: false
  backup:
    description: Keep the old file in the same directory, with date and time in its name. It contains the same secrets.
    type: bool
    default: false
attributes:
  check_mode:
    description: Can run in check mode and predict the change. A missing file then counts as empty, with a warning.
    support: full
  diff_mode:
    description: Shows the pairs that change, without secret values.
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

- name: Return to the default port
  esus.pec.properties:
    path: /opt/e-SUS/webserver/config/application.properties
    absent: [server.port]
  become: true
"""

RETURN = r"""
path: {description: The file., returned: success, type: str, sample: /opt/e-SUS/webserver/config/application.properties}
set:
  description: Keys with a new value, in the order of O(values).
  returned: success
  type: list
  elements: str
  sample: [server.port]
removed:
  description: Keys that were removed.
  returned: success
  type: list
  elements: str
  sample: []
backup_file:
  description: Path of the old file.
  returned: when O(backup=true) and the file was changed
  type: str
  sample: /opt/e-SUS/webserver/config/application.properties.4711.2026-11-22@10:00:00~
"""

from typing import Any

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.module import UNQUOTED, PecModule, Result, diff, run_module
from ansible_collections.esus.pec.plugins.module_utils.properties import editing, planning
from ansible_collections.esus.pec.plugins.module_utils.redact import looks_secret

ARGUMENTS = {
    "path": {"type": "path", "required": True},
    "values": {"type": "dict", "default": {}},
    "absent": {"type": "list", "elements": "str", "default": []},
    "verbatim": {"type": "bool", "default": False},
    "create": {"type": "bool", "default": False},
    "backup": {"type": "bool", "default": False},
}


def as_text(key: str, value: object) -> str:
    """Return a value as text; YAML makes booleans and numbers of some. Raises PecError if that changed a secret."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and looks_secret(key.rpartition(".")[2]):
        raise PecError(f"the value of {key} {UNQUOTED}")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int)):
        return str(value)
    remedy = "to remove the key, name it in absent" if value is None else "give a text, in quotes"
    kind = {dict: "a mapping", list: "a list", float: "a number with a fraction"}.get(value.__class__, "empty")
    raise PecError(f"the value of {key} is {kind}; {remedy}")


def desired_from(params: dict[str, Any]) -> planning.Desired:
    """Return what to set and remove. Raises PecError with every problem of the options."""
    values = {str(key): as_text(str(key), value) for key, value in params["values"].items()}
    problems = [problem for key in (*values, *params["absent"]) for problem in editing.key_problems(key)]
    problems += [f"{key} is in values and in absent; leave it in one of them" for key in params["absent"] if key in values]
    if not params["verbatim"]:
        problems += [problem for key, value in values.items() for problem in editing.value_problems(key, value)]
    if problems:
        hint = "" if params["verbatim"] else " (verbatim: true accepts values as they are)"
        raise PecError("\n".join([f"{params['path']} was not changed{hint}:", *problems]))
    return planning.Desired(values, tuple(params["absent"]))


def hide_secrets(module: PecModule) -> None:
    """Keep secret values out of everything that Ansible shows, which includes the module's own arguments."""
    for key, value in module.params["values"].items():
        if isinstance(value, (str, int)) and not isinstance(value, bool) and str(value) and looks_secret(str(key), str(value)):
            module.no_log_values.add(str(value))


def bring(module: PecModule) -> Result:
    params = module.params
    desired = desired_from(params)
    with planning.alone(params["path"], check_mode=module.check_mode):
        return change(module, params["path"], desired)


def change(module: PecModule, path: str, desired: planning.Desired) -> Result:
    params, warnings = module.params, []
    current = planning.read_current(path)
    if current is None and desired.values and not params["create"]:
        if not module.check_mode:
            raise PecError(f"{path} does not exist; check the path, or set create: true")
        warnings.append(f"{path} does not exist yet; without check mode this would fail")
    todo = planning.plan(current, desired)
    written = {}
    if todo.changed and not module.check_mode:
        written = planning.apply(path, todo, backup=params["backup"])
    warnings += planning.warnings(path, current)
    odd = [key for key in editing.mistakes(todo.text) if key not in desired.values]
    warnings += [f"{path}: the value of {key} looks like a mistake, such as a blank or a comment at its end; correct it" for key in odd]
    return {
        "changed": todo.changed,
        "path": path,
        "set": list(todo.set),
        "removed": list(todo.removed),
        "diff": diff(path, todo.before, todo.after),
        "warnings": warnings,
        **written,
    }


def run(module: PecModule) -> Result:
    hide_secrets(module)
    try:
        return bring(module)
    except PecError as error:
        path = module.params["path"]
        raise PecError(str(error) if path in str(error) else f"{path}: {error}") from None


def main() -> None:
    run_module(run, argument_spec=ARGUMENTS, root=False)


if __name__ == "__main__":
    main()
