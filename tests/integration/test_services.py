# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings inside PEC on a server with the stand-in, by modules and by the role. Each test sets first what it changes.

What they see of the stand-in is what the contract says of PEC as far as it goes; the rest is a guess, here as there.
"""

from __future__ import annotations

import json
import subprocess
import urllib.request
from dataclasses import dataclass
from typing import Any

import pytest
from installed import install, prepare, wait
from places import ROOT
from secret_search import JOURNAL, in_text, on_server

NAME = "esus-pec-services"
VERSION = "5.4.37"
CPF, PASSWORD, NEW = "52998224725", "Segredo2026", "Renovada2027"
MAIL, MAIL_NEW = 'Se\'nha "do" e-mail\\1', "Outra-do-e-mail-2"
SECRETS = (PASSWORD, NEW, MAIL, MAIL_NEW)
INSTALADOR = {"cpf": "529.982.247-25", "password": PASSWORD}
FIRST_RUN = {"name": "UBS Central", "link": "http://127.0.0.1:8080", "instalador": {**INSTALADOR, "name": "Maria da Silva"}}
SINK = "/root/smtp_sink.py"
CERTIFY = """
openssl req -x509 -newkey rsa:2048 -noenc -keyout /root/key.pem -out /root/authority.pem -days 3 -subj /CN=smtp.example \
  -addext subjectAltName=DNS:smtp.example 2>/dev/null
echo '127.0.0.1 smtp.example' >> /etc/hosts
"""


@dataclass(frozen=True)
class Pec:
    """A server, and PEC as its instalador sees it."""

    server: Any

    def module(self, name: str, arguments: dict[str, Any], *, check: bool = False) -> dict[str, Any]:
        result: dict[str, Any] = self.server.module(f"esus.pec.{name}", {"instalador": INSTALADOR, "wait": 60, **arguments}, check=check)
        # An ad-hoc ansible that fails prints its own command line.
        shown = json.dumps({**result, "_output": ""}, ensure_ascii=False) if result["_failed"] else result["_output"]
        assert in_text(shown, SECRETS) == []
        return result

    def set(self, settings: dict[str, Any], *, check: bool = False, **arguments: Any) -> dict[str, Any]:
        return self.module("setting", {"settings": settings, **arguments}, check=check)

    def same(self, settings: dict[str, Any], **arguments: Any) -> dict[str, Any]:
        """Check mode, the run, and the run again; the first two must agree and the last change nothing."""
        foretold, did = self.set(settings, check=True, **arguments), self.set(settings, **arguments)
        assert not did["_failed"], did["_output"]
        assert (foretold["changed"], foretold["results"]) == (did["changed"], did["results"])
        assert self.set(settings, **arguments)["changed"] is False
        return did

    def given(self, settings: dict[str, Any], **arguments: Any) -> None:
        """Bring PEC where a test begins."""
        did = self.set(settings, **arguments)
        assert not did["_failed"] and not did["manual"], did["_output"]

    def role(self, *options: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        given = {"pec_instalador_cpf": INSTALADOR["cpf"], "pec_instalador_password": PASSWORD, "pec_health_timeout": 60, **variables}
        before = [{"import_role": {"name": "esus.pec.pec_services", "tasks_from": "preflight"}}]
        play = {"pre_tasks": before, "roles": ["esus.pec.pec_services"]}
        run: subprocess.CompletedProcess[str] = self.server.play(play, "-vvv", "--diff", *options, **given)
        assert in_text(run.stdout + run.stderr, SECRETS) == []
        return run

    def changed(self, *options: str, **variables: Any) -> int:
        run = self.role(*options, **variables)
        assert run.returncode == 0, run.stdout[-8000:] + run.stderr
        return int(run.stdout.rpartition("changed=")[2].split()[0])

    def sql(self, statement: str) -> str:
        """As the administrator of the bundled PostgreSQL."""
        script = 'set -- $(sed -n "s/^spring.datasource.password=//p" /opt/e-SUS/webserver/config/application.properties) && PGPASSWORD=$1 '
        run = self.server.run("sh", "-c", script + "psql -XAtq -h 127.0.0.1 -p 5433 -U postgres -d esus -f -", stdin=statement)
        return str(run.stdout.strip())

    def cell(self, key: str, column: str = "ds_inteiro") -> str:
        return self.sql(f"select {column} from tb_config_sistema where co_config_sistema = '{key}'")

    def info(self, *fields: str) -> dict[str, Any]:
        """What PEC tells a browser that is not logged in."""
        question = json.dumps({"query": f"query Configuracoes {{ info {{ {' '.join(fields)} }} }}"}).encode()
        request = urllib.request.Request(f"http://{self.server.address}:8080/api/graphql", question, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return dict(json.load(answer)["data"]["info"])

    def logs_in(self, password: str) -> bool:
        """Whether a browser gets in, which ends any other session."""
        document = "mutation Login($input: LoginInput!) { login(input: $input) { success } }"
        question = {"query": document, "variables": {"input": {"username": CPF, "password": password, "force": True}}}
        headers = {"Content-Type": "application/json", "Api-Consumer-Id": "ESUS_WEB_CLIENT"}
        request = urllib.request.Request(f"http://{self.server.address}:8080/api/graphql", json.dumps(question).encode(), headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return "errors" not in json.load(answer)

    def attempts(self) -> tuple[str, str]:
        """Wrong passwords in a row, and whether the account is locked."""
        found = self.sql(f"select nu_tentativas, st_bloqueado from tb_usuario where no_login = '{CPF}'").split("|")
        return found[0], found[1]

    def command(self, **commands: str) -> None:
        text = "".join(f"{key.replace('__', '.')} = {value}\n" for key, value in commands.items())
        self.server.put(text, "/etc/pec-stand-in.conf")

    def mode(self, record: str) -> str:
        return str(self.server.run("stat", "-c", "%U %a", f"/etc/esus-pec/{record}.json").stdout.strip())

    def started(self) -> str:
        return str(self.server.run("systemctl", "show", "-P", "ActiveEnterTimestampMonotonic", "e-SUS-PEC").stdout.strip())


def results(answer: dict[str, Any]) -> dict[str, str]:
    return {one["setting"]: one["result"] + (f" {one['reason_code']}" if one["reason_code"] else "") for one in answer["results"]}


@pytest.fixture(scope="module")
def bare(start_server: Any) -> Pec:
    server = start_server(NAME, "debian12")
    prepare(server, "openssl", "python3-aiosmtpd", "python3-psycopg2")
    return Pec(server)


@pytest.fixture(scope="module")
def installed(bare: Pec, jar: Any) -> Pec:
    """PEC installed, and a mail server beside it that wants a login and TLS."""
    install(bare.server, jar(VERSION))
    bare.server.run("sh", "-ec", CERTIFY)
    bare.server.copy(ROOT / "tests" / "helpers" / "smtp_sink.py", SINK)
    bare.server.put(MAIL, "/root/mail-password", "0600")
    sink = f"python3 {SINK} --starttls 2587 --certificate /root/authority.pem --key /root/key.pem --user pec@example"
    bare.server.run("sh", "-ec", f"systemd-run --unit=sink {sink} --password-file /root/mail-password --log /root/mail.jsonl")
    return bare


@pytest.fixture
def pec(installed: Pec) -> Pec:
    """It has been through its first run, and nothing is commanded."""
    installed.command()
    if not installed.info("ativado")["ativado"]:
        assert installed.server.module("esus.pec.first_run", FIRST_RUN)["changed"] is True
    return installed


def test_an_empty_server(bare: Pec) -> None:
    """Check mode foretells; a run says what is missing; without settings nothing is done."""
    assert bare.changed("--check", pec_services_settings={"cadsus": True}) == 1
    assert "PEC is not installed on this host; install it first" in bare.role(pec_services_settings={"cadsus": True}).stdout
    assert bare.changed() == 0


def test_before_the_first_run(installed: Pec) -> None:
    assert installed.set({"cadsus": True}, check=True)["changed"] is True
    assert "has not been through its first run" in installed.set({"cadsus": True})["msg"]
    result = installed.server.module("esus.pec.first_run", FIRST_RUN)
    assert result["changed"] is True and installed.cell("NOMEINSTALACAO", "ds_texto") == "UBS Central"
    assert installed.server.module("esus.pec.first_run", FIRST_RUN)["changed"] is False


def test_from_nothing(pec: Pec) -> None:
    wanted = {"cadsus": True, "horus": True, "tentativas_login": 4, "periodo_inatividade": 120, "periodo_redefinicao_senha": 6}
    did = pec.same(
        {**wanted, "busca_cidadao_por_propriedades": True, "requisicoes_simultaneas": 20, "anexos": {"directory": "/srv/anexos"}}
    )
    assert results(did) == {
        "periodo_redefinicao_senha": "not_needed",
        "periodo_inatividade": "confirmed",
        "tentativas_login": "confirmed",
        "anexos": "confirmed",
        "cadsus": "confirmed",
        "horus": "confirmed",
        "requisicoes_simultaneas": "confirmed",
        "busca_cidadao_por_propriedades": "confirmed",
    }
    assert (pec.cell("CADSUSHABILITADO"), pec.cell("HORUSHABILITADO")) == ("1", "1")
    told = pec.info("buscaCidadaoPorPropriedadesEnabled", "anexoArquivosEnabled", "smtpConfigurado")
    assert told == {"buscaCidadaoPorPropriedadesEnabled": True, "anexoArquivosEnabled": True, "smtpConfigurado": False}
    assert "cadsus is of little use" in did["_output"], "without Gov.br and HTTPS"


def test_what_stands_on_something_else(pec: Pec) -> None:
    did = pec.same({"videochamada": True, "agenda_online": True, "prescricao_digital": {"username": "a", "password": "b"}})
    assert set(results(did).values()) == {"manual prerequisite"} and did["changed"] is False
    assert {one["setting"]: one["missing"] for one in did["manual"]} == {
        "videochamada": ["https"],
        "agenda_online": ["contra_chave"],
        "prescricao_digital": ["https", "smtp", "certificate"],
    }


def test_online_appointments_with_their_contra_chave(pec: Pec) -> None:
    kept = {"purpose": "agendamento", "ibge_code": "2927408", "contra_chave": "ABC123"}
    assert pec.server.module("esus.pec.contra_chave", kept)["changed"] is True
    assert results(pec.same({"agenda_online": True})) == {"agenda_online": "confirmed"}
    assert pec.sql("select st_ativado from tb_ativacao_agendamento_online") == "1"
    assert results(pec.same({"agenda_online": False})) == {"agenda_online": "confirmed"}
    assert pec.sql("select count(*) from tb_ativacao_agendamento_online") == "2"


def test_smtp_by_the_role(pec: Pec) -> None:
    """The host tests the server first; PEC gets it once."""
    smtp = {"pec_smtp_host": "smtp.example", "pec_smtp_port": 2587, "pec_smtp_username": "pec@example", "pec_smtp_password": MAIL}
    smtp["pec_smtp_ca_path"] = "/root/authority.pem"
    assert pec.changed("--check", **smtp) == 1 == pec.changed(**smtp)
    assert pec.info("smtpConfigurado") == {"smtpConfigurado": True}
    assert pec.changed(**smtp) == 0
    refused = pec.role(**{**smtp, "pec_smtp_password": MAIL_NEW})
    assert refused.returncode != 0 and "535" in refused.stdout
    assert pec.changed(**smtp) == 0, "PEC never got the wrong one"
    pec.server.put(MAIL_NEW, "/root/mail-password", "0600")
    pec.server.run("systemctl", "restart", "sink")
    renewed = pec.role(**{**smtp, "pec_smtp_password": MAIL_NEW})
    assert renewed.returncode == 0 and "mas ele não confirma o novo valor" in renewed.stdout
    assert pec.changed(**{**smtp, "pec_smtp_password": MAIL_NEW}) == 0 and pec.mode("settings") == "root 600"


def test_drift(pec: Pec) -> None:
    pec.given({"cadsus": True, "tentativas_login": 4})
    pec.sql("update tb_config_sistema set ds_inteiro = 0 where co_config_sistema = 'CADSUSHABILITADO'")
    did = pec.same({"cadsus": True, "tentativas_login": 4})
    assert "-cadsus.enabled: False\n+cadsus.enabled: True\n" in did["_output"] and "tentativas_login.value" not in did["_output"]
    assert pec.cell("CADSUSHABILITADO") == "1"


def test_operations_that_this_version_lacks_or_refuses(pec: Pec) -> None:
    pec.given({"horus": True, "tentativas_login": 4})
    pec.command(api__unknown="AlterarHorus,info.cadastroDomiciliarViaCdsEnabled", api__refuse="AlterarQtdRequisicoes")
    did = pec.set({"horus": False, "cadastro_domiciliar_via_cds": True, "requisicoes_simultaneas": 30, "tentativas_login": 5})
    assert results(did) == {
        "tentativas_login": "confirmed",
        "horus": "manual unknown_operation",
        "requisicoes_simultaneas": "manual refused",
        "cadastro_domiciliar_via_cds": "manual unreadable",
    }
    reasons = {one["setting"]: one["reason"] for one in did["manual"]}
    assert "FieldUndefined" in reasons["horus"] and "Não foi possível concluir a operação" in reasons["requisicoes_simultaneas"]
    assert pec.cell("HORUSHABILITADO") == "1"
    failing = pec.set({"horus": False}, on_manual="fail")
    assert failing["_failed"] and "Configurações da instalação > Conexão > Hórus" in failing["msg"]
    report = pec.role(pec_services_settings={"horus": False})
    assert report.returncode == 0
    for line in ("Falta fazer no PEC, com o perfil do instalador:", "> Conexão > Hórus", "Valor desejado: desabilitar", "O PEC diz: "):
        assert line in report.stdout
    pec.command(api__ignore="AlterarHorus")
    assert results(pec.set({"horus": False})) == {"horus": "manual unconfirmed"}


def test_a_correction_by_variable(pec: Pec) -> None:
    """For a PEC in which another operation of the same effect has to be used, and another place is read."""
    pec.command(api__unknown="ConfiguracoesSeguranca")
    wanted = {"tentativas_login": 6}
    assert results(pec.set(wanted)) == {"tentativas_login": "manual unknown_operation"}
    key = pec.sql("select co_config_sistema from tb_config_sistema where co_config_sistema ilike '%tentativas%'")
    sql = f"select ds_inteiro from public.tb_config_sistema where co_config_sistema = '{key}'"
    corrected = {"tentativas_login": {"read": {"sql": {"value": sql}}}}
    assert results(pec.same(wanted, operations=corrected)) == {"tentativas_login": "confirmed"}
    assert pec.cell(key) == "6"


def test_what_is_written_into_the_database(pec: Pec) -> None:
    wanted = {"link_instalacao": "https://pec.example", "treinamento": True}
    started = pec.started()
    assert set(results(pec.same(wanted)).values()) == {"manual database_not_allowed"} and pec.started() == started
    did = pec.same(wanted, database_writes=True)
    assert results(did) == {"link_instalacao": "confirmed", "treinamento": "confirmed"} and pec.started() != started
    assert (pec.cell("TREINAMENTO"), pec.cell("LINKINSTALACAO", "ds_texto")) == ("1", "https://pec.example")
    assert pec.info("treinamento") == {"treinamento": True}
    # A proxy before it may give HTTPS, of which only the link tells.
    assert results(pec.same({"videochamada": True})) == {"videochamada": "confirmed"}


def test_a_database_without_the_row(pec: Pec) -> None:
    pec.given({"treinamento": True}, database_writes=True)
    pec.sql("update tb_config_sistema set co_config_sistema = 'X' where co_config_sistema = 'NOMEINSTALACAO'")
    before = pec.cell("LINKINSTALACAO", "ds_texto")
    started = pec.started()
    did = pec.same({"nome_instalacao": "Outro", "treinamento": True}, database_writes=True)
    assert results(did) == {"nome_instalacao": "manual refused", "treinamento": "not_needed"}
    assert "has 0 rows NOMEINSTALACAO" in did["manual"][0]["reason"] and pec.started() == started, "seen before PEC is stopped"
    pec.sql("create rule keep as on update to tb_config_sistema where new.co_config_sistema = 'TREINAMENTO' do instead nothing")
    did = pec.set({"link_instalacao": "https://outro.example", "treinamento": False}, database_writes=True)
    assert set(results(did).values()) == {"manual refused"} and "has 0 rows TREINAMENTO" in did["manual"][0]["reason"]
    assert pec.cell("LINKINSTALACAO", "ds_texto") == before, "all in one transaction"
    assert pec.info("treinamento") == {"treinamento": True} and pec.started() != started, "PEC is back"
    pec.sql("drop rule keep on tb_config_sistema")
    pec.sql("update tb_config_sistema set co_config_sistema = 'NOMEINSTALACAO' where co_config_sistema = 'X'")


def test_pec_restarts_in_the_middle(pec: Pec) -> None:
    pec.given({"cadsus": True, "horus": True, "link_instalacao": "https://pec.example"}, database_writes=True)
    pec.given({"videochamada": True})
    pec.command(api__restart_on="AlterarCadsus")
    did = pec.set({"cadsus": False, "horus": False, "videochamada": False}, wait=180)
    assert results(did) == {"cadsus": "confirmed", "horus": "confirmed", "videochamada": "confirmed"}, did["_output"]
    assert (pec.cell("CADSUSHABILITADO"), pec.cell("HORUSHABILITADO")) == ("0", "0")
    pec.command(api__session_lost_on="AlterarHorus")
    assert results(pec.set({"horus": True})) == {"horus": "confirmed"}


def test_one_session_a_person(pec: Pec) -> None:
    pec.given({"horus": True})
    assert pec.logs_in(PASSWORD)
    refused = pec.set({"horus": False})
    assert refused["_failed"] and "is logged in to PEC elsewhere" in refused["msg"]
    assert pec.cell("HORUSHABILITADO") == "1"
    assert results(pec.set({"horus": False}, force=True)) == {"horus": "confirmed"}
    assert results(pec.set({"horus": True})) == {"horus": "confirmed"}, "the session was closed"


def test_a_wrong_password_is_tried_once(pec: Pec) -> None:
    pec.given({"horus": True})
    wrong = {"instalador": {"cpf": CPF, "password": "Errada2026"}}
    for _run in range(3):
        refused = pec.set({"horus": False}, **wrong)
        assert refused["_failed"] and "wrong ones lock the account" in refused["msg"]
    assert pec.attempts() == ("1", "0") and pec.mode("refused-logins") == "root 600"
    assert pec.changed(pec_services_settings={"horus": True}) == 0
    assert results(pec.set({"horus": False})) == {"horus": "confirmed"} and pec.attempts() == ("0", "0")


def test_the_instaladors_password_is_changed(pec: Pec) -> None:
    pec.given({"horus": False})
    assert pec.module("instalador_password", {"new_password": NEW}, check=True)["changed"] is True
    assert pec.changed(pec_services_new_password=NEW, pec_services_settings={"horus": True}) == 2
    assert pec.changed(pec_services_new_password=NEW, pec_services_settings={"horus": True}) == 0
    assert pec.attempts() == ("0", "0"), "the old one was not tried again"
    assert pec.logs_in(NEW) and not pec.logs_in(PASSWORD)
    pec.server.run("systemctl", "restart", "e-SUS-PEC")
    wait(pec.server)
    assert pec.changed(pec_instalador_password=NEW, pec_services_settings={"horus": False}) == 1


def test_nothing_of_it_is_left_where_others_read(pec: Pec) -> None:
    """Of all that the tests before did, or of the first run."""
    places = ("/var/log", "/opt/e-SUS/webserver/logs", "/tmp", "/var/tmp", "/root/.ansible", "/etc/esus-pec")
    assert on_server(pec.server.shell, SECRETS, JOURNAL, *places) == []
