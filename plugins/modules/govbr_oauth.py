#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: govbr_oauth
short_description: Give PEC its credentials of Gov.br
description:
  - Writes the client id and the client secret that Gov.br sent into PEC's C(application.properties), or removes both.
  - Values that were copied wrongly are rejected, never corrected silently. Those contain a blank, a line end or a quotation mark, are a
    placeholder from an example such as V(ClientID), the whole line of a settings file or an address, or are swapped.
  - Everything else in the file stays as it is, byte for byte. A file with text in UTF-16 or UTF-32 is rejected.
  - PEC reads the file when it starts. The module does not restart it but returns RV(restart_needed); the role P(esus.pec.pec_govbr#role)
    restarts PEC.
  - Returns the addresses to register with Gov.br for the domain, and warns about a domain or a clock that makes the login fail.
version_added: 0.1.0
author: ["esus.pec contributors (@esus-pec)"]
options:
  client_id:
    description: The client id that Gov.br sent. Required with O(state=present).
    type: str
    default: ""
  client_secret:
    description: The client secret that Gov.br sent. Required with O(state=present).
    type: str
    default: ""
  state:
    description: V(present) writes both credentials, V(absent) removes both.
    type: str
    choices: [present, absent]
    default: present
  path:
    description: The file. By default C(webserver/config/application.properties) of the PEC found on the host.
    type: path
  domain:
    description: Name under which people open PEC, such as V(esus.municipio.uf.gov.br), for the addresses to register, in small letters.
    type: str
    default: ""
  reference_time:
    description:
      - The right time in seconds since 1970, to compare this host's clock with. The controller's is V(now(utc=true\).timestamp(\)).
    type: float
  backup:
    description: Keep the old file in the same directory. It contains the password of the database and the old secret.
    type: bool
    default: false
attributes:
  check_mode:
    description: Can run in check mode and predict the change. If PEC is not installed yet, it only warns.
    support: full
  diff_mode:
    description: Shows a client id that is written as a domain name; of another one, and of the secret, only that it changes.
    support: full
extends_documentation_fragment:
  - esus.pec.attributes
seealso:
  - module: esus.pec.properties
  - module: esus.pec.info
"""

EXAMPLES = r"""
- name: Give PEC its credentials of Gov.br
  esus.pec.govbr_oauth:
    client_id: esus.municipio.uf.gov.br
    client_secret: "{{ vault_govbr_client_secret }}"
    domain: esus.municipio.uf.gov.br
    reference_time: "{{ now(utc=true).timestamp() }}"
  become: true
  register: govbr

- name: Show what to register with Gov.br
  ansible.builtin.debug:
    msg: "{{ govbr.redirect_urls + [govbr.logout_url] }}"

- name: Switch off the login with Gov.br
  esus.pec.govbr_oauth:
    state: absent
  become: true
"""

RETURN = r"""
path:
  description: The file. Null in check mode if PEC is not installed yet.
  returned: success
  type: str
  sample: /opt/e-SUS/webserver/config/application.properties
redirect_urls:
  description: Addresses to register with Gov.br, to which it sends people back after the login. Empty without O(domain).
  returned: success
  type: list
  elements: str
  sample: ["https://esus.municipio.uf.gov.br/login/oauth2/code/govbr", "https://esus.municipio.uf.gov.br/oauth2/code/govbr"]
logout_url:
  description: Address to register with Gov.br for the logout. Null without O(domain).
  returned: success
  type: str
  sample: https://esus.municipio.uf.gov.br/logout
restart_needed:
  description: PEC has to be restarted, because this run or an earlier one changed the file since PEC was started.
  returned: success
  type: bool
  sample: true
clock:
  description: This host's clock.
  returned: success
  type: dict
  contains:
    synchronized: {description: systemd reports it as synchronized; null if systemd does not answer., type: bool, sample: true}
    ahead_seconds: {description: Seconds that it is ahead of O(reference_time); null without that., type: float, sample: 0.4}
backup_file:
  description: Path of the old file.
  returned: when O(backup=true) and the file was changed
  type: str
  sample: /opt/e-SUS/webserver/config/application.properties.4711.2026-11-22@10:00:00~
"""

from dataclasses import asdict
from typing import Any

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.module import PecModule, Result, diff, run_module
from ansible_collections.esus.pec.plugins.module_utils.pec import govbr, installation
from ansible_collections.esus.pec.plugins.module_utils.properties import planning
from ansible_collections.esus.pec.plugins.module_utils.redact import looks_secret

KEYS = (beliefs.GOVBR_ID_KEY, beliefs.GOVBR_SECRET_KEY)
ARGUMENTS = {
    "client_id": {"type": "str", "default": ""},
    "client_secret": {"type": "str", "default": "", "no_log": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "path": {"type": "path"},
    "domain": {"type": "str", "default": ""},
    "reference_time": {"type": "float"},
    "backup": {"type": "bool", "default": False},
}


def desired_from(params: dict[str, Any]) -> planning.Desired:
    """Return the pairs to set or to remove. Raises PecError with every problem of the credentials."""
    if params["state"] == "absent":
        return planning.Desired({}, KEYS)
    given = {"client_id": params["client_id"], "client_secret": params["client_secret"]}
    problems = [problem for name, value in given.items() for problem in govbr.credential_problems(name, value)]
    problems = problems or govbr.pair_problems(params["client_id"], params["client_secret"])
    if problems:
        raise PecError("\n".join(["the credentials of Gov.br were not written:", *problems]))
    return planning.Desired(dict(zip(KEYS, given.values())))


def find_file(path: str | None, needed: bool) -> tuple[str | None, str]:
    """Return the file, if it is known, and why it cannot be written, if it is needed."""
    missing = ""
    if path is None:
        here = installation.discover()
        path = here.application_properties
        missing = "PEC is not installed on this host; install it first" if here.state == "absent" else "; ".join(here.reasons)
    if path is not None:
        exists = planning.read_current(path) is not None
        missing = "" if exists else f"{path} does not exist; check the path, or run PEC's installer again"
    return path, missing if needed else ""


def run(module: PecModule) -> Result:
    params = module.params
    if looks_secret(beliefs.GOVBR_ID_KEY, params["client_id"]):  # it may be the secret, given in the wrong place
        module.no_log_values.add(params["client_id"])
    desired = desired_from(params)
    warnings = govbr.domain_warnings(params["domain"]) + govbr.id_warnings(params["client_id"]) if desired.values else []
    path, missing = find_file(params["path"], bool(desired.values))
    if missing and not module.check_mode:
        raise PecError(missing)
    with planning.alone(path, check_mode=module.check_mode):
        current = planning.read_current(path) if path else None
        todo = planning.plan(current, desired)
        written = {}
        if todo.changed and path and not module.check_mode:
            govbr.note_change()
            written = planning.apply(path, todo, backup=params["backup"])
    warnings += planning.warnings(path, current) if path else []
    clock = govbr.read_clock(params["reference_time"])
    warnings += govbr.clock_warnings(clock) if desired.values else []
    warnings += [missing] if missing else []
    return {
        "changed": todo.changed,
        "path": path,
        "redirect_urls": govbr.redirect_urls(params["domain"]),
        "logout_url": govbr.logout_url(params["domain"]),
        "restart_needed": bool(path) and (todo.changed or govbr.restart_pending()),
        "clock": asdict(clock),
        "diff": diff(path, todo.before, todo.after),
        "warnings": warnings,
        **written,
    }


def main() -> None:
    run_module(run, argument_spec=ARGUMENTS)


if __name__ == "__main__":
    main()
