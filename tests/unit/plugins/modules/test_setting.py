# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from fake_pec import CPF, NAME, PASSWORD, FakePec

from ansible_collections.esus.pec.plugins.module_utils.api import client, options
from ansible_collections.esus.pec.plugins.module_utils.api.operations import Catalogue
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import contra_chave, installation, stopping
from ansible_collections.esus.pec.plugins.module_utils.postgres import psql
from ansible_collections.esus.pec.plugins.module_utils.settings import table
from ansible_collections.esus.pec.plugins.module_utils.system import locks, process, remembered, systemd
from ansible_collections.esus.pec.plugins.modules import instalador_password, setting

SECRET = "Senha-do-e-mail\\'1"
SMTP = {"host": "smtp.example", "port": 587, "username": "pec@example", "password": SECRET}
CONNECTION = psql.Connection("127.0.0.1", 5432, "esus", "esus", "secret")
HERE = installation.Installation(
    "installed", version="5.4.37", connection=CONNECTION, certificates=("/opt/e-SUS/webserver/chaves/municipio.pfx",)
)


class World:
    """One PEC, and its database's cells."""

    def __init__(self, pec: FakePec, capsys: pytest.CaptureFixture[str]) -> None:
        self.pec = pec
        self.capsys = capsys
        self.cells: dict[str, Any] = {"TREINAMENTO": 0, "LINKINSTALACAO": "https://pec.example", "CADSUSHABILITADO": 0, "agendamento": 0}
        self.database = "oid 1"
        self.stops = 0
        self.refuses = ""

    def read(self, _conn: psql.Connection, sql: str) -> Any:
        found = [value for key, value in self.cells.items() if key in sql]
        return len(found) if "count(*)" in sql else next(iter(found), None)

    def write(self, _conn: psql.Connection, cells: list[table.Cell]) -> None:
        if self.refuses:
            raise PecError(self.refuses)
        self.cells.update({cell.key: int(cell.value) if isinstance(cell.value, bool) else cell.value for cell in cells})

    @contextmanager
    def stopped(self, _here: installation.Installation, _seconds: float) -> Iterator[None]:
        self.stops += 1
        self.pec.session = None
        yield

    def run(self, wanted: dict[str, Any], *, check: bool = False, **changes: Any) -> dict[str, Any]:
        given = {"instalador": {"cpf": "529.982.247-25", "password": PASSWORD}, "settings": wanted, "wait": 5}
        return self.module(setting, {**given, **changes}, check)

    def rotate(self, new: str, *, check: bool = False, **changes: Any) -> dict[str, Any]:
        given = {"instalador": {"cpf": CPF, "password": PASSWORD}, "new_password": new, "wait": 5}
        return self.module(instalador_password, {**given, **changes}, check)

    def module(self, module: Any, arguments: dict[str, Any], check: bool) -> dict[str, Any]:
        self.pec.calls.clear()
        arguments = {**copy.deepcopy(arguments), "_ansible_check_mode": check, "_ansible_diff": True}
        with patch_module_args(arguments), pytest.raises(SystemExit):
            module.main()
        output = self.capsys.readouterr().out
        for secret in (PASSWORD, SECRET, json.dumps(SECRET)[1:-1], "CONTRA-CHAVE", "Nova2027"):
            assert secret not in output
        return dict(json.loads(output))

    def same(self, wanted: dict[str, Any], **changes: Any) -> dict[str, Any]:
        """Check mode, the run, and the run again; the first two must agree and the last must change nothing."""
        foretold = self.run(wanted, check=True, **changes)
        did = self.run(wanted, **changes)
        assert (foretold["changed"], foretold["results"], foretold["diff"]) == (did["changed"], did["results"], did["diff"])
        again = self.run(wanted, **changes)
        assert again["changed"] is False and again["diff"] == {"before": "", "after": ""}
        return did


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    pec = FakePec()
    world = World(pec, capsys)
    lock = locks.lock
    monkeypatch.setattr(locks, "lock", lambda name: lock(name, directory=str(tmp_path / "lock")))
    monkeypatch.setattr(options.os, "geteuid", lambda: 0)
    monkeypatch.setattr(installation, "discover", lambda: HERE)
    monkeypatch.setattr(installation.Installation, "urls", property(lambda _self: (pec.url,)))
    monkeypatch.setattr(remembered, "_ITERATIONS", 1000)
    for name in ("SENT", "REFUSED"):
        monkeypatch.setattr(remembered, name, str(tmp_path / f"{name}.json"))
    monkeypatch.setattr(table, "read", world.read)
    monkeypatch.setattr(table, "write", world.write)
    monkeypatch.setattr(psql, "identity", lambda _conn: world.database)
    monkeypatch.setattr(table, "pec_stopped", world.stopped)
    monkeypatch.setattr(table, "_unit_is_active", lambda: True)
    monkeypatch.setattr(contra_chave, "read", lambda: (contra_chave.Entry("agendamento", "2927408", "CONTRA-CHAVE"),))
    monkeypatch.setattr(client.time, "sleep", lambda _seconds: None)
    yield world
    pec.close()


def results(answer: dict[str, Any]) -> dict[str, str]:
    return {one["setting"]: one["result"] + (f" {one['reason_code']}" if one["reason_code"] else "") for one in answer["results"]}


def test_from_nothing(here: World) -> None:
    wanted = {"videochamada": True, "tentativas_login": 3, "periodo_inatividade": 60, "smtp": SMTP, "internet": True}
    did = here.same(wanted)
    assert results(did) == {
        "internet": "not_needed",
        "periodo_inatividade": "not_needed",
        "tentativas_login": "confirmed",
        "smtp": "confirmed",
        "videochamada": "confirmed",
    }
    assert did["manual"] == [] and did["url"] == here.pec.url
    assert (here.pec.video, here.pec.security["tentativasLogin"]) == (True, 3)
    assert here.pec.smtp == {
        "endereco": "smtp.example",
        "porta": 587,
        "usuario": "pec@example",
        "senha": SECRET,
        "email": "pec@example",
    }
    assert "tentativas_login.value: 3\n" in did["diff"]["after"] and "smtp.password: ********\n" in did["diff"]["after"]


def test_check_mode_does_nothing_and_shows_pec_no_password_of_others(here: World) -> None:
    here.run({"videochamada": True, "smtp": SMTP}, check=True)
    assert here.pec.video is False and here.pec.smtp == {}
    assert {(name, skipped) for name, _variables, skipped in here.pec.calls if name.startswith("Alterar")} == {
        ("AlterarServidorSMTP", True),
        ("AlterarVideochamada", True),
    }
    assert SECRET not in str(here.pec.calls)


def test_a_second_run_needs_no_login_where_all_is_told_without(here: World) -> None:
    here.run({"smtp": SMTP})
    here.run({"smtp": SMTP})
    assert here.pec.done() == ["Configuracoes", "Configuracoes"]


def test_drift_is_corrected_and_shown(here: World) -> None:
    here.run({"tentativas_login": 3, "smtp": SMTP})
    here.pec.security["tentativasLogin"], here.pec.info["smtpConfigurado"] = 10, False
    did = here.same({"tentativas_login": 3, "smtp": SMTP})
    assert did["diff"]["before"].startswith("tentativas_login.value: 10\nsmtp.enabled: False\n")
    assert here.pec.security["tentativasLogin"] == 3 and here.pec.info["smtpConfigurado"] is True


def test_a_new_password_of_smtp_is_sent(here: World) -> None:
    here.run({"smtp": SMTP})
    did = here.same({"smtp": {**SMTP, "password": SECRET + "2"}})
    assert results(did) == {"smtp": "manual unconfirmed"} and here.pec.smtp["senha"] == SECRET + "2"
    assert did["manual"][0]["reason"].startswith("PEC accepts it and does not report its value for host, port")


def test_a_corrected_operation_sends_again_what_nobody_reads(here: World) -> None:
    here.run({"smtp": SMTP})
    write = {"mutation": "alterarServidorSMTP", "arguments": {"input": "ServidorSMTPInput!"}}
    names = {"endereco": "$host", "porta": "$port", "usuario": "$username", "senha": "$password", "email": "smtp@example"}
    correction = {"smtp": {"write": {**write, "variables": {"input": names}}}}
    assert here.run({"smtp": SMTP}, operations=correction)["changed"] is True and here.pec.smtp["email"] == "smtp@example"
    assert here.run({"smtp": SMTP}, operations=correction)["changed"] is False


def test_a_restored_database_has_the_old_password(here: World) -> None:
    here.rotate("Nova2027")
    here.database, here.pec.password = "oid 2", PASSWORD
    assert here.rotate("Nova2027")["changed"] is True and here.pec.done("Login") == ["Login", "Login"]


def test_what_another_database_has_is_not_known(here: World) -> None:
    here.run({"smtp": SMTP})
    here.database = "oid 2"
    assert here.run({"smtp": SMTP})["changed"] is True


def test_switching_off(here: World) -> None:
    here.run({"smtp": SMTP})
    did = here.same({"smtp": {"enabled": False}})
    assert did["diff"] == {"before": "smtp.enabled: True\n", "after": "smtp.enabled: False\n"}
    assert here.run({"smtp": SMTP})["changed"] is True


def test_a_pec_whose_mutations_return_objects(here: World) -> None:
    here.pec.objects = {"AlterarVideochamada"}
    assert results(here.same({"videochamada": True})) == {"videochamada": "confirmed"}


def test_an_operation_that_this_pec_does_not_know(here: World) -> None:
    here.pec.unknown = {"AlterarVideochamada"}
    did = here.same({"videochamada": True, "tentativas_login": 4})
    assert results(did) == {"tentativas_login": "confirmed", "videochamada": "manual unknown_operation"}
    (left,) = did["manual"]
    assert "FieldUndefined" in left["reason"] and "pec_api_operations" in left["reason"]
    assert left["screen"] == "Configurações da instalação > Conexão > Videochamadas"
    assert left["after"] == {"enabled": True} and left["changed"] is False


def test_a_question_that_this_pec_does_not_know(here: World) -> None:
    here.pec.unknown = {"ConfiguracaoVideochamada"}
    assert results(here.same({"videochamada": True})) == {"videochamada": "manual unknown_operation"}
    assert here.pec.video is False, "what cannot be read is not written"


def test_a_fact_that_this_pec_does_not_tell(here: World) -> None:
    del here.pec.info["anexoArquivosEnabled"]
    did = here.same({"anexos": {"directory": "/srv/anexos"}, "internet": True})
    assert results(did) == {"internet": "not_needed", "anexos": "manual unreadable"}
    assert "PEC's value of anexos.enabled cannot be used: it is nothing" in did["manual"][0]["reason"]


def test_a_correction_of_the_site(here: World) -> None:
    here.pec.unknown = {"ConfiguracaoVideochamada"}
    here.pec.info["videochamadaEnabled"] = True
    did = here.run({"videochamada": True}, operations={"videochamada": {"read": {"info": {"enabled": "videochamadaEnabled"}}}})
    assert results(did) == {"videochamada": "not_needed"} and did["results"][0]["evidence"] == "site"


def test_a_refusal_leaves_the_others_done(here: World) -> None:
    here.pec.refused["AlterarServidorSMTP"] = f"Não foi possível conectar com {SECRET}"
    did = here.run({"smtp": SMTP, "videochamada": True})
    assert results(did) == {"smtp": "manual refused", "videochamada": "confirmed"}
    assert did["manual"][0]["reason"] == "it was refused: Não foi possível conectar com ********"
    assert did["manual"][0]["said"] == "Não foi possível conectar com ********"
    assert did["changed"] is True and did["manual"][0]["changed"] is False
    assert did["diff"] == {"before": "videochamada.enabled: False\n", "after": "videochamada.enabled: True\n"}, "what happened"


def test_a_refusal_alone_changes_nothing(here: World) -> None:
    here.pec.refused["AlterarVideochamada"] = "Não"
    did = here.run({"videochamada": True})
    assert did["changed"] is False and did["diff"] == {"before": "", "after": ""}


def test_what_stands_on_a_refused_one_is_not_sent(here: World) -> None:
    here.pec.refused["AlterarServidorSMTP"] = "Não"
    did = here.run({"smtp": SMTP, "prescricao_digital": {"username": "a", "password": SECRET}})
    assert results(did) == {"smtp": "manual refused", "prescricao_digital": "manual prerequisite"}
    assert did["manual"][1]["missing"] == ["smtp"] and here.pec.done("AlterarConfiguracaoPrescricaoDigital") == []


def test_a_refused_link_takes_its_https_with_it(here: World) -> None:
    here.cells["LINKINSTALACAO"], here.refuses = "http://pec.example", "Não"
    wanted = {"link_instalacao": "https://pec.example", "videochamada": True}
    did = here.run(wanted, database_writes=True)
    assert results(did) == {"link_instalacao": "manual refused", "videochamada": "manual prerequisite"}
    here.refuses = ""
    assert results(here.same(wanted, database_writes=True)) == {"link_instalacao": "confirmed", "videochamada": "confirmed"}


def test_an_answer_that_is_lost_and_the_work_is_done(here: World) -> None:
    here.pec.broken_afterwards["AlterarVideochamada"] = 504
    did = here.run({"videochamada": True})
    assert results(did) == {"videochamada": "confirmed"} and did["changed"] is True


def test_a_pec_that_is_ill_while_it_is_only_asked(here: World) -> None:
    here.pec.broken["AlterarVideochamada"] = 500
    did = here.run({"videochamada": True}, check=True)
    assert results(did) == {"videochamada": "manual refused"} and "HTTP 500" in did["manual"][0]["reason"]


def test_what_stands_on_something_that_pec_does_not_know(here: World) -> None:
    here.pec.unknown = {"AlterarServidorSMTP"}
    did = here.same({"smtp": SMTP, "prescricao_digital": {"username": "a", "password": SECRET}, "tentativas_login": 3})
    assert results(did) == {
        "tentativas_login": "confirmed",
        "smtp": "manual unknown_operation",
        "prescricao_digital": "manual prerequisite",
    }


def test_what_stands_on_something_that_cannot_be_switched_off(here: World) -> None:
    here.pec.info["smtpConfigurado"] = True
    here.pec.unknown = {"DesabilitarConexaoSMTP"}
    did = here.same({"smtp": {"enabled": False}, "prescricao_digital": {"username": "a", "password": SECRET}})
    assert results(did) == {"smtp": "manual unknown_operation", "prescricao_digital": "confirmed"}
    assert here.pec.info["isPrescricaoDigitalEnabled"] is True


def test_a_refused_password_leaves_the_mail_that_is_there(here: World) -> None:
    here.run({"smtp": SMTP})
    here.pec.refused["AlterarServidorSMTP"] = "Não"
    did = here.run({"smtp": {**SMTP, "password": SECRET + "2"}, "prescricao_digital": {"username": "a", "password": SECRET}})
    assert results(did) == {"smtp": "manual refused", "prescricao_digital": "confirmed"}


def test_a_password_whose_answer_was_lost(here: World) -> None:
    here.run({"smtp": SMTP})
    here.pec.broken_afterwards["AlterarServidorSMTP"] = 504
    did = here.run({"smtp": {**SMTP, "password": SECRET + "2"}})
    assert results(did) == {"smtp": "manual unconfirmed"} and did["changed"] is True
    assert here.run({"smtp": SMTP})["changed"] is True and here.pec.smtp["senha"] == SECRET


def test_a_password_that_is_sent_and_not_confirmed_is_sent_again(here: World) -> None:
    here.run({"smtp": SMTP})
    here.pec.ignored = {"AlterarServidorSMTP"}
    here.pec.info["smtpConfigurado"] = False
    here.run({"smtp": {**SMTP, "password": SECRET + "2"}})
    here.pec.ignored, here.pec.info["smtpConfigurado"] = set(), True
    assert here.run({"smtp": SMTP})["changed"] is True, "which of the two PEC has is not known"


def test_a_secret_that_pec_tells_is_not_shown(here: World) -> None:
    read = {"info": {"enabled": "smtpConfigurado", "password": "senhaSmtp"}}
    here.pec.info.update(smtpConfigurado=True, senhaSmtp="velha-senha")
    here.pec.ignored = {"AlterarServidorSMTP"}
    did = here.run({"smtp": SMTP}, operations={"smtp": {"read": read}})
    assert did["manual"][0]["said"] == "password: ********" and "velha-senha" not in json.dumps(did)
    here.pec.info["senhaSmtp"] = 998877
    assert "998877" not in json.dumps(here.run({"smtp": SMTP}, operations={"smtp": {"read": read}}))


def test_a_problem_of_one_setting_is_its_own(here: World) -> None:
    write = {"mutation": "alterarVideochamada", "variables": {"x": "$nobody"}}
    did = here.same({"videochamada": True, "tentativas_login": 3}, operations={"videochamada": {"write": write}})
    assert results(did) == {"tentativas_login": "confirmed", "videochamada": "manual refused"}
    assert "needs a value for $nobody" in did["manual"][0]["reason"]


def test_a_link_that_a_site_reads_elsewhere(here: World) -> None:
    here.cells["LINKINSTALACAO"] = "http://pec.example"
    here.pec.info["link"] = "https://pec.example"
    elsewhere = {"link_instalacao": {"read": {"info": {"value": "link"}}}}
    assert results(here.same({"videochamada": True}, operations=elsewhere)) == {"videochamada": "confirmed"}


def test_pecs_on_other_hosts_are_told_apart(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "discover", lambda: replace(HERE, connection=None))
    here.run({"smtp": SMTP}, url=here.pec.url)
    assert here.run({"smtp": SMTP}, url=here.pec.url)["changed"] is False
    assert here.run({"smtp": SMTP}, url=here.pec.url.replace("127.0.0.1", "localhost"))["changed"] is True


def test_an_empty_password_is_not_tried(here: World) -> None:
    assert "the instalador's password is empty" in here.run({"cadsus": True}, instalador={"cpf": CPF, "password": ""})["msg"]
    assert here.pec.calls == []


def test_a_run_that_is_told_to_stop(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def told(*_arguments: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
    monkeypatch.setattr(table, "write", told)
    try:
        assert here.run({"treinamento": True}, database_writes=True)["msg"] == "it was stopped by SIGTERM"
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_run_that_breaks_off_tells_what_it_did(here: World) -> None:
    monitored = here.pec.do

    def breaks(name: str, *rest: Any) -> Any:
        if name == "AlterarVideochamada":
            here.pec.statuses = [503] * 99
        return monitored(name, *rest)

    here.pec.do = breaks  # type: ignore[method-assign]
    here.pec.unknown = {"ConfiguracaoRequisicoes"}
    here.pec.broken_afterwards["AlterarVideochamada"] = 503
    did = here.run({"tentativas_login": 3, "videochamada": True, "requisicoes_simultaneas": 5})
    assert did["failed"] is True and did["changed"] is True and did["msg"].startswith("the run was interrupted: ")
    assert results(did) == {
        "tentativas_login": "manual interrupted",
        "videochamada": "manual interrupted",
        "requisicoes_simultaneas": "manual unknown_operation",
    }
    assert "tentativas_login.value: 3" in did["diff"]["after"]


def test_a_damaged_contra_chave_concerns_only_what_needs_it(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged() -> None:
        raise PecError("contra-chave.yml is not as this collection writes it")

    monkeypatch.setattr(contra_chave, "read", damaged)
    did = here.run({"agenda_online": True, "videochamada": True})
    assert results(did) == {"videochamada": "confirmed", "agenda_online": "manual prerequisite"}


def test_nobodys_session_is_ended_in_check_mode(here: World) -> None:
    here.pec.session = "S9"
    foretold = here.run({"videochamada": True}, check=True, force=True)
    assert foretold["changed"] is True and "the instalador has a session" in str(foretold["warnings"]) and here.pec.session == "S9"
    assert "logged in to PEC elsewhere" in here.run({"videochamada": True}, check=True)["msg"]
    assert here.rotate("Nova2027", check=True, force=True)["changed"] is True and here.pec.session == "S9"
    assert here.run({"videochamada": True}, force=True)["changed"] is True


def test_an_address_that_is_none(here: World, tmp_path: Path) -> None:
    assert "the link 'pec.example' is not an address" in here.run({"cadsus": True}, url="pec.example")["msg"]
    assert "does not exist" in here.run({"cadsus": True}, url=here.pec.url, ca_path=str(tmp_path / "none"))["msg"]


def test_what_pec_takes_without_effect(here: World) -> None:
    here.pec.ignored = {"AlterarNumeroTentativasLogin"}
    did = here.run({"tentativas_login": 3})
    assert results(did) == {"tentativas_login": "manual unconfirmed"}
    assert did["manual"][0]["reason"] == "it was sent and PEC does not confirm it: it reports value: 5; look at the screen"


def test_a_secret_that_pec_did_not_take_is_not_remembered(here: World) -> None:
    here.pec.ignored = {"AlterarServidorSMTP"}
    here.run({"smtp": SMTP})
    here.pec.info["smtpConfigurado"] = True
    assert here.run({"smtp": SMTP}, check=True)["changed"] is True


def test_a_manual_step_can_fail_the_run_once_the_others_are_done(here: World) -> None:
    here.pec.unknown = {"AlterarVideochamada"}
    did = here.run({"videochamada": True, "tentativas_login": 4}, on_manual="fail")
    assert did["failed"] is True and did["changed"] is True and here.pec.security["tentativasLogin"] == 4
    heading, line = did["msg"].splitlines()
    assert heading == "these settings have to be set by hand, and on_manual is fail:"
    assert line.startswith("videochamada: PEC does not accept the operation that would set it: Validation error") and line.endswith(
        "> Videochamadas)"
    )


def test_prerequisites(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    digital = {"prescricao_digital": {"username": "login", "password": SECRET}}
    assert results(here.same(digital)) == {"prescricao_digital": "manual prerequisite"}
    assert here.run(digital)["manual"][0]["missing"] == ["smtp"]
    assert results(here.same({**digital, "smtp": SMTP})) == {"smtp": "confirmed", "prescricao_digital": "confirmed"}
    here.pec.video = False
    here.cells["LINKINSTALACAO"] = "http://pec.example:8080"
    assert here.run({"videochamada": True})["manual"][0]["missing"] == ["https"]
    monkeypatch.setattr(contra_chave, "read", lambda: ())
    assert here.run({"agenda_online": True})["manual"][0]["missing"] == ["contra_chave"]


def test_what_is_written_into_the_database(here: World) -> None:
    wanted = {"treinamento": True, "link_instalacao": "https://novo.pec.example", "tentativas_login": 3}
    left = here.same(wanted, database_writes=False)
    assert [one["reason_code"] for one in left["manual"]] == ["database_not_allowed"] * 2 and here.stops == 0
    did = here.same(wanted, database_writes=True)
    assert results(did)["treinamento"] == results(did)["link_instalacao"] == "confirmed" and here.stops == 1
    assert (here.cells["TREINAMENTO"], here.cells["LINKINSTALACAO"]) == (1, "https://novo.pec.example")


def test_a_database_that_refuses(here: World) -> None:
    here.refuses = "it is read-only"
    did = here.run({"treinamento": True, "tentativas_login": 3}, database_writes=True)
    assert results(did) == {"treinamento": "manual refused", "tentativas_login": "confirmed"}
    assert did["manual"][0]["reason"] == "it was refused: it is read-only" and here.stops == 1


def test_a_row_that_is_not_there_is_seen_before(here: World) -> None:
    del here.cells["TREINAMENTO"]
    wanted = {"treinamento": True, "tentativas_login": 3}
    did = here.same(wanted, database_writes=True, operations={"treinamento": {"read": {"info": {"enabled": "internetHabilitada"}}}})
    assert results(did)["treinamento"] == "not_needed"
    here.pec.info["internetHabilitada"] = False
    did = here.same(wanted, database_writes=True, operations={"treinamento": {"read": {"info": {"enabled": "internetHabilitada"}}}})
    assert results(did)["treinamento"] == "manual refused" and "has 0 rows TREINAMENTO" in did["manual"][0]["reason"]
    assert here.stops == 0


def test_a_pec_that_a_killed_run_left_stopped(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    state = "active"

    def systemctl(verb: str, _unit: str) -> None:
        nonlocal state
        state = "active" if verb == "start" else "inactive"

    monkeypatch.setattr(systemd, "state", lambda _unit: state)
    monkeypatch.setattr(systemd, "last_start", lambda _unit: "1")
    monkeypatch.setattr(systemd, "systemctl", systemctl)
    stopping.stop(stopping.SETTING)
    monkeypatch.setattr(process, "started", lambda _pid: "later")
    here.run({"internet": True}, check=True)
    assert state == "inactive"
    did = here.run({"internet": True})
    assert (state, did["changed"], results(did)) == ("active", True, {"internet": "not_needed"})
    assert "PEC was started" in str(did["warnings"])
    assert here.run({"internet": True})["changed"] is False


def test_a_pec_that_cannot_be_stopped(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_arguments: object) -> None:
        raise table.NotStoppedError("another run holds the lock")

    monkeypatch.setattr(table, "pec_stopped", stopped)
    did = here.run({"treinamento": True, "tentativas_login": 3}, database_writes=True)
    assert results(did) == {"treinamento": "manual refused", "tentativas_login": "confirmed"} and here.cells["TREINAMENTO"] == 0


def test_the_contra_chave_is_only_shown_to_what_activates(here: World) -> None:
    here.pec.refused["AtivarAgendaOnline"] = "CONTRA-CHAVE inválida"
    assert here.run({"agenda_online": True})["manual"][0]["said"] == "******** inválida"
    shown = {(variables["contraChave"], skipped) for name, variables, skipped in here.pec.calls if name == "AtivarAgendaOnline"}
    assert shown == {("-", True), ("CONTRA-CHAVE", False)}


def test_a_cell_that_holds_something_else(here: World) -> None:
    here.cells["CADSUSHABILITADO"] = "INDETERMINADO"
    assert "it is 'INDETERMINADO'" in here.run({"cadsus": True})["manual"][0]["reason"]


def test_a_wrong_password_ends_the_run_after_one_attempt(here: World) -> None:
    here.pec.password = "Outra2026"
    assert "PEC refused the login" in here.run({"videochamada": True})["msg"]
    assert here.pec.done("Login") == ["Login"]
    assert "PEC refused this very password" in here.run({"videochamada": True}, check=True)["msg"]
    assert here.pec.done("Login") == []


def test_before_pec_can_be_asked(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    here.pec.info.update(ativado=False, linkInstalacaoConfigurado=False)
    for run in (lambda **given: here.run({"cadsus": True}, **given), lambda **given: here.rotate("Nova2027", **given)):
        assert run(check=True)["changed"] is True
        assert "has not been through its first run" in run()["msg"]
    assert here.pec.done("Login") == [], "there is nobody yet who could log in"
    monkeypatch.setattr(installation, "discover", lambda: installation.Installation("absent"))
    assert here.run({"cadsus": True}, wait=900)["msg"] == "PEC is not installed on this host; install it first"
    foretold = here.run({"cadsus": True}, check=True)
    assert foretold["changed"] is True and "PEC is not installed on this host yet" in str(foretold["warnings"])


def test_a_pec_that_does_not_answer(here: World) -> None:
    here.pec.statuses = [503] * 9
    assert "PEC is starting" in here.run({"cadsus": True}, wait=0)["msg"]


def test_options_that_make_no_sense(here: World) -> None:
    assert "has wrong check digits" in here.run({"cadsus": True}, instalador={"cpf": "52998224726", "password": "x"})["msg"]
    assert "smtp.host is empty" in here.run({"smtp": {"port": 25, "sender": "a@b"}})["msg"]
    assert "cadsuss is not in the catalogue" in here.run({"cadsus": True}, operations={"cadsuss": {}})["msg"]
    assert "value of tentativas_login must be one of" in here.run({"tentativas_login": 11})["msg"]
    assert "Unsupported parameters" in here.run({"cadsuss": True})["msg"]
    assert here.pec.calls == []


def test_the_documentation_has_every_setting_as_the_catalogue_has_it() -> None:
    documented = yaml.safe_load(setting.DOCUMENTATION)["options"]["settings"]["suboptions"]
    known = Catalogue().settings
    assert set(documented) == set(known)
    for name, spec in ((name, each.argument_spec()) for name, each in known.items()):
        assert (documented[name]["type"], documented[name].get("choices")) == (spec["type"], spec.get("choices"))
        assert set(documented[name].get("suboptions", {})) == set(spec.get("options", {}))


def test_rotation(here: World) -> None:
    assert here.rotate("Nova2027", check=True)["changed"] is True and here.pec.password == PASSWORD
    assert here.rotate("Nova2027")["changed"] is True and here.pec.password == "Nova2027"
    assert here.pec.done("Login") == ["Login", "Login"], "the old one, and the proof with the new one"
    for check in (True, False):
        assert here.rotate("Nova2027", check=check)["changed"] is False
        assert here.pec.done("Login") == ["Login"], "the old one is not tried any more"


def test_a_new_password_against_the_rules(here: World) -> None:
    for new, problem in (("curta1", "has 6 characters"), ("maria2027x", "a part of the instalador's name"), ("semdigitos", "no digit")):
        assert problem in here.rotate(new)["msg"]
    assert NAME.startswith("Maria") and here.pec.password == PASSWORD
    assert here.pec.done("SolicitarRedefinicaoSenha") == []


def test_a_rotation_that_pec_refuses(here: World) -> None:
    here.pec.refused["SolicitarRedefinicaoSenha"] = f"Não com {PASSWORD}"
    assert here.rotate("Nova2027")["msg"] == (
        "the password was not changed: PEC refused SolicitarRedefinicaoSenha: Não com ********. Change it in PEC and in the vault"
    )
    del here.pec.refused["SolicitarRedefinicaoSenha"]
    here.pec.unknown = {"RedefinirSenha"}
    assert "FieldUndefined" in here.rotate("Nova2027")["msg"] and here.pec.password == PASSWORD


def test_a_rotation_whose_answer_is_lost(here: World) -> None:
    for status in (504, 503):
        here.pec.broken_afterwards["RedefinirSenha"] = status
        assert here.rotate("Nova2027")["changed"] is True and here.pec.password == "Nova2027"
        assert here.pec.done("Login") == ["Login", "Login"], "the old password once, the new one once"
        here.database, here.pec.password = f"oid {status}", PASSWORD


def test_a_rotation_that_was_not_done_and_whose_answer_is_lost(here: World) -> None:
    here.pec.broken["RedefinirSenha"] = 504
    assert here.rotate("Nova2027")["msg"].startswith("PEC may have taken the new password, but its answer was lost")
    assert here.pec.done("Login") == ["Login", "Login"] and here.pec.password == PASSWORD
    # The next run begins with the new one, of which it is known by now that PEC refuses it, and the one after that with the old one.
    assert "the next run begins with the current password again" in here.rotate("Nova2027")["msg"]
    assert here.pec.done("Login") == []
    assert here.rotate("Nova2027")["changed"] is True and here.pec.password == "Nova2027"


def test_a_rotation_whose_proof_fails(here: World) -> None:
    monitored = here.pec.do

    def other(name: str, *rest: Any) -> Any:
        answer = monitored(name, *rest)
        if name == "RedefinirSenha":
            here.pec.broken["Login"] = 500
        return answer

    here.pec.do = other  # type: ignore[method-assign]
    assert here.rotate("Nova2027")["msg"].startswith("PEC confirmed the new password, and a login with it does not work: ")
    assert here.rotate("Nova2027")["changed"] is False and here.pec.done("Login") == ["Login"], "with the new one at once"


def test_a_rotation_is_not_forgotten_because_pec_is_ill(here: World) -> None:
    here.rotate("Nova2027")
    here.pec.broken["Sessao"] = 500
    assert "no login to PEC" in here.rotate("Nova2027")["msg"]
    here.pec.user["forcarTrocaSenha"] = True
    assert "PEC requires a new password of the instalador" in here.rotate("Nova2027", check=True)["msg"]
    here.pec.user["forcarTrocaSenha"] = False
    assert here.rotate("Nova2027", force=True)["changed"] is False and here.pec.done("Login") == ["Login"]


@pytest.mark.parametrize(("answer", "known"), [(None, False), (False, True)], ids=["nothing", "no"])
def test_a_rotation_that_is_answered_strangely(here: World, answer: object, known: bool) -> None:
    monitored = here.pec.answer

    def strange(question: dict[str, Any], cookie: str) -> Any:
        if question["operationName"] != "RedefinirSenha":
            return monitored(question, cookie)
        if answer is None:
            monitored(question, cookie)
        return {"data": None if answer is None else {"redefinirSenha": answer}}, None

    here.pec.answer = strange  # type: ignore[method-assign]
    did = here.rotate("Nova2027")
    assert did.get("msg", "").startswith("the password was not changed: PEC answered no") if known else did["changed"] is True
    assert here.pec.password == (PASSWORD if known else "Nova2027")


def test_a_password_that_somebody_changed_after_a_rotation(here: World) -> None:
    here.rotate("Nova2027")
    here.pec.password = "PorAlguem2027"
    changed = {"instalador": {"cpf": CPF, "password": "PorAlguem2027"}}
    assert "the next run begins with the current password again" in here.rotate("Nova2027", **changed)["msg"]
    assert here.rotate("Nova2027", **changed)["changed"] is True and here.pec.password == "Nova2027"


def test_a_rotation_with_a_wrong_password(here: World) -> None:
    here.pec.password = "Outra2026"
    assert "PEC refused the login" in here.rotate("Nova2027")["msg"]
    assert here.pec.done("Login") == ["Login"]


def test_a_rotation_to_the_same_password(here: World) -> None:
    assert here.rotate(PASSWORD)["changed"] is False and here.pec.done("Login") == ["Login"]
