#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: health
short_description: Wait until PEC answers
description:
  - Queries PEC's web server until its answers are those of a working PEC, and fails with the reason if they are not in time.
  - Stops waiting if the service has ended or restarts in a loop.
  - In check mode it queries once and does not fail.
author: ["esus.pec contributors (@esus-pec)"]
version_added: 0.1.0
options:
  url:
    description: Address of PEC, such as V(http://127.0.0.1:8080). By default the local addresses from PEC's files.
    type: str
  timeout:
    description: Seconds to wait. The first start after an installation takes minutes.
    type: int
    default: 600
  since_start:
    description:
      - Count O(timeout) from the start of the service, so that a PEC that already had this time is not waited for.
      - Only used without O(url).
    type: bool
    default: false
  report_only:
    description: Return what is wrong instead of failing.
    type: bool
    default: false
  interval:
    description: Seconds between two queries.
    type: int
    default: 2
  validate_certs:
    description: Require a valid certificate of an HTTPS address. Only used with O(url), because no certificate names a local address.
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
healthy: {description: The answers are those of a working PEC., returned: always, type: bool, sample: true}
url: {description: The address that was queried., returned: always, type: str, sample: "http://127.0.0.1:8080"}
version: {description: Version that the server reports., returned: always, type: str, sample: 5.4.37}
root_status: {description: HTTP status of C(/)., returned: always, type: int, sample: 200}
esus_status: {description: HTTP status of C(/esus/)., returned: always, type: int, sample: 401}
error: {description: Why PEC is not healthy., returned: always, type: str, sample: null}
overdue:
  description: The service started more than O(timeout) seconds ago and its answers are not those of a working PEC.
  returned: success
  type: bool
  sample: false
waited_seconds: {description: Seconds until the answer., returned: always, type: int, sample: 95}
"""

import time
from typing import Any

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.installer.output import last_lines
from ansible_collections.esus.pec.plugins.module_utils.module import PecModule, run_module
from ansible_collections.esus.pec.plugins.module_utils.pec import health, installation
from ansible_collections.esus.pec.plugins.module_utils.redact import Redactor
from ansible_collections.esus.pec.plugins.module_utils.system import files, process, systemd

ARGUMENTS = {
    "url": {"type": "str"},
    "timeout": {"type": "int", "default": 600},
    "since_start": {"type": "bool", "default": False},
    "report_only": {"type": "bool", "default": False},
    "interval": {"type": "int", "default": 2},
    "validate_certs": {"type": "bool", "default": True},
    "ca_path": {"type": "path"},
}

_ENDED = systemd.STOPPED[:2]
_LOOP = 2
_LOG_BYTES = 65536


class Watch:
    """Tells if the service can still become healthy. One restart may be all it needs, as for a database that starts later."""

    def __init__(self) -> None:
        self._before = systemd.restarts(beliefs.PEC_UNIT)
        self.restarted = 0

    def still_starting(self) -> bool:
        self.restarted = max(self.restarted, systemd.restarts(beliefs.PEC_UNIT) - self._before)
        return systemd.state(beliefs.PEC_UNIT) not in _ENDED and not self.loops

    @property
    def loops(self) -> bool:
        return self.restarted >= _LOOP


def wait(params: dict[str, Any], here: installation.Installation, seconds: float, watch: Watch) -> health.Health:
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
    unit, state = beliefs.PEC_UNIT, systemd.state(beliefs.PEC_UNIT) or "unknown to systemd"
    clean = Redactor(login.password for login in (here.connection, here.read_only) if login)
    patience = "" if state in _ENDED else "; if it is still starting, wait longer (role: pec_health_timeout)"
    if watch.loops:
        patience = f": it ended and was restarted {watch.restarted} times in this time"
    lines = [
        f"PEC did not become healthy at {answer.url} within {waited} seconds: {answer.error}",
        f"The service {unit} is {state}{patience}.",
    ]
    tail = last_lines(clean(log_tail(here.log_file or "")).splitlines(), 20)
    lines += [f"Last lines of {here.log_file}:", *(f"  {line}" for line in tail)] if tail else [f"There is no log yet at {here.log_file}."]
    if state in _ENDED or watch.loops:
        journal = process.run(["journalctl", "--quiet", "--no-pager", "--output=cat", "--lines=12", f"--unit={unit}"]).stdout
        lines += ["Last lines of its journal:", *(f"  {line}" for line in last_lines(clean(journal).splitlines(), 12))]
    return "\n".join([*lines, f"More on the host: journalctl -u {unit}"])


def log_tail(path: str) -> str:
    try:
        return files.read_end(path, _LOG_BYTES).decode("utf-8", "replace")
    except PecError:
        return ""


def run(module: PecModule) -> dict[str, Any]:
    params = module.params
    started = time.monotonic()
    quiet = module.check_mode or params["report_only"]
    here = installation.discover()
    if here.state == "absent" and not params["url"] and not quiet:
        raise PecError("PEC is not installed on this host, so there is nothing to wait for; install it first")
    watch = Watch()
    age = systemd.active_seconds(beliefs.PEC_UNIT) if params["since_start"] and not params["url"] else None
    seconds = 0 if module.check_mode else max(0, params["timeout"] - (age or 0))
    answer = wait(params, here, seconds, watch)
    waited = round(time.monotonic() - started)
    keys = ("healthy", "url", "version", "root_status", "esus_status", "error")
    result = {"waited_seconds": waited, **{key: getattr(answer, key) for key in keys}}
    if not answer.healthy and not quiet:
        raise PecError(complaint(answer, here, waited, watch), **result)
    overdue = not answer.healthy and (systemd.active_seconds(beliefs.PEC_UNIT) or 0) >= params["timeout"]
    return {"overdue": overdue, **result}


def main() -> None:
    run_module(run, argument_spec=ARGUMENTS)


if __name__ == "__main__":
    main()
