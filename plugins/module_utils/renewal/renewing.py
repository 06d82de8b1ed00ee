# SPDX-License-Identifier: GPL-3.0-or-later
"""Renews the certificate from certmgr by a restart of PEC, because PEC's script renews it only then. Private to the collection."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.certificates import handshake
from ansible_collections.esus.pec.plugins.module_utils.certificates.x509 import Certificate
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import health, installation, stopping
from ansible_collections.esus.pec.plugins.module_utils.system import clock, locks, systemd

_PAUSE = 2


@dataclass(frozen=True)
class Plan:
    """Whether to restart PEC, and the reason as a sentence."""

    restart: bool
    reason: str


def plan(https: installation.Https, active: bool, served: Certificate | None, days: int, now: datetime) -> Plan:
    """Decide from the files, from whether the service runs, and from the certificate that it serves (None: it serves none)."""
    if https.mode != "certmgr":
        return Plan(False, f"PEC has no certificate from certmgr (HTTPS: {https.mode}), so there is nothing to renew")
    if not active:
        return Plan(False, "PEC is stopped; its next start renews the certificate")
    if served is None:
        raise PecError("PEC runs but serves no certificate, so its expiry is unknown; run ansible-playbook esus.pec.doctor")
    left = served.days_left(now)
    until = clock.human(served.not_after)
    if left >= days:
        return Plan(False, f"the certificate of {https.domain or served.holder} is valid for {left} more days, until {until}")
    return Plan(True, f"the certificate of {https.domain or served.holder} is valid for {left} more days only, until {until}")


def run(days: int, seconds: float, report: Callable[[str], None]) -> None:
    """Restart PEC when fewer than so many days are left, and wait up to so many seconds for a newer certificate.

    C(report) gets each step as a sentence. Raises PecError when no newer certificate appears, and while an installer runs.
    """
    with locks.lock(locks.INSTALLER):
        here = installation.discover()
        active = systemd.state(beliefs.PEC_UNIT) not in (*systemd.STOPPED, "deactivating")
        port = here.https.port or beliefs.HTTPS_PORT
        old = handshake.fetch(here.https.domain, port) if here.https.mode == "certmgr" and active else None
        planned = plan(here.https, active, old.certificate if old else None, days, datetime.now(timezone.utc))
        left = stopping.find()
        report(planned.reason)
        if left:
            raise PecError(str(left))
        if not planned.restart:
            return
        report(f"restarting {beliefs.PEC_UNIT}")
        systemd.systemctl("restart", beliefs.PEC_UNIT, timeout=max(seconds, 60))
        deadline = time.monotonic() + seconds
        fresh = wait_for_certificate(here.https.domain, port, deadline)
        state = health.wait(here.urls, seconds=max(0, deadline - time.monotonic()), verify=False)
    report(judge(old.certificate if old else None, fresh, state))


def wait_for_certificate(domain: str | None, port: int, deadline: float) -> handshake.Served:
    """Return the first certificate that the server serves; certmgr renews before the server listens, so it is the final one."""
    while True:
        shown = handshake.fetch(domain, port)
        if shown.certificate is not None or time.monotonic() + _PAUSE > deadline:
            return shown
        time.sleep(_PAUSE)


def judge(old: Certificate | None, fresh: handshake.Served, state: health.Health) -> str:
    """Return the success as a sentence. Raises PecError otherwise: exit status 0 would hide a certificate that is about to expire."""
    journal = f"journalctl -u {beliefs.PEC_UNIT} shows why"
    if fresh.certificate is None:
        raise PecError(f"PEC was restarted and has served no certificate since: {fresh.error}; {journal}")
    until = clock.human(fresh.certificate.not_after)
    if old is not None and fresh.certificate.not_after <= old.not_after:
        raise PecError(
            f"PEC was restarted, but still serves the certificate that is valid until {until}: certmgr did not renew it. "
            f"Port 80 and the HTTPS port must be reachable from the Internet, and the domain must point to this server; {journal}"
        )
    if not state.healthy:
        raise PecError(f"the certificate was renewed and is valid until {until}, but PEC is not healthy: {state.error}; {journal}")
    return f"PEC shows a new certificate, valid until {until}"
