# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the certificate that certmgr obtained from expiring: PEC's script renews it at a start of the service, and at no other time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.certificates import handshake
from ansible_collections.esus.pec.plugins.module_utils.certificates.x509 import Certificate
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import health, installation
from ansible_collections.esus.pec.plugins.module_utils.system import locks, systemd

_PAUSE = 2


@dataclass(frozen=True)
class Plan:
    """Whether PEC is restarted, and why, in words."""

    restart: bool
    reason: str


def plan(https: installation.Https, active: bool, served: Certificate | None, days: int, now: datetime) -> Plan:
    """Decide by what the files say, whether the service runs, and which certificate it shows (None: it shows none)."""
    if https.mode != "certmgr":
        return Plan(False, f"PEC has no HTTPS by certmgr here (but {https.mode}), so there is nothing to renew")
    if not active:
        return Plan(False, "PEC is stopped; its next start renews the certificate")
    if served is None:
        raise PecError("PEC runs, but shows no certificate, so how long it is valid is not known; esus.pec.doctor tells more")
    left = served.days_left(now)
    until = served.not_after.strftime("%Y-%m-%d %H:%M UTC")
    if left >= days:
        return Plan(False, f"the certificate of {https.domain or served.holder} is valid for {left} more days, until {until}")
    return Plan(True, f"the certificate of {https.domain or served.holder} is valid for {left} more days only, until {until}")


def run(days: int, seconds: float, tell: Callable[[str], None]) -> None:
    """Restart PEC when fewer than so many days are left, and see that it shows a newer certificate within so many seconds.

    Raises PecError when it does not, and when an installer is at work.
    """
    with locks.lock(locks.INSTALLER):
        here = installation.discover()
        active = systemd.state(beliefs.PEC_UNIT) not in (*systemd.STOPPED, "deactivating")
        port = here.https.port or beliefs.HTTPS_PORT
        old = handshake.fetch(here.https.domain, port) if here.https.mode == "certmgr" and active else None
        planned = plan(here.https, active, old.certificate if old else None, days, datetime.now(timezone.utc))
        tell(planned.reason)
        if not planned.restart:
            return
        tell(f"restarting {beliefs.PEC_UNIT}")
        systemd.systemctl("restart", beliefs.PEC_UNIT, timeout=max(seconds, 60))
        deadline = time.monotonic() + seconds
        fresh = wait_for_certificate(here.https.domain, port, deadline)
        state = health.wait(here.urls, seconds=max(0, deadline - time.monotonic()), verify=False)
    tell(judge(old.certificate if old else None, fresh, state))


def wait_for_certificate(domain: str | None, port: int, deadline: float) -> handshake.Served:
    """Return what the server shows once it shows something; certmgr is asked before the server listens, so the first answer counts."""
    while True:
        shown = handshake.fetch(domain, port)
        if shown.certificate is not None or time.monotonic() + _PAUSE > deadline:
            return shown
        time.sleep(_PAUSE)


def judge(old: Certificate | None, fresh: handshake.Served, state: health.Health) -> str:
    """Return the good news. Raises PecError when there is none: exit code 0 would hide a certificate that goes on to expire."""
    journal = f"journalctl -u {beliefs.PEC_UNIT} says why"
    if fresh.certificate is None:
        raise PecError(f"PEC was restarted and shows no certificate since: {fresh.error}; {journal}")
    until = fresh.certificate.not_after.strftime("%Y-%m-%d %H:%M UTC")
    if old is not None and fresh.certificate.not_after <= old.not_after:
        raise PecError(
            f"PEC was restarted, but still shows the certificate that is valid until {until}: certmgr did not renew it. "
            f"Ports 80 and the one of HTTPS must be reachable from the Internet, and the domain must lead here; {journal}"
        )
    if not state.healthy:
        raise PecError(f"the certificate was renewed and is valid until {until}, but PEC does not answer well: {state.error}; {journal}")
    return f"PEC shows a new certificate, valid until {until}"
