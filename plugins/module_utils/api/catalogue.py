# SPDX-License-Identifier: GPL-3.0-or-later
"""What this collection asks PEC's API for, and the settings it knows, as data: one entry to correct when a real server differs.

A site corrects an entry without a release, by the option C(operations) of the modules (variable C(pec_api_operations)); it has the form
of the entries here, and holds only what differs. pec_operations.py reads both.

Evidence: C official or two independent sources; S one source; I inferred; ? a guess, for lack of any evidence. The letters of a source are
those of docs/contract.md. A document that PEC does not know is harmless: a GraphQL server checks the whole of it before it does any of it.

In variables, C($name) stands for a value: an answer of the first run, part of a login, a field of a setting.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.esus.pec.plugins.module_utils import beliefs

GRAPHQL_PATH = "/api/graphql"
"""C (V FD MC)."""

HEADERS = {"Api-Consumer-Id": "ESUS_WEB_CLIENT", "apollographql-client-name": "PEC Web"}
"""C: a login requires the first (MC), FD sends it always; the second is PEC's own page's. The version is sent where it is known."""

VERSION_HEADER = "apollographql-client-version"

XSRF_COOKIE, XSRF_HEADER = "XSRF-TOKEN", "X-XSRF-TOKEN"
"""C (V FD) for REST; GraphQL accepts requests without (FD V)."""

FIRST_RUN_DONE = ("ativado", "linkInstalacaoConfigurado")
"""The first run is over when one of these is true in the answer of `Configuracoes`.

S that they exist and are told without a session (V asks for them before the first run). I what they mean: `Instalar` always carries a
link, so afterwards `linkInstalacaoConfigurado` holds; `ativado` is accepted too, because no installation can be active before it exists.
"""

PUBLIC_FACTS = (
    ("ativado", "linkInstalacaoConfigurado", "smtpConfigurado", "internetHabilitada", "govBREnabled", "serverTimezoneOffset"),
    ("versao", "treinamento"),
)
"""What `info` tells without a session, in groups that are asked for together.

S (V) for the first group, on PEC 5.4.37. The second is only in another author's imitation of PEC 5.4.36 (MOCK), so it is asked for by
itself: to a server that does not know a field the whole question is wrong.
"""

ADMINISTRATOR = "ADMINISTRADOR_GERAL"
"""The access of the instalador, by its tipo in `sessao`. S (FD)."""

ALREADY_LOGGED_IN = "UsuarioJaLogadoException"
"""Classification of a login while another session is open; PecAuthenticationException with its text is another form. S (MC)."""

VALIDATION_ERROR = "ValidationError"
"""Classification of a document that the server does not understand, of which then nothing was done: graphql-java's, which Spring uses."""

PREREQUISITES = ("internet", "https", "smtp", "certificate", "contra_chave", "govbr")
"""What settings stand on, by the names in their requires and advises."""

# An operation that is sent once is never repeated once it may have reached PEC: a wrong password counts, and a first run is one.
OPERATIONS: dict[str, dict[str, Any]] = {
    "info": {
        "document": "query Configuracoes { info { ativado linkInstalacaoConfigurado } }",
        "evidence": "S",
        "source": "V",
    },
    "instalar": {
        "document": "mutation Instalar($input: InstalacaoInput!) { instalar(input: $input) }",
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
        "document": "mutation Login($input: LoginInput!) { login(input: $input) { success } }",
        "variables": {"input": {"username": "$username", "password": "$password", "force": "$force"}},
        "once": True,
        "evidence": "C",
        "source": "FD MC",
    },
    "sessao": {
        "document": "query Sessao { sessao { acesso { id tipo } profissional { id nome cpf usuario { forcarTrocaSenha aceitouTermosUso } "
        "acessos { id tipo } } } }",
        "evidence": "S",
        "source": "FD",
    },
    "selecionar_acesso": {
        "document": "mutation SelecionarAcesso($input: SelecionarAcessoInput!) { selecionarAcesso(input: $input) { id } }",
        "variables": {"input": {"id": "$id"}},
        "evidence": "C",
        "source": "FD MC",
    },
    "logout": {
        "document": "mutation Logout { logout { id } }",
        "evidence": "S",
        "source": "MC",
    },
    "solicitar_redefinicao_senha": {
        "document": "mutation SolicitarRedefinicaoSenha($input: SolicitarRecuperacaoSenhaInput!) "
        "{ solicitarRedefinicaoSenha(input: $input) { value } }",
        "variables": {"input": {"usuario": "$username"}},
        "once": True,
        "evidence": "S",
        "source": "FD",
    },
    "redefinir_senha": {
        "document": "mutation RedefinirSenha($input: RedefinirSenhaInput!) { redefinirSenha(input: $input) }",
        "variables": {"input": {"usuario": "$username", "token": "$token", "novaSenha": "$new_password"}},
        "once": True,
        "evidence": "S",
        "source": "FD",
    },
}


def _row(key: str, column: str) -> str:
    """SQL for one cell of PEC's table of settings."""
    return f"select {column} from public.{beliefs.SETTINGS_TABLE} where co_config_sistema = '{key}'"


_MODULE = "Configurações da instalação"
_SECURITY = "query ConfiguracoesSeguranca { configuracoesSeguranca { periodoRedefinicaoSenha periodoInatividade tentativasLogin } }"

# The order is that in which settings are set, because some stand on others.
# screen: where a person sets it. C (M) for Servidores, Segurança, CADSUS, Hórus, Agenda Online, Prescrição digital and the number of
#   requests; S (V) for the rest, whose words on the screen were not seen.
# requires, advises: what has to be there before it can be switched on, and what it is of little use without. C (M).
# since: the oldest PEC that has it.
# read: from the public `info`, by SQL, or by a document of the instalador's session. A field that nothing reads is compared with what this
#   host sent last.
# write, disable: what sets it, and what switches it off where that is another operation.
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
        "write": {
            "document": "mutation AlternarConexaoInternet($habilitado: Boolean!) { alternarConexaoInternet(habilitado: $habilitado) }",
            "variables": {"habilitado": "$enabled"},
            "evidence": "I",
            "source": "V",
        },
    },
    "periodo_redefinicao_senha": {
        "fields": {"value": {"type": "int", "choices": [1, 2, 3, 4, 5, 6]}},
        "screen": f"{_MODULE} > Segurança > Período para redefinição de senha",
        "read": {"document": _SECURITY, "values": {"value": "periodoRedefinicaoSenha"}, "evidence": "?", "source": "-"},
        "write": {
            "document": "mutation AlterarPeriodoRedefinicaoSenha($periodo: Int!) { alterarPeriodoRedefinicaoSenha(periodo: $periodo) }",
            "variables": {"periodo": "$value"},
            "evidence": "I",
            "source": "V",
        },
    },
    "periodo_inatividade": {
        "fields": {"value": {"type": "int", "choices": [30, 60, 120, 180, 240]}},
        "screen": f"{_MODULE} > Segurança > Período máximo de inatividade",
        "read": {"document": _SECURITY, "values": {"value": "periodoInatividade"}, "evidence": "?", "source": "-"},
        "write": {
            "document": "mutation AlterarPeriodoInatividade($periodo: Int!) { alterarPeriodoInatividade(periodo: $periodo) }",
            "variables": {"periodo": "$value"},
            "evidence": "I",
            "source": "V",
        },
    },
    "tentativas_login": {
        "fields": {"value": {"type": "int", "choices": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}},
        "screen": f"{_MODULE} > Segurança > Máximo de tentativas consecutivas de login com autenticação inválida",
        "read": {"document": _SECURITY, "values": {"value": "tentativasLogin"}, "evidence": "?", "source": "-"},
        "write": {
            "document": "mutation AlterarNumeroTentativasLogin($tentativas: Int!) "
            "{ alterarNumeroTentativasLogin(tentativas: $tentativas) }",
            "variables": {"tentativas": "$value"},
            "evidence": "I",
            "source": "V",
        },
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
        "write": {
            "document": "mutation AlterarServidorSMTP($input: ServidorSMTPInput!) { alterarServidorSMTP(input: $input) }",
            "variables": {
                "input": {"endereco": "$host", "porta": "$port", "usuario": "$username", "senha": "$password", "email": "$sender"}
            },
            "evidence": "?",
            "source": "V",
        },
        "disable": {
            "document": "mutation DesabilitarConexaoSMTP { desabilitarConexaoSMTP }",
            "evidence": "I",
            "source": "V",
        },
    },
    "anexos": {
        "fields": {"enabled": {"type": "bool", "default": True}, "directory": {"type": "str"}},
        "screen": f"{_MODULE} > Anexo",
        "read": {"info": {"enabled": "anexoArquivosEnabled"}, "evidence": "S", "source": "MOCK"},
        "write": {
            "document": "mutation AlterarConfiguracaoAnexoArquivos($input: ConfiguracaoAnexoArquivosInput!) "
            "{ alterarConfiguracaoAnexoArquivos(input: $input) }",
            "variables": {"input": {"habilitado": "$enabled", "diretorio": "$directory"}},
            "evidence": "?",
            "source": "V",
        },
    },
    "cadsus": {
        "fields": {"enabled": {"type": "bool"}},
        "screen": f"{_MODULE} > Conexão > CADSUS",
        "requires": ["internet"],
        "advises": ["https", "govbr"],
        "read": {"sql": {"enabled": _row("CADSUSHABILITADO", "ds_inteiro")}, "evidence": "I", "source": "FD"},
        "write": {
            "document": "mutation AlterarCadsus($alterarCadsusInput: AlterarCadsusInput!) "
            "{ alterarCadsus(alterarCadsusInput: $alterarCadsusInput) }",
            "variables": {"alterarCadsusInput": {"habilitado": True, "intervalo": None}},
            "evidence": "?",
            "source": "V",
        },
        # The screen offers at most a month, after which PEC switches it on again (M).
        "disable": {
            "document": "mutation AlterarCadsus($alterarCadsusInput: AlterarCadsusInput!) "
            "{ alterarCadsus(alterarCadsusInput: $alterarCadsusInput) }",
            "variables": {"alterarCadsusInput": {"habilitado": False, "intervalo": "UM_MES"}},
            "evidence": "?",
            "source": "V",
        },
    },
    "horus": {
        "fields": {"enabled": {"type": "bool"}},
        "screen": f"{_MODULE} > Conexão > Hórus",
        "requires": ["internet"],
        "read": {"sql": {"enabled": _row("HORUSHABILITADO", "ds_inteiro")}, "evidence": "I", "source": "FD"},
        "write": {
            "document": "mutation AlterarHorus($alterarHorusInput: AlterarHorusInput!) "
            "{ alterarHorus(alterarHorusInput: $alterarHorusInput) }",
            "variables": {"alterarHorusInput": {"habilitado": True, "intervalo": None}},
            "evidence": "?",
            "source": "V",
        },
        "disable": {
            "document": "mutation AlterarHorus($alterarHorusInput: AlterarHorusInput!) "
            "{ alterarHorus(alterarHorusInput: $alterarHorusInput) }",
            "variables": {"alterarHorusInput": {"habilitado": False, "intervalo": "INDETERMINADO"}},
            "evidence": "?",
            "source": "V",
        },
    },
    "videochamada": {
        "fields": {"enabled": {"type": "bool"}},
        "screen": f"{_MODULE} > Conexão > Videochamadas",
        "requires": ["https"],
        "read": {
            "document": "query ConfiguracaoVideochamada { configuracaoVideochamada { habilitado } }",
            "values": {"enabled": "habilitado"},
            "evidence": "?",
            "source": "-",
        },
        "write": {
            "document": "mutation AlterarVideochamada($input: AlterarVideochamadaInput!) { alterarVideochamada(input: $input) }",
            "variables": {"input": {"habilitado": "$enabled"}},
            "evidence": "?",
            "source": "V",
        },
    },
    "agenda_online": {
        "fields": {"enabled": {"type": "bool"}},
        "screen": f"{_MODULE} > Conexão > Agenda Online",
        "requires": ["internet", "contra_chave"],
        # The last event counts; where there is none it was never active.
        "read": {
            "sql": {
                "enabled": "select coalesce((select st_ativado from public.tb_ativacao_agendamento_online "
                "order by dt_evento desc limit 1), 0)"
            },
            "evidence": "I",
            "source": "DJ",
        },
        "write": {
            "document": "mutation AtivarAgendaOnline($contraChave: String!) { ativarAgendaOnline(contraChave: $contraChave) }",
            "variables": {"contraChave": "$contra_chave"},
            "evidence": "?",
            "source": "V",
        },
        "disable": {"document": "mutation DesativarAgendaOnline { desativarAgendaOnline }", "evidence": "I", "source": "V"},
    },
    "prescricao_digital": {
        "fields": {
            "enabled": {"type": "bool", "default": True},
            "username": {"type": "str"},
            "password": {"type": "str", "no_log": True},
        },
        "screen": f"{_MODULE} > Conexão > Prescrição digital",
        "since": "5.2.6",
        # The manual wants a valid certificate of ICP-Brasil and does not say whose; PEC's support is told that PEC has the município's.
        "requires": ["https", "smtp", "certificate"],
        "read": {"info": {"enabled": "isPrescricaoDigitalEnabled"}, "evidence": "S", "source": "MOCK"},
        "write": {
            "document": "mutation AlterarConfiguracaoPrescricaoDigital($input: ConfiguracaoPrescricaoDigitalInput!) "
            "{ alterarConfiguracaoPrescricaoDigital(input: $input) }",
            "variables": {"input": {"habilitado": "$enabled", "usuario": "$username", "senha": "$password"}},
            "evidence": "?",
            "source": "V",
        },
    },
    "requisicoes_simultaneas": {
        "fields": {"value": {"type": "int"}},
        "screen": f"{_MODULE} > Configurações avançadas > Número de requisições simultâneas",
        "read": {
            "document": "query ConfiguracaoRequisicoes { configuracaoRequisicoes { qtdRequisicoesSimultaneas } }",
            "values": {"value": "qtdRequisicoesSimultaneas"},
            "evidence": "?",
            "source": "-",
        },
        "write": {
            "document": "mutation AlterarQtdRequisicoes($qtdRequisicoesSimultaneas: Int!) "
            "{ alterarQtdRequisicoes(qtdRequisicoesSimultaneas: $qtdRequisicoesSimultaneas) }",
            "variables": {"qtdRequisicoesSimultaneas": "$value"},
            "evidence": "I",
            "source": "V",
        },
    },
    "busca_cidadao_por_propriedades": {
        "fields": {"enabled": {"type": "bool"}},
        "screen": f"{_MODULE} > Configurações avançadas > Busca de cidadão por propriedades",
        "read": {"info": {"enabled": "buscaCidadaoPorPropriedadesEnabled"}, "evidence": "S", "source": "MOCK"},
        "write": {
            "document": "mutation AlterarBuscaCidadaoPorPropriedades($habilitado: Boolean!) "
            "{ alterarBuscaCidadaoPorPropriedades(habilitado: $habilitado) }",
            "variables": {"habilitado": "$enabled"},
            "evidence": "?",
            "source": "V",
        },
    },
    "cadastro_domiciliar_via_cds": {
        "fields": {"enabled": {"type": "bool"}},
        "screen": f"{_MODULE} > Configurações avançadas > Cadastro domiciliar via CDS",
        "read": {"info": {"enabled": "cadastroDomiciliarViaCdsEnabled"}, "evidence": "S", "source": "MOCK"},
        "write": {
            "document": "mutation AlterarConfiguracaoCadastroDomiciliarViaCds($habilitado: Boolean!) "
            "{ alterarConfiguracaoCadastroDomiciliarViaCds(habilitado: $habilitado) }",
            "variables": {"habilitado": "$enabled"},
            "evidence": "?",
            "source": "V",
        },
    },
}
