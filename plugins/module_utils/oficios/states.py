# SPDX-License-Identifier: GPL-3.0-or-later
"""Data: the states of Brazil, and the body of each that registers domains under its uf.gov.br. Private to the collection.

A body is here only with evidence that it registers domains for municípios. Without evidence it is empty, and the operator names it. Every
entry is to be confirmed before a letter is sent, because bodies change their names and their ways.
"""

from __future__ import annotations

from dataclasses import dataclass

CONFIRM = "confirmar antes de enviar"
UNKNOWN = f"órgão sem evidência pública encontrada: verificar qual é no estado; {CONFIRM}"
_RULE = "Resolução CGI.br/RES/2008/008/P: órgãos não federais ficam sob a sigla do estado em .gov.br"


@dataclass(frozen=True)
class State:
    """One of the 27. C(ibge): the first two digits of its municípios' codes. C(body) is empty if it is not known."""

    uf: str
    name: str
    ibge: str
    body: str = ""
    source: str = _RULE
    note: str = UNKNOWN


STATES = (
    State("AC", "Acre", "12"),
    State("AL", "Alagoas", "27"),
    State("AM", "Amazonas", "13"),
    State("AP", "Amapá", "16"),
    State(
        "BA",
        "Bahia",
        "29",
        "Companhia de Processamento de Dados do Estado da Bahia (PRODEB)",
        "https://www.prodeb.ba.gov.br/page/registro-de-dominio (procedimento operacional, seção 5.1)",
        CONFIRM,
    ),
    State("CE", "Ceará", "23"),
    State("DF", "Distrito Federal", "53"),
    State(
        "ES",
        "Espírito Santo",
        "32",
        "Instituto de Tecnologia da Informação e Comunicação do Estado do Espírito Santo (PRODEST)",
        "https://www.mpc.es.gov.br/2016/03/mpc-recorre-de-decisao-plenaria-e-reitera-pedido-de-bloqueio-do-site-do-diario-oficial-da-amunes/",
        f"a fonte, de 2016, diz que o PRODEST autoriza domínios es.gov.br; {CONFIRM}",
    ),
    State("GO", "Goiás", "52"),
    State("MA", "Maranhão", "21"),
    State("MG", "Minas Gerais", "31"),
    State("MS", "Mato Grosso do Sul", "50"),
    State("MT", "Mato Grosso", "51"),
    State("PA", "Pará", "15"),
    State("PB", "Paraíba", "25"),
    State("PE", "Pernambuco", "26"),
    State("PI", "Piauí", "22"),
    State("PR", "Paraná", "41"),
    State("RJ", "Rio de Janeiro", "33"),
    State("RN", "Rio Grande do Norte", "24"),
    State("RO", "Rondônia", "11"),
    State("RR", "Roraima", "14"),
    State("RS", "Rio Grande do Sul", "43"),
    State("SC", "Santa Catarina", "42"),
    State(
        "SE",
        "Sergipe",
        "28",
        "Empresa Sergipana de Tecnologia da Informação (EMGETIS)",
        "http://emgetis.se.gov.br/dominio",
        "a EMGETIS pede ofício em papel timbrado, assinado pelo prefeito e enviado à sua Presidência pelo Protocolo Externo, em um só PDF "
        f"de até 20 MB com cópia do RG, do CPF e do termo de posse do prefeito, e um formulário próprio; {CONFIRM}",
    ),
    State("SP", "São Paulo", "35"),
    State(
        "TO",
        "Tocantins",
        "17",
        "Agência de Tecnologia da Informação do Estado do Tocantins (ATI)",
        "https://normasbrasil.com.br/norma/instrucao-normativa-3-2024-to_470554.html (Instrução Normativa GAB/PRES nº 3, de 11/12/2024)",
        f"a instrução normativa vale para os municípios e define o procedimento; {CONFIRM}",
    ),
)
BY_UF = {state.uf: state for state in STATES}
