# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection
from ansible_collections.esus.pec.plugins.module_utils.transfer.link import Ssh
from ansible_collections.esus.pec.plugins.module_utils.transfer.looking import Wanted
from ansible_collections.esus.pec.plugins.module_utils.transfer.picture import Pec, Picture, Platform, parse
from ansible_collections.esus.pec.plugins.modules import transfer_source

SSH = {"host": "antigo", "user": "Administrador", "key_path": "/key", "known_hosts_path": "/known_hosts"}
SEEN = Picture(Platform("linux"), Pec())


def test_what_is_asked_for_and_returned(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Wanted] = []

    def look(wanted: Wanted) -> Picture:
        asked.append(wanted)
        return SEEN

    monkeypatch.setattr(transfer_source, "look", look)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    given: dict[str, Any] = {"ssh": SSH, "home": "/copy", "database": {"password": "Segredo-do-banco-1"}, "controller_time": "12.5"}
    for arguments in ({}, given):
        with patch_module_args(arguments), pytest.raises(SystemExit):
            transfer_source.main()
        output = capsys.readouterr().out
        assert "Segredo" not in output
        assert parse(json.loads(output)["picture"], "picture") == SEEN and not json.loads(output)["changed"]
    conn = Connection("127.0.0.1", 5432, "esus", "esus", "Segredo-do-banco-1")
    assert asked == [Wanted(), Wanted(Ssh("antigo", 22, "Administrador", "/key", "/known_hosts"), "/copy", conn, 12.5)]
