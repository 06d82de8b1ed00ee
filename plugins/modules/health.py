#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: health
short_description: Wait until PEC answers
description:
  - Asks PEC's web server until it answers as a working one, and fails with the reason when it does not in time.
  - Stops waiting when the service has ended, or ends again and again, because nothing more will come of it.
  - In check mode it looks once and does not fail.
author: ["esus.pec contributors (@esus-pec)"]
version_added: 0.1.0
options:
  url:
    description: Address of PEC, such as V(http://127.0.0.1:8080). By default the local addresses that its files tell.
    type: str
  timeout:
    description: Seconds to wait. The first start after an installation takes minutes.
    type: int
    default: 600
  since_start:
    description:
      - Whether O(timeout) counts from the start of the service, so that a PEC that has had its time is not waited for.
      - Only used without O(url).
    type: bool
    default: false
  report_only:
    description: Whether to return what is wrong and not to fail.
    type: bool
    default: false
  interval:
    description: Seconds between two looks.
    type: int
    default: 2
  validate_certs:
    description: Whether the certificate of an HTTPS address must be valid. Only used with O(url); a local address is in no certificate.
    type: bool
    default: true
  ca_path:
    description: File with the certificate authorities to trust.
    type: path
extends_documentation_fragment:
  - esus.pec.attributes
  - esus.pec.attributes.read_only
seealso:
  - module: esus.pec.info
"""

EXAMPLES = r"""
- name: Wait until PEC has started
  esus.pec.health:
    timeout: 900
  become: true
"""

RETURN = r"""
healthy: {description: Whether the answers are those of a working PEC., returned: always, type: bool, sample: true}
url: {description: The address that was asked., returned: always, type: str, sample: "http://127.0.0.1:8080"}
version: {description: The version that the server says it has., returned: always, type: str, sample: 5.4.37}
root_status: {description: HTTP status of C(/)., returned: always, type: int, sample: 200}
esus_status: {description: HTTP status of C(/esus/)., returned: always, type: int, sample: 401}
error: {description: Why it is not healthy., returned: always, type: str, sample: null}
overdue:
  description: Whether the service started more than O(timeout) seconds ago and does not answer as a working PEC.
  returned: success
  type: bool
  sample: false
waited_seconds: {description: How long it took., returned: always, type: int, sample: 95}
"""

import os
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.installer.output import last_lines
from ansible_collections.esus.pec.plugins.module_utils.pec import health, installation
from ansible_collections.esus.pec.plugins.module_utils.redact import Redactor
from ansible_collections.esus.pec.plugins.module_utils.system import process, systemd

_ENDED = systemd.STOPPED[:2]
_LOOP = 2
_LOG_BYTES = 65536


def service_state() -> str | None:
    return systemd.state(beliefs.PEC_UNIT)


def service_age() -> float | None:
    """Seconds since the service became active; None where it is not, or where systemd does not say."""
    return systemd.active_seconds(beliefs.PEC_UNIT)


class Watch:
    """Whether anything more can come of the service. One restart may be all that it needs, such as for a database that starts later."""

    def __init__(self) -> None:
        self._before = systemd.restarts(beliefs.PEC_UNIT)
        self.restarted = 0

    def still_starting(self) -> bool:
        self.restarted = max(self.restarted, systemd.restarts(beliefs.PEC_UNIT) - self._before)
        return service_state() not in _ENDED and not self.loops

    @property
    def loops(self) -> bool:
        return self.restarted >= _LOOP


def seconds_left(params: dict[str, Any]) -> float:
    age = service_age() if params["since_start"] and not params["url"] else None
    return max(0.0, float(params["timeout"]) - (age or 0))


def look(params: dict[str, Any], here: installation.Installation, seconds: float, watch: Watch) -> health.Health:
    """Wait for whichever address answers; those of this host match no certificate."""
    urls, verify = ((params["url"],), params["validate_certs"]) if params["url"] else (here.urls, False)
    return health.wait(
        urls,
        seconds=seconds,
        interval=params["interval"],
        still_starting=None if params["url"] else watch.still_starting,
        verify=verify,
        ca_path=params["ca_path"],
    )


def complaint(answer: health.Health, here: installation.Installation, waited: int, watch: Watch) -> str:
    state = service_state() or "unknown to systemd"
    patience = "" if state in _ENDED else "; if it is still starting, wait longer (role: pec_health_timeout)"
    if watch.loops:
        patience = f": it has ended and was restarted {watch.restarted} times while this waited"
    lines = [
        f"PEC did not become healthy at {answer.url} within {waited} seconds: {answer.error}",
        f"The service {beliefs.PEC_UNIT} is {state}{patience}.",
    ]
    tail = log_tail(here)
    lines += [f"Last lines of {here.log_file}:", *(f"  {line}" for line in tail)] if tail else [f"There is no log yet at {here.log_file}."]
    if state in _ENDED or watch.loops:
        lines += ["Last lines of its journal:", *(f"  {line}" for line in journal_tail(here))]
    return "\n".join([*lines, f"More on the host: journalctl -u {beliefs.PEC_UNIT}"])


def redactor(here: installation.Installation) -> Redactor:
    return Redactor(login.password for login in (here.connection, here.read_only) if login)


def journal_tail(here: installation.Installation) -> list[str]:
    answer = process.run(["journalctl", "--quiet", "--no-pager", "--output=cat", "--lines=12", f"--unit={beliefs.PEC_UNIT}"])
    return last_lines(redactor(here)(answer.stdout).splitlines(), 12)


def log_tail(here: installation.Installation) -> list[str]:
    try:
        with open(here.log_file or "", "rb") as stream:
            stream.seek(max(0, os.path.getsize(stream.name) - _LOG_BYTES))
            text = stream.read().decode("utf-8", "replace")
    except OSError:
        return []
    return last_lines(redactor(here)(text).splitlines(), 20)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str"},
            "timeout": {"type": "int", "default": 600},
            "since_start": {"type": "bool", "default": False},
            "report_only": {"type": "bool", "default": False},
            "interval": {"type": "int", "default": 2},
            "validate_certs": {"type": "bool", "default": True},
            "ca_path": {"type": "path"},
        },
        supports_check_mode=True,
    )
    started = time.monotonic()
    quiet = module.check_mode or module.params["report_only"]
    try:
        if os.geteuid() != 0:
            raise PecError("esus.pec.health must run as root, because only root can read PEC's files; use become: true")
        here = installation.discover()
        if here.state == "absent" and not module.params["url"] and not quiet:
            raise PecError("PEC is not installed on this host, so there is nothing to wait for; install it first")
        watch = Watch()
        answer = look(module.params, here, 0 if module.check_mode else seconds_left(module.params), watch)
        overdue = not answer.healthy and (service_age() or 0) >= module.params["timeout"]
    except PecError as error:
        module.fail_json(msg=str(error))
    waited = round(time.monotonic() - started)
    result = {key: getattr(answer, key) for key in ("healthy", "url", "version", "root_status", "esus_status", "error")}
    if not answer.healthy and not quiet:
        module.fail_json(msg=complaint(answer, here, waited, watch), waited_seconds=waited, **result)
    module.exit_json(changed=False, overdue=overdue, waited_seconds=waited, **result)


if __name__ == "__main__":
    main()
