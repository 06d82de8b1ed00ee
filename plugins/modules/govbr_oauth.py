#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: govbr_oauth
short_description: Give PEC its credentials of Gov.br
description:
  - Writes the client id and the client secret that Gov.br sent into PEC's C(application.properties), or removes both.
  - What was copied wrongly is refused and never corrected silently. That is a blank, a line end, a quotation mark, or the placeholder of an
    example such as V(ClientID).
  - Everything else in the file stays as it is, byte for byte.
  - PEC reads the file when it starts. RV(restart_needed) says whether it has to be restarted, which this module does not do; the role
    P(esus.pec.pec_govbr#role) does.
  - Returns the addresses that must be registered with Gov.br for the domain, and warns about what makes a login fail.
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
    description: Whether both are there or neither is.
    type: str
    choices: [present, absent]
    default: present
  path:
    description: The file. By default C(webserver/config/application.properties) of the PEC that is found on the host.
    type: path
  domain:
    description: Name under which people open PEC, such as V(esus.municipio.uf.gov.br), for the addresses to register.
    type: str
    default: ""
  reference_time:
    description:
      - What time it is by a clock that is right, in seconds since 1970, to compare this host's with. That of the controller is
        V(now(utc=true\).timestamp(\)).
    type: float
  backup:
    description: Whether the old file is kept beside the new one. It holds the password of the database, and the old secret.
    type: bool
    default: false
attributes:
  check_mode:
    description: Can run in check mode and predict the change. There, a PEC that is not installed yet is only a warning.
    support: full
  diff_mode:
    description: Shows the client id; of the secret only that it changes.
    support: full
  idempotent:
    description: A second run changes nothing.
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

- name: Say what to register with Gov.br
  ansible.builtin.debug:
    msg: "{{ govbr.redirect_urls + [govbr.logout_url] }}"

- name: Switch the login with Gov.br off
  esus.pec.govbr_oauth:
    state: absent
  become: true
"""

RETURN = r"""
path:
  description: The file. Null in check mode where PEC is not installed yet.
  returned: success
  type: str
  sample: /opt/e-SUS/webserver/config/application.properties
redirect_urls:
  description: Addresses that Gov.br sends people back to, to be registered with it. Empty without O(domain).
  returned: success
  type: list
  elements: str
  sample: ["https://esus.municipio.uf.gov.br/login/oauth2/code/govbr", "https://esus.municipio.uf.gov.br/oauth2/code/govbr"]
logout_url:
  description: Address after leaving, to be registered too. Null without O(domain).
  returned: success
  type: str
  sample: https://esus.municipio.uf.gov.br/logout
restart_needed:
  description: Whether PEC has to be restarted. Also true when an earlier run changed the file and PEC was not restarted since.
  returned: success
  type: bool
  sample: true
clock:
  description: This host's clock.
  returned: success
  type: dict
  contains:
    synchronized: {description: "Whether something keeps it right, by systemd; null where that is not known.", type: bool, sample: true}
    ahead_seconds: {description: Seconds that it is ahead of O(reference_time); null without., type: float, sample: 0.4}
backup_file:
  description: Where the old file is.
  returned: when O(backup=true) and the file was changed
  type: str
  sample: /opt/e-SUS/webserver/config/application.properties.4711.2026-11-22@10:00:00~
"""

from dataclasses import asdict
from typing import Any

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.module import QuietModule
from ansible_collections.esus.pec.plugins.module_utils.pec import govbr, installation
from ansible_collections.esus.pec.plugins.module_utils.properties import editing
from ansible_collections.esus.pec.plugins.module_utils.properties.planning import Desired, plan
from ansible_collections.esus.pec.plugins.module_utils.system import files

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


def desired_from(params: dict[str, Any]) -> Desired:
    """Raises PecError with everything that is wrong with the credentials."""
    if params["state"] == "absent":
        return Desired({}, KEYS)
    given = {"client_id": params["client_id"], "client_secret": params["client_secret"]}
    problems = [problem for name, value in given.items() for problem in govbr.credential_problems(name, value)]
    if not problems and given["client_id"] == given["client_secret"]:
        problems = ["client_id and client_secret are the same; one of them was copied twice"]
    if problems:
        raise PecError("\n".join(["the credentials of Gov.br were not written:", *problems]))
    return Desired(dict(zip(KEYS, given.values())))


def find_file(path: str | None, needed: bool) -> tuple[str | None, str]:
    """The file, if there is to be one, and what is missing."""
    if path is None:
        here = installation.discover()
        path = here.application_properties
        if path is None and here.state == "absent":
            return None, "PEC is not installed on this host; install it first" if needed else ""
        if path is None:
            return None, "; ".join(here.reasons) if needed else ""
    text = editing.read(path)
    return path, f"{path} does not exist; check the path, or run PEC's installer again" if text is None and needed else ""


def main() -> None:
    module = QuietModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params, backup_file = module.params, None
    try:
        desired = desired_from(params)
        warnings = govbr.domain_warnings(params["domain"]) if params["state"] == "present" else []
        path, missing = find_file(params["path"], bool(desired.values))
        if missing and not module.check_mode:
            raise PecError(missing)
        todo = plan(editing.read(path) if path else None, desired)
        if todo.changed and path and not module.check_mode:
            backup_file = module.backup_local(path) if params["backup"] else None
            govbr.note_change()
            files.write_atomic(path, editing.encode(todo.text))
        clock = govbr.read_clock(params["reference_time"])
        warnings += govbr.clock_warnings(clock) if desired.values else []
        warnings += [missing] if missing else []
        restart_needed = bool(path) and (todo.changed or govbr.restart_pending())
    except PecError as error:
        module.fail_json(msg=str(error))
    for warning in warnings:
        module.warn(warning)
    module.exit_json(
        changed=todo.changed,
        path=path,
        redirect_urls=govbr.redirect_urls(params["domain"]),
        logout_url=govbr.logout_url(params["domain"]),
        restart_needed=restart_needed,
        clock=asdict(clock),
        diff={"before": todo.before, "after": todo.after, "before_header": path, "after_header": path},
        **({"backup_file": backup_file} if backup_file else {}),
    )


if __name__ == "__main__":
    main()
