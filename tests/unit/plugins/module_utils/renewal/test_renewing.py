# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import certificates
import pytest

from ansible_collections.esus.pec.plugins.module_utils.certificates import handshake, x509
from ansible_collections.esus.pec.plugins.module_utils.certificates.handshake import Served
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec.health import Health
from ansible_collections.esus.pec.plugins.module_utils.pec.installation import NO_HTTPS, Https
from ansible_collections.esus.pec.plugins.module_utils.renewal import renewing

NOW = datetime.now(timezone.utc)
HTTPS = Https("certmgr", "pec.example", 443, None)
WELL = Health("https://127.0.0.1", True, 200, 401, "5.4.37", None, True)


@pytest.fixture(scope="module")
def leaf() -> x509.Certificate:
    return x509.read(certificates.issue("pec.example", domains=["pec.example"], uses=[certificates.SERVER]).der)


@pytest.mark.parametrize(
    ("https", "active", "ahead", "restart", "reason"),
    [
        pytest.param(NO_HTTPS, True, 0, False, "(HTTPS: none)", id="no HTTPS"),
        pytest.param(replace(HTTPS, mode="keystore"), True, 360, False, "(HTTPS: keystore)", id="a keystore"),
        pytest.param(HTTPS, False, 360, False, "its next start renews", id="stopped by somebody"),
        pytest.param(HTTPS, True, 0, False, "valid for 365 more days, until", id="long"),
        pytest.param(HTTPS, True, 345, False, "valid for 20 more days, until", id="just long enough"),
        pytest.param(HTTPS, True, 346, True, "valid for 19 more days only", id="short"),
        pytest.param(HTTPS, True, 370, True, "valid for -5 more days only", id="expired"),
    ],
)
def test_when_it_is_renewed(leaf: x509.Certificate, https: Https, active: bool, ahead: int, restart: bool, reason: str) -> None:
    planned = renewing.plan(https, active, leaf, 20, NOW + timedelta(days=ahead))
    assert planned.restart is restart and reason in planned.reason


def test_a_running_server_without_a_certificate_is_an_error() -> None:
    with pytest.raises(PecError, match="serves no certificate"):
        renewing.plan(HTTPS, True, None, 20, NOW)


def test_what_came_of_a_restart(leaf: x509.Certificate) -> None:
    newer = replace(leaf, not_after=leaf.not_after + timedelta(days=90))
    assert renewing.judge(leaf, Served(newer), WELL).startswith("PEC shows a new certificate, valid until ")
    for fresh, state, text in (
        (Served(leaf), WELL, "certmgr did not renew it"),
        (Served(None, "closed"), WELL, "served no certificate since: closed"),
        (Served(newer), replace(WELL, healthy=False, error="answered 500"), "is not healthy: answered 500"),
    ):
        with pytest.raises(PecError, match=text):
            renewing.judge(leaf, fresh, state)


def test_the_first_answer_is_waited_for(monkeypatch: pytest.MonkeyPatch, leaf: x509.Certificate) -> None:
    answers = iter([Served(None, "refused"), Served(leaf)])
    monkeypatch.setattr(handshake, "fetch", lambda *_arguments: next(answers))
    monkeypatch.setattr(renewing.time, "sleep", lambda _seconds: None)
    assert renewing.wait_for_certificate("pec.example", 443, renewing.time.monotonic() + 60).certificate == leaf
