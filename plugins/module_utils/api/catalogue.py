# SPDX-License-Identifier: GPL-3.0-or-later
"""The operations of PEC's API and the settings behind them, as data. Private to the collection.

If a real server differs, one entry has to be corrected. A site corrects it without a release by the modules' option C(operations) (variable
C(pec_api_operations)), which has the form of the entries here and holds only what differs. operations.py reads both.

An operation is the name of its GraphQL field under C(query) or C(mutation), the types of its C(arguments), the C(selection) from a result
that is an object, and the C(variables); C(name) is the operation's own, by default the field's with a capital. In variables, C($name) is
a placeholder: an answer of the first run, a part of a login, a field of a setting.

Evidence: C official or two independent sources; S one source; I inferred; ? a guess, for lack of any evidence. The letters of a source are
those of docs/contract.md. An operation that PEC does not know is harmless: a GraphQL server validates a whole document before executing it.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.esus.pec.plugins.module_utils import beliefs

GRAPHQL_PATH = "/api/graphql"
"""C (V FD MC)."""

HEADERS = {"Api-Consumer-Id": "ESUS_WEB_CLIENT", "apollographql-client-name": "PEC Web"}
"""C: a login requires the first (MC), FD sends it always; the second is from PEC's own page. The version is sent if it is known."""

VERSION_HEADER = "apollographql-client-version"

XSRF_COOKIE, XSRF_HEADER = "XSRF-TOKEN", "X-XSRF-TOKEN"
"""C (V FD) for REST; GraphQL accepts requests without (FD V)."""

FIRST_RUN_DONE = ("ativado", "linkInstalacaoConfigurado")
"""The first run is over when one of these is true in the answer of `Configuracoes`.

S that they exist and need no session (V asks for them before the first run). I what they mean: `Instalar` always carries a link, so
afterwards `linkInstalacaoConfigurado` holds; `ativado` is accepted too, because no installation can be active before it exists.
"""

PUBLIC_FACTS = (
    ("ativado", "linkInstalacaoConfigurado", "smtpConfigurado", "internetHabilitada", "govBREnabled", "serverTimezoneOffset"),
    ("versao", "treinamento"),
)
"""What `info` returns without a session, in groups that are queried together.

S (V) for the first group, on PEC 5.4.37. The second is only in another author's imitation of PEC 5.4.36 (MOCK), so it is queried
separately: a server rejects the whole query for one field that it does not know.
"""

ADMINISTRATOR = "ADMINISTRADOR_GERAL"
"""The access of the instalador, by its tipo in `sessao`. S (FD)."""

ALREADY_LOGGED_IN = "UsuarioJaLogadoException"
"""Classification of a login while another session is open; PecAuthenticationException with its text is another form. S (MC)."""

VALIDATION_ERROR = "ValidationError"
"""Classification of a document that the server rejects before executing any of it: graphql-java's, which Spring uses."""

PREREQUISITES = ("internet", "https", "smtp", "certificate", "contra_chave", "govbr")
"""What settings can require, by the names in their requires and advises."""

# An operation that is sent once is never repeated once it may have reached PEC: a wrong password counts, and a first run is one.
OPERATIONS: dict[str, dict[str, Any]] = {
    "info": {"query": "info", "name": "Configuracoes", "selection": "ativado linkInstalacaoConfigurado", "evidence": "S", "source": "V"},
    "instalar": {
        "mutation": "instalar",
        "arguments": {"input": "InstalacaoInput!"},
        "variables": {
            "input": {
                "dadosInstalacao": {"linkInstalacao": "$link", "nomeInstalacao": "$name"},
                "tipoInstalacao": "$type",
                "novaSenha": "$password",
                "profissional": {"nomeCivil": "$instalador_name", "cpf": "$cpf", "endereco": None},
            }
        },
        "once": True,
        "evidence": "S",
        "source": "V",
    },
    "login": {
        "mutation": "login",
        "arguments": {"input": "LoginInput!"},
        "selection": "success",
        "variables": {"input": {"username": "$username", "password": "$password", "force": "$force"}},  # nosec B105  # names
        "once": True,
        "evidence": "C",
        "source": "FD MC",
    },
    "sessao": {
        "query": "sessao",
        "selection": "acesso { id tipo } profissional { id nome cpf usuario { forcarTrocaSenha aceitouTermosUso } acessos { id tipo } }",
        "evidence": "S",
        "source": "FD",
    },
    "selecionar_acesso": {
        "mutation": "selecionarAcesso",
        "arguments": {"input": "SelecionarAcessoInput!"},
        "selection": "id",
        "variables": {"input": {"id": "$id"}},
        "evidence": "C",
        "source": "FD MC",
    },
    "logout": {"mutation": "logout", "selection": "id", "evidence": "S", "source": "MC"},
    "solicitar_redefinicao_senha": {
        "mutation": "solicitarRedefinicaoSenha",
        "arguments": {"input": "SolicitarRecuperacaoSenhaInput!"},
        "selection": "value",
        "variables": {"input": {"usuario": "$username"}},
        "once": True,
        "evidence": "S",
        "source": "FD",
    },
    "redefinir_senha": {
        "mutation": "redefinirSenha",
        "arguments": {"input": "RedefinirSenhaInput!"},
        "variables": {"input": {"usuario": "$username", "token": "$token", "novaSenha": "$new_password"}},  # nosec B105  # names
        "once": True,
        "evidence": "S",
        "source": "FD",
    },
}


def _row(key: str, column: str) -> str:
    """SQL for one cell of PEC's table of settings."""
    return f"select {column} from public.{beliefs.SETTINGS_TABLE} where co_config_sistema = '{key}'"


def _mutation(root: str, evidence: str, arguments: dict[str, str] | None = None, variables: Any = None) -> dict[str, Any]:
    """An operation of PEC's screens, of which one source (V) saw the name and some arguments."""
    given = {"arguments": arguments, "variables": variables} if arguments else {}
    return {"mutation": root, **given, "evidence": evidence, "source": "V"}


_MODULE = "Configurações da instalação"
_SECURITY = {"query": "configuracoesSeguranca", "selection": "periodoRedefinicaoSenha periodoInatividade tentativasLogin"}

# Settings are set in this order, because some require others.
# screen: where it is set by hand. C (M) for Servidores, Segurança, CADSUS, Hórus, Agenda Online, Prescrição digital and the number of
#   requests; S (V) for the rest, whose words on the screen were not seen.
# requires, advises: what must exist before it can be switched on, and what it is of little use without. C (M).
# since: the oldest PEC that has it.
# read: from the public `info`, by SQL, or by a query in the instalador's session. A field that nothing reads is compared with what this
#   host sent last.
# write, disable: what sets it, and what switches it off if that is another operation.
SETTINGS: dict[str, dict[str, Any]] = {
    "nome_instalacao": {
        "fields": {"value": {"type": "str"}},
        "screen": f"{_MODULE} > Servidores > Nome da instalação",
        "read": {"sql": {"value": _row(beliefs.NAME_KEY, "ds_texto")}, "evidence": "C", "source": "FD"},
        "write": {"row": [beliefs.NAME_KEY, "ds_texto"], "evidence": "C", "source": "FD"},
    },
    "link_instalacao": {
        "fields": {"value": {"type": "str"}},
        "screen": f"{_MODULE} > Servidores > Link da instalação",
        "read": {"sql": {"value": _row(beliefs.LINK_KEY, "ds_texto")}, "evidence": "C", "source": "FD"},
        "write": {"row": [beliefs.LINK_KEY, "ds_texto"], "evidence": "C", "source": "FD"},
    },
    "treinamento": {
        "fields": {"enabled": {"type": "bool"}},
        "screen": "sem tela: é escolhido na instalação (opção -treinamento do programa instalador)",
        "read": {"sql": {"enabled": _row(beliefs.TRAINING_KEY, "coalesce(ds_inteiro, 0)")}, "evidence": "C", "source": "FD RS"},
        "write": {"row": [beliefs.TRAINING_KEY, "ds_inteiro"], "evidence": "C", "source": "FD RS"},
    },
    "internet": {
        "fields": {"enabled": {"type": "bool"}},
        "screen": f"{_MODULE} > Conexão > Internet",
        "read": {"info": {"enabled": "internetHabilitada"}, "evidence": "S", "source": "V"},
        "write": _mutation("alternarConexaoInternet", "I", {"habilitado": "Boolean!"}, {"habilitado": "$enabled"}),
    },
    "periodo_redefinicao_senha": {
        "fields": {"value": {"type": "int", "choices": [1, 2, 3, 4, 5, 6]}},
        "screen": f"{_MODULE} > Segurança > Período para redefinição de senha",
        "read": {**_SECURITY, "values": {"value": "periodoRedefinicaoSenha"}, "evidence": "?", "source": "-"},
        "write": _mutation("alterarPeriodoRedefinicaoSenha", "I", {"periodo": "Int!"}, {"periodo": "$value"}),
    },
    "periodo_inatividade": {
        "fields": {"value": {"type": "int", "choices": [30, 60, 120, 180, 240]}},
        "screen": f"{_MODULE} > Segurança > Período máximo de inatividade",
        "read": {**_SECURITY, "values": {"value": "periodoInatividade"}, "evidence": "?", "source": "-"},
        "write": _mutation("alterarPeriodoInatividade", "I", {"periodo": "Int!"}, {"periodo": "$value"}),
    },
    "tentativas_login": {
        "fields": {"value": {"type": "int", "choices": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}},
        "screen": f"{_MODULE} > Segurança > Máximo de tentativas consecutivas de login com autenticação inválida",
        "read": {**_SECURITY, "values": {"value": "tentativasLogin"}, "evidence": "?", "source": "-"},
        "write": _mutation("alterarNumeroTentativasLogin", "I", {"tentativas": "Int!"}, {"tentativas": "$value"}),
    },
    "smtp": {
        "fields": {
            "enabled": {"type": "bool", "default": True},
            "host": {"type": "str"},
            "port": {"type": "int"},
            "username": {"type": "str"},
            "password": {"type": "str", "no_log": True},
            "sender": {"type": "str"},
        },
        "screen": f"{_MODULE} > Servidores > Servidor SMTP",
        "read": {"info": {"enabled": "smtpConfigurado"}, "evidence": "S", "source": "V"},
        "write": _mutation(
            "alterarServidorSMTP",
            "?",
            {"input": "ServidorSMTPInput!"},
            {"input": {"endereco": "$host", "porta": "$port", "usuario": "$username", "senha": "$password", "email": "$sender"}},
        ),
        "disable": _mutation("desabilitarConexaoSMTP", "I"),
    },
    "anexos": {
        "fields": {"enabled": {"type": "bool", "default": True}, "directory": {"type": "str"}},
        "screen": f"{_MODULE} > Anexo",
        "read": {"info": {"enabled": "anexoArquivosEnabled"}, "evidence": "S", "source": "MOCK"},
        "write": _mutation(
            "alterarConfiguracaoAnexoArquivos",
            "?",
            {"input": "ConfiguracaoAnexoArquivosInput!"},
            {"input": {"habilitado": "$enabled", "diretorio": "$directory"}},
        ),
    },
    "cadsus": {
        "fields": {"enabled": {"type": "bool"}},
        "screen": f"{_MODULE} > Conexão > CADSUS",
        "requires": ["internet"],
        "advises": ["https", "govbr"],
        "read": {"sql": {"enabled": _row("CADSUSHABILITADO", "ds_inteiro")}, "evidence": "I", "source": "FD"},
        "write": _mutation(
            "alterarCadsus",
            "?",
            {"alterarCadsusInput": "AlterarCadsusInput!"},
            {"alterarCadsusInput": {"habilitado": True, "intervalo": None}},
        ),
        # The screen offers at most a month, after which PEC switches it on again (M).
        "disable": _mutation(
            "alterarCadsus",
            "?",
            {"alterarCadsusInput": "AlterarCadsusInput!"},
            {"alterarCadsusInput": {"habilitado": False, "intervalo": "UM_MES"}},
        ),
    },
    "horus": {
        "fields": {"enabled": {"type": "bool"}},
        "screen": f"{_MODULE} > Conexão > Hórus",
        "requires": ["internet"],
        "read": {"sql": {"enabled": _row("HORUSHABILITADO", "ds_inteiro")}, "evidence": "I", "source": "FD"},
        "write": _mutation(
            "alterarHorus", "?", {"alterarHorusInput": "AlterarHorusInput!"}, {"alterarHorusInput": {"habilitado": True, "intervalo": None}}
        ),
        "disable": _mutation(
            "alterarHorus",
            "?",
            {"alterarHorusInput": "AlterarHorusInput!"},
            {"alterarHorusInput": {"habilitado": False, "intervalo": "INDETERMINADO"}},
        ),
    },
    "videochamada": {
        "fields": {"enabled": {"type": "bool"}},
        "screen": f"{_MODULE} > Conexão > Videochamadas",
        "requires": ["https"],
        "read": {
            "query": "configuracaoVideochamada",
            "selection": "habilitado",
            "values": {"enabled": "habilitado"},
            "evidence": "?",
            "source": "-",
        },
        "write": _mutation("alterarVideochamada", "?", {"input": "AlterarVideochamadaInput!"}, {"input": {"habilitado": "$enabled"}}),
    },
    "agenda_online": {
        "fields": {"enabled": {"type": "bool"}},
        "screen": f"{_MODULE} > Conexão > Agenda Online",
        "requires": ["internet", "contra_chave"],
        # The last event counts. If there is none, it was never active.
        "read": {
            "sql": {
                "enabled": "select coalesce((select st_ativado from public.tb_ativacao_agendamento_online "
                "order by dt_evento desc limit 1), 0)"
            },
            "evidence": "I",
            "source": "DJ",
        },
        "write": _mutation("ativarAgendaOnline", "?", {"contraChave": "String!"}, {"contraChave": "$contra_chave"}),
        "disable": _mutation("desativarAgendaOnline", "I"),
    },
    "prescricao_digital": {
        "fields": {"enabled": {"type": "bool", "default": True}, "username": {"type": "str"}, "password": {"type": "str", "no_log": True}},
        "screen": f"{_MODULE} > Conexão > Prescrição digital",
        "since": "5.2.6",
        # The manual requires a valid certificate of ICP-Brasil and does not say whose. The request to PEC's support states that PEC has the
        # município's.
        "requires": ["https", "smtp", "certificate"],
        "read": {"info": {"enabled": "isPrescricaoDigitalEnabled"}, "evidence": "S", "source": "MOCK"},
        "write": _mutation(
            "alterarConfiguracaoPrescricaoDigital",
            "?",
            {"input": "ConfiguracaoPrescricaoDigitalInput!"},
            {"input": {"habilitado": "$enabled", "usuario": "$username", "senha": "$password"}},
        ),
    },
    "requisicoes_simultaneas": {
        "fields": {"value": {"type": "int"}},
        "screen": f"{_MODULE} > Configurações avançadas > Número de requisições simultâneas",
        "read": {
            "query": "configuracaoRequisicoes",
            "selection": "qtdRequisicoesSimultaneas",
            "values": {"value": "qtdRequisicoesSimultaneas"},
            "evidence": "?",
            "source": "-",
        },
        "write": _mutation("alterarQtdRequisicoes", "I", {"qtdRequisicoesSimultaneas": "Int!"}, {"qtdRequisicoesSimultaneas": "$value"}),
    },
    "busca_cidadao_por_propriedades": {
        "fields": {"enabled": {"type": "bool"}},
        "screen": f"{_MODULE} > Configurações avançadas > Busca de cidadão por propriedades",
        "read": {"info": {"enabled": "buscaCidadaoPorPropriedadesEnabled"}, "evidence": "S", "source": "MOCK"},
        "write": _mutation("alterarBuscaCidadaoPorPropriedades", "?", {"habilitado": "Boolean!"}, {"habilitado": "$enabled"}),
    },
    "cadastro_domiciliar_via_cds": {
        "fields": {"enabled": {"type": "bool"}},
        "screen": f"{_MODULE} > Configurações avançadas > Cadastro domiciliar via CDS",
        "read": {"info": {"enabled": "cadastroDomiciliarViaCdsEnabled"}, "evidence": "S", "source": "MOCK"},
        "write": _mutation("alterarConfiguracaoCadastroDomiciliarViaCds", "?", {"habilitado": "Boolean!"}, {"habilitado": "$enabled"}),
    },
}
