# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in's settings, as the instalador changes them through the API. Fixtures bring PEC where a test begins, so each runs alone.

Contract 4 knows the names of the operations and of some arguments; everything else about them is a guess [?], and so are the tests of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from pec_host import GENERATE_LOCALE, PACKAGES, Answer, PecHost, message
from secret_search import JOURNAL, on_server

CPF, FIRST_PASSWORD = "52998224725", "Trocar2026"
INSTALAR = "mutation Instalar($input: InstalacaoInput!){instalar(input:$input)}"
LOGIN = "mutation Login($input: LoginInput!){login(input:$input){success}}"
SELECT = "mutation S($input: SelecionarAcessoInput!){selecionarAcesso(input:$input){id}}"
ACCESSES = "query Sessao { sessao { acesso { id } profissional { acessos { id tipo } } } }"
INTERNET = "mutation AlternarConexaoInternet($habilitado: Boolean!) { alternarConexaoInternet(habilitado: $habilitado) }"
CADSUS = "mutation A($alterarCadsusInput: AlterarCadsusInput!) { alterarCadsus(alterarCadsusInput: $alterarCadsusInput) { id } }"
SMTP = "mutation AlterarServidorSMTP($input: ServidorSMTPInput!) { alterarServidorSMTP(input: $input) { id } }"
VIA_CDS = "mutation A($h: Boolean!) { alterarConfiguracaoCadastroDomiciliarViaCds(habilitado: $h) }"
FIRST_RUN = {
    "dadosInstalacao": {"linkInstalacao": "http://127.0.0.1:8080/", "nomeInstalacao": "PEC de Teste"},
    "tipoInstalacao": "PRONTUARIO",
    "novaSenha": FIRST_PASSWORD,
    "profissional": {"nomeCivil": "Fulana de Souza", "cpf": CPF, "endereco": None},
}
PRESCRIPTION = "mutation A($i: ConfiguracaoPrescricaoDigitalInput!) { alterarConfiguracaoPrescricaoDigital(input: $i) }"
ATTACHMENTS = "mutation A($i: ConfiguracaoAnexoArquivosInput!) { alterarConfiguracaoAnexoArquivos(input: $i) }"
AGENDA = "mutation A($contraChave: String!) { ativarAgendaOnline(contraChave: $contraChave) { id } }"
# The bundled PostgreSQL answers there, which is all that is looked for.
MAIL = {"endereco": "127.0.0.1", "porta": 5433, "usuario": "pec@exemplo.test", "senha": "s3gredo-do-email", "email": "pec@exemplo.test"}
SIGNED = {"habilitado": True, "usuario": "pec", "senha": "s3gredo-da-prescricao"}


@dataclass
class Instalador:
    """A browser of the instalador's."""

    host: PecHost
    cookies: dict[str, str] = field(default_factory=dict)
    password: str = FIRST_PASSWORD

    def ask(self, query: str, **variables: Any) -> Answer:
        return self.host.graphql(query, variables, self.cookies)

    def data(self, query: str, **variables: Any) -> Any:
        answer = self.ask(query, **variables).json
        assert "errors" not in answer, answer
        return answer["data"]

    def log_in(self) -> None:
        answer = self.host.graphql(LOGIN, {"input": {"username": CPF, "password": self.password, "force": True}})
        assert answer.json == {"data": {"login": {"success": True}}}, answer.text
        self.cookies = answer.cookies

    def select(self) -> None:
        access = self.data(ACCESSES)["sessao"]["profissional"]["acessos"][0]
        assert access["tipo"] == "ADMINISTRADOR_GERAL"
        self.data(SELECT, input={"id": access["id"]})

    def info(self, name: str) -> Any:
        return self.host.graphql(f"{{ info {{ {name} }} }}").json["data"]["info"][name]

    def row(self, key: str, column: str = "ds_inteiro") -> str:
        return self.host.sql(f"select {column} from tb_config_sistema where co_config_sistema = '{key}'")


def errors(answer: Answer) -> list[str]:
    assert answer.status == 200
    return [error["message"] for error in answer.json["errors"]]


def classification(answer: Answer) -> str:
    return answer.json["errors"][0]["extensions"]["classification"]


@pytest.fixture(scope="module")
def old(start_server: Any, jar: Any) -> Instalador:
    """A Debian 12 with an older PEC and its own database, before the first run."""
    host = PecHost(start_server("esus-pec-standin-settings", "debian12"))
    host.prepare(f"{PACKAGES} postgresql-client")
    host.sh(GENERATE_LOCALE)
    for version in ("5.3.28", "5.4.37"):
        host.server.copy(jar(version), f"/srv/{version}.jar")
    run = host.install("5.3.28")
    assert run.returncode == 0, run.stdout
    host.wait()
    return Instalador(host)


@pytest.fixture
def current(old: Instalador) -> Instalador:
    """PEC is 5.4.37."""
    if old.row("VERSAOBANCODADOS", "ds_texto") != "5.4.37":
        run = old.host.install("5.4.37")
        assert run.returncode == 0, run.stdout
        old.host.wait()
    return old


@pytest.fixture
def instalador(current: Instalador) -> Instalador:
    """It has been through its first run, the instalador is logged in, and nothing is commanded."""
    current.host.command()
    if not current.info("ativado"):
        assert current.data(INSTALAR, input=FIRST_RUN) == {"instalar": True}
    session = current.data(ACCESSES)["sessao"]
    if not session or not session["acesso"]:
        current.log_in()
        current.select()
    return current


def test_older_version_lacks_an_operation(old: Instalador) -> None:
    """A guess [?]: 5.3.28 has neither alterarConfiguracaoCadastroDomiciliarViaCds nor its field of info. Then it becomes 5.4.37."""
    undefined = "Validation error (FieldUndefined@[{}]) : Field '{}' in type '{}' is undefined"
    operation = "alterarConfiguracaoCadastroDomiciliarViaCds"
    assert errors(old.ask(VIA_CDS, h=True)) == [undefined.format(operation, operation, "Mutation")]
    fact = "cadastroDomiciliarViaCdsEnabled"
    assert errors(old.ask(f"{{ info {{ {fact} }} }}")) == [undefined.format(f"info/{fact}", fact, "Info")]
    run = old.host.install("5.4.37")
    assert run.returncode == 0, run.stdout
    old.host.wait()
    assert classification(old.ask(VIA_CDS, h=True)) == "AccessDeniedException"
    assert old.info(fact) is False


def test_only_the_instalador(instalador: Instalador) -> None:
    """A guess [?]: without a session, and before an access is selected (contract 4, selecionarAcesso), Acesso negado."""
    instalador.cookies = {}
    without = instalador.ask(INTERNET, habilitado=False)
    instalador.log_in()
    for answer in (without, instalador.ask(INTERNET, habilitado=False), instalador.ask("{ configuracaoVideochamada { habilitado } }")):
        assert (message(answer), classification(answer)) == ("Acesso negado", "AccessDeniedException")
    assert instalador.info("internetHabilitada") is True
    instalador.select()
    assert instalador.data(INTERNET, habilitado=False) == {"alternarConexaoInternet": True}
    assert instalador.info("internetHabilitada") is False
    instalador.data(INTERNET, habilitado=True)


@pytest.mark.parametrize(
    ("query", "variables", "expected"),
    [
        ("mutation { a }", {}, ["Validation error (FieldUndefined@[a]) : Field 'a' in type 'Mutation' is undefined"]),
        ("{ a }", {}, ["Validation error (FieldUndefined@[a]) : Field 'a' in type 'Query' is undefined"]),
        (
            "mutation { logout { id a } b: desabilitarConexaoSMTP(c: 1) }",
            {},
            [
                "Validation error (FieldUndefined@[logout/a]) : Field 'a' in type 'Usuario' is undefined",
                "Validation error (UnknownArgument@[desabilitarConexaoSMTP]) : Unknown field argument 'c'",
            ],
        ),
        (
            "mutation { alterarPeriodoInatividade(meses: 30) }",
            {},
            [
                "Validation error (UnknownArgument@[alterarPeriodoInatividade]) : Unknown field argument 'meses'",
                "Validation error (MissingFieldArgument@[alterarPeriodoInatividade]) : Missing field argument 'periodo'",
            ],
        ),
        (
            "mutation { desabilitarConexaoSMTP { id } desativarAgendaOnline }",
            {},
            [
                "Validation error (SubselectionNotAllowed@[desabilitarConexaoSMTP]) : "
                "Subselection not allowed on leaf type 'Boolean' of field 'desabilitarConexaoSMTP'",
                "Validation error (SubselectionRequired@[desativarAgendaOnline]) : "
                "Subselection required for type 'Configuracao' of field 'desativarAgendaOnline'",
            ],
        ),
        (
            "mutation A($input: SmtpInput!) { alterarServidorSMTP(input: $input) { id } }",
            {"input": MAIL},
            ["Validation error (UnknownType) : Unknown type 'SmtpInput'"],
        ),
        (
            "mutation A($input: AlterarHorusInput!, $a: Int) { alterarServidorSMTP(input: $input) { id @skip(if: $b) } }",
            {},
            [
                "Validation error (VariableTypeMismatch@[alterarServidorSMTP]) : "
                "Variable 'input' of type 'AlterarHorusInput!' used in position expecting type 'ServidorSMTPInput!'",
                "Validation error (UndefinedVariable@[alterarServidorSMTP/id]) : Undefined variable 'b'",
                "Validation error (UnusedVariable) : Unused variable 'a'",
            ],
        ),
        (
            SMTP,
            {"input": {**MAIL, "host": "a"}},
            ["The variables input contains a field name 'host' that is not defined for input object type 'ServidorSMTPInput' "],
        ),
        (
            SMTP,
            {"input": {"endereco": "a"}},
            ["Variable 'input' has an invalid value: Field 'porta' has coerced Null value for NonNull type 'Int!'"],
        ),
        (
            SMTP,
            {"input": {**MAIL, "porta": "587"}},
            ["Variable 'input' has an invalid value: Expected a value that can be converted to type 'Int' but it was a 'String'"],
        ),
        (
            SMTP,
            {"input": "a"},
            [
                "Variable 'input' has an invalid value: Expected type 'Map' but was 'String'. "
                "Variables for input objects must be an instance of type 'Map'."
            ],
        ),
        (INTERNET, {"habilitado": "sim"}, ["Variable 'habilitado' has an invalid value: Expected a Boolean input, but it was a 'String'"]),
        (
            INTERNET,
            {},
            ["Variable 'habilitado' has an invalid value: Variable 'habilitado' has coerced Null value for NonNull type 'Boolean!'"],
        ),
        (
            'mutation { alterarHorus(alterarHorusInput: {habilitado: "sim", a: 1}) { id @b } }',
            {},
            [
                "Validation error (WrongType@[alterarHorus]) : "
                "argument 'alterarHorusInput.habilitado' with value 'sim' is not a valid 'Boolean'",
                "Validation error (WrongType@[alterarHorus]) : argument 'alterarHorusInput' with value '{habilitado=sim, a=1}' "
                "contains a field not in 'AlterarHorusInput': 'a'",
                "Validation error (UnknownDirective@[alterarHorus/id]) : Unknown directive 'b'",
            ],
        ),
    ],
)
def test_validation(instalador: Instalador, query: str, variables: dict[str, Any], expected: list[str]) -> None:
    """graphql-java's own texts; that PEC answers with them is [I], as it is a Spring program. Nothing is done, and there is no data."""
    before = instalador.info("smtpConfigurado"), instalador.info("internetHabilitada")
    answer = instalador.ask(query, **variables)
    assert errors(answer) == expected
    assert {error["extensions"]["classification"] for error in answer.json["errors"]} == {"ValidationError"}
    assert "data" not in answer.json
    assert (instalador.info("smtpConfigurado"), instalador.info("internetHabilitada")) == before


def test_syntax(instalador: Instalador) -> None:
    """graphql-java's [I]: InvalidSyntax for what is not GraphQL; an operationName has to be the document's."""
    answer = instalador.ask("{ info { }")
    assert classification(answer) == "InvalidSyntax" and "data" not in answer.json
    body = {"query": "query A { info { ativado } }", "operationName": "B"}
    assert message(instalador.host.get("/api/graphql", body=body)) == "Unknown operation named 'B'."


def test_skip(instalador: Instalador) -> None:
    """GraphQL's own: a skipped field is checked with its variables, but neither done nor answered."""
    instalador.data(INTERNET, habilitado=True)
    skipped = "mutation A($h: Boolean!, $s: Boolean!) { alternarConexaoInternet(habilitado: $h) @skip(if: $s) }"
    assert instalador.data(skipped, h=False, s=True) == {}
    assert instalador.data("mutation { desabilitarConexaoSMTP @include(if: false) b: __typename }") == {"b": "Mutation"}
    assert "errors" in instalador.ask(skipped, h="a", s=True).json
    assert "FieldUndefined" in message(instalador.ask("mutation { a @skip(if: true) }"))
    assert instalador.info("internetHabilitada") is True
    assert instalador.data(skipped, h=False, s=False) == {"alternarConexaoInternet": True}
    assert instalador.info("internetHabilitada") is False
    assert instalador.data("{ info { id @skip(if: true) ativado @include(if: true) } }") == {"info": {"ativado": True}}


@pytest.mark.parametrize(
    ("query", "variables", "fact"),
    [
        (INTERNET, {"habilitado": True}, "internetHabilitada"),
        (PRESCRIPTION, {"i": SIGNED}, "isPrescricaoDigitalEnabled"),
        (ATTACHMENTS, {"i": {"habilitado": True, "diretorio": "/srv/anexos"}}, "anexoArquivosEnabled"),
        (
            "mutation A($h: Boolean!) { alterarBuscaCidadaoPorPropriedades(habilitado: $h) }",
            {"h": True},
            "buscaCidadaoPorPropriedadesEnabled",
        ),
        (VIA_CDS, {"h": True}, "cadastroDomiciliarViaCdsEnabled"),
    ],
)
def test_what_info_tells(instalador: Instalador, query: str, variables: dict[str, Any], fact: str) -> None:
    """Contract 4, info: the names of the facts. That they follow these operations is a guess [?]."""
    instalador.data(INTERNET, habilitado=False)
    assert instalador.info(fact) is False
    assert list(instalador.data(query, **variables).values()) == [True]
    assert instalador.info(fact) is True


def test_what_queries_tell(instalador: Instalador) -> None:
    """A guess [?]: the queries, and the defaults of contract 4, login (5 attempts); values outside a screen's choices are refused."""
    query = (
        "{ configuracoesSeguranca { periodoRedefinicaoSenha periodoInatividade tentativasLogin }"
        " configuracaoVideochamada { habilitado } configuracaoRequisicoes { qtdRequisicoesSimultaneas } }"
    )
    found = instalador.data(query)
    assert found["configuracoesSeguranca"] == {"periodoRedefinicaoSenha": 6, "periodoInatividade": 60, "tentativasLogin": 5}
    assert found["configuracaoVideochamada"] == {"habilitado": False}
    assert found["configuracaoRequisicoes"] == {"qtdRequisicoesSimultaneas": 16}
    for refused in ("alterarPeriodoRedefinicaoSenha(periodo: 7)", "alterarPeriodoInatividade(periodo: 31)"):
        assert classification(instalador.ask(f"mutation {{ {refused} }}")) == "PecValidationException"
    instalador.data(
        "mutation { alterarPeriodoRedefinicaoSenha(periodo: 3) alterarPeriodoInatividade(periodo: 240)"
        " alterarNumeroTentativasLogin(tentativas: 2) alterarVideochamada(input: {habilitado: true})"
        " alterarQtdRequisicoes(qtdRequisicoesSimultaneas: 32) }"
    )
    found = instalador.data(query)
    assert found["configuracoesSeguranca"] == {"periodoRedefinicaoSenha": 3, "periodoInatividade": 240, "tentativasLogin": 2}
    assert found["configuracaoVideochamada"] == {"habilitado": True}
    assert found["configuracaoRequisicoes"] == {"qtdRequisicoesSimultaneas": 32}


def test_cadsus_and_horus(instalador: Instalador) -> None:
    """Contract 3: the keys, of which the value column is a guess [?]; contract 4: intervalo, e.g. INDETERMINADO."""
    horus = "mutation A($i: AlterarHorusInput!) { alterarHorus(alterarHorusInput: $i) { id } }"
    assert (instalador.row("CADSUSHABILITADO"), instalador.row("HORUSHABILITADO")) == ("0", "0")
    assert instalador.data(CADSUS, alterarCadsusInput={"habilitado": True, "intervalo": None}) == {"alterarCadsus": {"id": "1"}}
    instalador.data(horus, i={"habilitado": True})
    assert (instalador.row("CADSUSHABILITADO"), instalador.row("HORUSHABILITADO")) == ("1", "1")
    refused = instalador.ask(CADSUS, alterarCadsusInput={"habilitado": False, "intervalo": "UM_ANO"})
    assert classification(refused) == "PecValidationException"
    instalador.data(CADSUS, alterarCadsusInput={"habilitado": False, "intervalo": "UM_MES"})
    instalador.data(horus, i={"habilitado": False, "intervalo": "INDETERMINADO"})
    assert (instalador.row("CADSUSHABILITADO"), instalador.row("HORUSHABILITADO")) == ("0", "0")


def test_mail_server(instalador: Instalador) -> None:
    """Contract 4, smtpConfigurado; a guess [?] that PEC looks whether the server is there."""
    nobody = {**MAIL, "porta": 9}
    assert message(instalador.ask(SMTP, input=nobody)) == "Não foi possível conectar ao servidor de e-mail"
    assert instalador.info("smtpConfigurado") is False
    instalador.data(SMTP, input=MAIL)
    assert instalador.info("smtpConfigurado") is True and instalador.row("SMTPSENHA", "ds_texto") == MAIL["senha"]
    instalador.host.command(smtp__check="accept")
    instalador.data(SMTP, input=nobody)
    instalador.host.command()
    assert instalador.data("mutation { desabilitarConexaoSMTP }") == {"desabilitarConexaoSMTP": True}
    assert instalador.info("smtpConfigurado") is False


def test_online_agenda(instalador: Instalador) -> None:
    """Contract 3: tb_ativacao_agendamento_online has co_prof, dt_evento and st_ativado; contract 5: a contra-chave is opaque."""
    assert classification(instalador.ask(AGENDA, contraChave=" ")) == "PecValidationException"
    instalador.data(AGENDA, contraChave="4GENDA00")
    instalador.data("mutation { desativarAgendaOnline { id } }")
    events = "select p.nu_cpf, a.st_ativado, a.dt_evento > now() - interval '1 minute'"
    events += " from tb_ativacao_agendamento_online a join tb_prof p on p.co_seq_prof = a.co_prof order by a.dt_evento"
    assert instalador.host.sql(events).splitlines() == [f"{CPF}|1|t", f"{CPF}|0|t"]


def test_lockout_follows_its_setting_and_a_new_password_ends_it(instalador: Instalador) -> None:
    """Contract 4: login's lockout, solicitarRedefinicaoSenha and redefinirSenha, by name; link, single use and texts are guesses [?]."""
    ask = "mutation S($input: SolicitarRecuperacaoSenhaInput!) { solicitarRedefinicaoSenha(input: $input) { value } }"
    instalador.data("mutation { alterarNumeroTentativasLogin(tentativas: 2) }")
    reset = "mutation R($input: RedefinirSenhaInput!) { redefinirSenha(input: $input) }"
    assert classification(instalador.host.graphql(ask, {"input": {"usuario": CPF}})) == "AccessDeniedException"
    assert "errors" in instalador.ask(ask, input={"usuario": "11111111111"}).json
    link = instalador.data(ask, input={"usuario": CPF})["solicitarRedefinicaoSenha"]["value"]
    address, token = link.rsplit("/", 1)
    assert address == "http://127.0.0.1:8080/redefinirSenha"
    for _attempt in range(2):
        assert "errors" in instalador.host.graphql(LOGIN, {"input": {"username": CPF, "password": "errada123"}}).json
    right = {"username": CPF, "password": instalador.password, "force": True}
    assert "errors" in instalador.host.graphql(LOGIN, {"input": right}).json
    chosen = {"usuario": CPF, "token": token, "novaSenha": "Outra2027"}
    wrong = instalador.host.graphql(reset, {"input": {**chosen, "token": "0"}})
    assert message(wrong) == "Link inválido ou expirado"
    assert "senha" in message(instalador.host.graphql(reset, {"input": {**chosen, "novaSenha": "fulana2026"}}))
    assert instalador.data(ACCESSES)["sessao"] is not None
    assert instalador.host.graphql(reset, {"input": chosen}).json == {"data": {"redefinirSenha": True}}
    instalador.password = chosen["novaSenha"]
    assert instalador.data(ACCESSES)["sessao"] is None
    assert message(instalador.host.graphql(reset, {"input": chosen})) == "Link inválido ou expirado"
    instalador.log_in()


def test_what_the_session_says_of_its_user(instalador: Instalador) -> None:
    """Contract 4, sessao: forcarTrocaSenha and aceitouTermosUso, from columns that are [I]."""
    query = "query Sessao { sessao { acesso { id tipo perfis { nome } } profissional { usuario { forcarTrocaSenha aceitouTermosUso } } } }"
    user = {"forcarTrocaSenha": False, "aceitouTermosUso": False}
    assert instalador.data(query)["sessao"]["profissional"]["usuario"] == user
    instalador.host.sql("update tb_usuario set st_forcar_troca_senha = 1, st_aceitou_termos_uso = 1")
    session = instalador.data(query)["sessao"]
    assert session["profissional"]["usuario"] == {"forcarTrocaSenha": True, "aceitouTermosUso": True}
    assert session["acesso"]["tipo"] == "ADMINISTRADOR_GERAL"
    instalador.host.sql("update tb_usuario set st_forcar_troca_senha = 0")


def test_unknown_refused_and_ignored_on_command(instalador: Instalador) -> None:
    """The commands: as if this version had not the operation or the field; a refusal in given words; accepted without effect."""
    instalador.data(INTERNET, habilitado=True)
    instalador.host.command(api__unknown="AlternarConexaoInternet, configuracaoVideochamada, info.anexoArquivosEnabled")
    queries = (INTERNET, "{ configuracaoVideochamada { habilitado } }", "{ info { anexoArquivosEnabled } }")
    for query in queries:
        assert "(FieldUndefined@[" in message(instalador.ask(query, habilitado=False))
    instalador.host.command(api__refuse="alternarConexaoInternet")
    answer = instalador.ask(INTERNET, habilitado=False)
    assert (message(answer), classification(answer)) == ("Não foi possível concluir a operação", "PecValidationException")
    instalador.host.command(api__refuse="AlternarConexaoInternet", api__refuse_message="Serviço indisponível")
    assert message(instalador.ask(INTERNET, habilitado=False)) == "Serviço indisponível"
    instalador.host.command(api__ignore="alternarConexaoInternet,alterarCadsus")
    assert instalador.data(INTERNET, habilitado=False) == {"alternarConexaoInternet": True}
    assert instalador.data(CADSUS, alterarCadsusInput={"habilitado": True}) == {"alterarCadsus": {"id": "1"}}
    assert instalador.info("internetHabilitada") is True and instalador.row("CADSUSHABILITADO") == "0"


def test_session_lost_on_command(instalador: Instalador) -> None:
    """The command: once, all sessions end before the operation."""
    instalador.data(INTERNET, habilitado=True)
    instalador.host.command(api__session_lost_on="alternarConexaoInternet")
    assert classification(instalador.ask(INTERNET, habilitado=False)) == "AccessDeniedException"
    assert instalador.data(ACCESSES)["sessao"] is None and instalador.info("internetHabilitada") is True
    instalador.log_in()
    instalador.select()
    instalador.data(INTERNET, habilitado=False)
    assert instalador.info("internetHabilitada") is False


def test_restart_on_command(instalador: Instalador) -> None:
    """The command: once, PEC restarts instead of answering. The settings are in the database, the sessions are not."""
    instalador.data(INTERNET, habilitado=False)
    instalador.data(ATTACHMENTS, i={"habilitado": True, "diretorio": "/srv/anexos"})
    instalador.host.command(api__restart_on="AlternarConexaoInternet")
    before = instalador.host.unit("e-SUS-PEC", "MainPID")
    with pytest.raises(OSError):
        instalador.ask(INTERNET, habilitado=True)
    instalador.host.wait()
    assert instalador.host.unit("e-SUS-PEC", "MainPID") != before
    assert instalador.info("internetHabilitada") is False and instalador.info("anexoArquivosEnabled") is True
    assert classification(instalador.ask(INTERNET, habilitado=True)) == "AccessDeniedException"


def test_secrets_are_not_logged(instalador: Instalador) -> None:
    """A test double stores them as they are; no log has them."""
    instalador.data(SMTP, input=MAIL)
    instalador.data(PRESCRIPTION, i=SIGNED)
    instalador.data(AGENDA, contraChave="4GENDA00")
    secrets = [str(MAIL["senha"]), str(SIGNED["senha"]), instalador.password, FIRST_PASSWORD, "4GENDA00"]
    assert on_server(instalador.host.sh, secrets, JOURNAL, "/opt/e-SUS/webserver/logs") == []
