# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.esus.pec.plugins.module_utils.transfer.picture import Database, Pec, Picture, Platform
from ansible_collections.esus.pec.plugins.modules import transfer_plan

OLD = Picture(
    Platform("linux", "x86_64", glibc="2.36"),
    Pec("installed", "/opt/e-SUS", "5.4.37", True, ports=(8080,)),
    Database(
        "127.0.0.1", 5433, "esus", "postgres", server_version="9.6.13", server_version_num=90613, pec_version="5.4.37", size_bytes=10**9
    ),
)
NEW = Picture(Platform("linux", "x86_64", glibc="2.36"), Pec())


def run(capsys: pytest.CaptureFixture[str], **arguments: Any) -> dict[str, Any]:
    with patch_module_args({"source": asdict(OLD), "target": asdict(NEW), **arguments}), pytest.raises(SystemExit):
        transfer_plan.main()
    return dict(json.loads(capsys.readouterr().out))


def test_a_plan(capsys: pytest.CaptureFixture[str]) -> None:
    plan = run(capsys)
    assert (plan["changed"], plan["ready"], plan["mode"], plan["downtime_basis"]) == (False, True, "stream", "size")
    assert [finding["code"] for finding in plan["findings"]] == ["training", "contra_chave"]
    assert len(plan["warnings"]) == 1 and plan["downtime_seconds"] > 0 and plan["reason"]
    assert run(capsys, rehearsal={"downtime_seconds": 7})["downtime_seconds"] == 7


def test_errors_fail_unless_they_are_only_reported(capsys: pytest.CaptureFixture[str]) -> None:
    failed = run(capsys, mode="cloud")
    assert failed["failed"] and failed["findings"][0]["code"] == "mode" and not failed["ready"] and "[mode]" in failed["msg"]
    assert not run(capsys, mode="cloud", report_only=True).get("failed")
    assert run(capsys, mode="cloud", accepted=["mode"])["ready"]


def test_a_file_has_no_picture(capsys: pytest.CaptureFixture[str]) -> None:
    plan = run(capsys, source=None)
    assert (plan["mode"], plan["downtime_seconds"], plan["findings"]) == ("file", None, [])


def test_what_is_no_picture(capsys: pytest.CaptureFixture[str]) -> None:
    assert "source is not what esus.pec.transfer_source returns" in run(capsys, source={"platform": "x"})["msg"]
    assert "target is not what" in run(capsys, target={})["msg"]
