# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.esus.pec.plugins.module_utils.preflight import survey
from ansible_collections.esus.pec.plugins.module_utils.preflight.judging import judge
from ansible_collections.esus.pec.plugins.module_utils.preflight.model import DatabaseWanted, Facts, Wishes
from ansible_collections.esus.pec.plugins.module_utils.system import process

HERE = Facts(
    uid=0,
    architecture="x86_64",
    distribution="debian",
    distribution_version="12",
    init_name="systemd",
    memory_bytes=1,
    processors=1,
    installed_state="installed",
    installed_version="5.4.37",
    domain_resolves=True,
    domain_addresses=("203.0.113.7",),
    own_ipv6=("::1", "2001:db8::7"),
)
WANTED = Wishes(("https",), DatabaseWanted("managed"), domain="esus.a.br", certificate_port=443)


@pytest.mark.parametrize(
    ("facts", "wishes", "found"),
    [
        pytest.param({}, {}, [], id="well, and nothing about the size of the machine"),
        pytest.param({"uid": 1000}, {}, ["error not_root"], id="not root"),
        pytest.param({"installed_version": "5.2.28"}, {}, ["error certmgr_version"], id="too old"),
        pytest.param({"installed_version": "5.2.28"}, {"version": "5.3.0"}, [], id="updated by this run"),
        pytest.param({"installed_version": ""}, {}, [], id="version not known"),
        pytest.param({}, {"domain": ""}, ["error domain"], id="no domain"),
        pytest.param({}, {"domain": "https://esus.a.br"}, ["error domain"], id="an address is no domain"),
        pytest.param({}, {"public_address": "203.0.113.7"}, [], id="the right address"),
        pytest.param({}, {"public_address": "203.0.113.8"}, ["error domain_elsewhere"], id="another address"),
        pytest.param(
            {"domain_addresses": ("203.0.113.7", "203.0.113.9")},
            {"public_address": "203.0.113.7"},
            ["error domain_elsewhere"],
            id="one of two addresses is another server's",
        ),
        pytest.param({"domain_addresses": ("203.0.113.7", "2001:db8::9")}, {}, ["error domain_elsewhere_ipv6"], id="a wrong AAAA record"),
        pytest.param({"domain_addresses": ("203.0.113.7", "2001:db8::7")}, {}, ["warning domain_ipv6"], id="a right AAAA record"),
        pytest.param(
            {"domain_addresses": ("2001:db8::7",)}, {}, ["error domain_unresolved", "warning domain_ipv6"], id="only an AAAA record"
        ),
        pytest.param({"domain_addresses": ()}, {}, ["warning domain_only_here"], id="only in the hosts file"),
        pytest.param({"domain_addresses": (), "domain_resolves": False}, {}, ["error domain_unresolved"], id="nowhere"),
        pytest.param({"listeners": {80: "nginx"}}, {}, ["error port_taken"], id="port 80"),
        pytest.param({"listeners": {443: "java"}}, {}, ["error port_taken"], id="another java"),
        pytest.param({"listeners": {443: "java"}, "active_units": ("e-SUS-PEC.service",)}, {}, [], id="PEC itself"),
        pytest.param({"listeners": {8080: "java"}}, {}, [], id="PEC's other port"),
    ],
)
def test_https(facts: dict[str, Any], wishes: dict[str, Any], found: list[str]) -> None:
    findings = judge(replace(HERE, **facts), replace(WANTED, **wishes))
    assert [f"{finding.severity} {finding.code}" for finding in findings] == found


def test_the_dns_is_asked_without_the_hosts_file(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def run(argv: list[str], **_options: object) -> process.Completed:
        asked.append(argv)
        if argv[3] == "ahostsv6":
            return process.Completed(0, "2001:db8::7 STREAM esus.a.br\n::ffff:203.0.113.7 STREAM\n", "")
        return process.Completed(0, "203.0.113.7 STREAM esus.a.br\n203.0.113.7 DGRAM\n203.0.113.8 STREAM\n", "")

    monkeypatch.setattr(process, "run", run)
    assert survey._addresses(WANTED) == ("203.0.113.7", "203.0.113.8", "2001:db8::7")
    assert asked == [["getent", "-s", "hosts:dns", family, "esus.a.br"] for family in ("ahostsv4", "ahostsv6")]
    assert survey._addresses(replace(WANTED, checks=("site",))) is None
