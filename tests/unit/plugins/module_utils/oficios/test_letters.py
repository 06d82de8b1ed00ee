# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime
import re
from typing import Any

import pytest
from oficio_answers import ANSWERS

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.oficios import letters
from ansible_collections.esus.pec.plugins.module_utils.oficios.fields import DOMINIO, GOVBR, LETTERS, PRESCRICAO, Fields
from ansible_collections.esus.pec.plugins.module_utils.pec import govbr

DAY = datetime.date(2026, 11, 30)
# The statements of the procedure's section 5, in its order, with this município's values for its places.
STANDARD = {
    DOMINIO: """À Secretaria de Exemplo,
Prezados(as),
Solicitamos a criação do domínio esus.aguaclara.ms.gov.br para uso oficial nas atividades de saúde pública do município de Água Clara
em conformidade com as diretrizes do Ministério da Saúde e com foco na implantação do Prontuário Eletrônico do Cidadão (PEC e-SUS APS).
Dados para registro:
- Nome da Instituição: Prefeitura Municipal de Água Clara.
- CNPJ: 13.927.801/0001-49.
- Responsável pelo domínio: Maria Aparecida d'Ávila.
- Contato: saude_ti@aguaclara.ms.gov.br e (67) 5555-0100.
Dados do servidor de hospedagem:
- IPv4: 203.0.113.10
* Para redirecionamento a esse IP não é necessário Name Server (NS), apenas que o subdomínio tenha um apontamento do tipo A para o IPv4.
este domínio será utilizado para suportar as funcionalidades do PEC, como teleconsultas, prescrições digitais e agendamentos online, além de
garantir a integração com serviços como RNDS e CADSUS.
Agradecemos pela atenção e aguardamos retorno.
Atenciosamente,
João Carlos de Souza""",
    PRESCRICAO: """Prezados(as),
Solicitamos a ativação da funcionalidade de prescrição digital na instalação do PEC do município de Água Clara
conforme as orientações do manual oficial.
Dados para ativação:
- URL da instalação: https://esus.aguaclara.ms.gov.br
- Dados do responsável pela instalação: Maria Aparecida d'Ávila, (67) 5555-0100 e saude_ti@aguaclara.ms.gov.br.
- Município já utiliza certificado digital integrado ao PEC: Sim.
Aguardamos as credenciais necessárias para habilitar a funcionalidade no perfil do administrador da instalação.
Atenciosamente,
João Carlos de Souza""",
    GOVBR: """À Secretaria de Governo Digital
Prezados(as),
Solicitamos o cadastro das credenciais do Gov.br
- Nome da Instituição: Prefeitura Municipal de Água Clara.
- CNPJ: 13.927.801/0001-49.
- CPF do responsável: 529.982.247-25.
- Contato: saude_ti@aguaclara.ms.gov.br e (67) 5555-0100.
https://esus.aguaclara.ms.gov.br/login/oauth2/code/govbr
https://esus.aguaclara.ms.gov.br/oauth2/code/govbr
https://esus.aguaclara.ms.gov.br/logout
bridge.security.oauth2.client.registration.govbr.client-id
bridge.security.oauth2.client.registration.govbr.client-secret
Atenciosamente,
João Carlos de Souza""",
}


def written(name: str, day: datetime.date = DAY, **changed: Any) -> letters.Letter:
    return letters.write(name, Fields(**{**ANSWERS, **changed}), day)


@pytest.mark.parametrize("name", LETTERS)
def test_every_statement_of_the_standard_in_its_order(name: str) -> None:
    text, place = letters.as_text(written(name)), 0
    for line in STANDARD[name].replace("de\ngarantir", "de garantir").splitlines():
        assert line in text[place:], line
        place = text.index(line, place) + len(line)
    assert text.startswith("Assunto: ") and text.endswith("João Carlos de Souza\nPrefeito Municipal\n")
    assert not re.search(r"[\[\]{}]|\n\n\n", text)
    assert letters.as_text(written(name), subject=False).startswith(STANDARD[name].splitlines()[0])


def test_the_addresses_are_those_that_govbr_oauth_returns() -> None:
    text = letters.as_text(written(GOVBR, domain="ESUS.aguaclara.ms.gov.br"))
    addresses = [*govbr.redirect_urls(ANSWERS["domain"]), govbr.logout_url(ANSWERS["domain"])]
    assert [line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(("- URL de retorno", "- URL de saída"))] == addresses
    assert "CPF" not in letters.as_text(written(GOVBR, responsible_cpf=""))


def test_place_date_and_number() -> None:
    assert written(DOMINIO).place_and_date == "Água Clara/MS, 30 de novembro de 2026."
    assert written(DOMINIO, datetime.date(2027, 3, 1)).place_and_date == "Água Clara/MS, 1º de março de 2027."
    assert written(DOMINIO).numbered == "Ofício s/nº"
    assert written(DOMINIO, numbers={DOMINIO: "12/2026"}).numbered == "Ofício nº 12/2026"
    assert written(PRESCRICAO, numbers={DOMINIO: "12/2026"}).file_name == "oficio-prescricao-digital"


@pytest.mark.parametrize(
    ("body", "recipient"),
    [
        ("Companhia X", "À Companhia X"),
        ("Instituto X", "Ao Instituto X"),
        ("Ao Senhor Presidente", "Ao Senhor Presidente"),
        ("Às Secretarias", "Às Secretarias"),
    ],
)
def test_the_recipient(body: str, recipient: str) -> None:
    assert written(DOMINIO, domain_body=body).recipient == recipient


def test_the_states_body() -> None:
    bahia = {"uf": "BA", "ibge_code": "2927408", "municipality": "Salvador", "domain_body": ""}
    assert "(PRODEB)" in written(DOMINIO, **bahia).recipient
    notes = list(letters.confirmations(DOMINIO, Fields(**{**ANSWERS, **bahia})))
    assert len(notes) == 1 and "confirmar antes de enviar" in notes[0] and "https://www.prodeb.ba.gov.br" in notes[0]
    assert all("confirmar antes de enviar" in note for note in letters.confirmations(DOMINIO, Fields(**ANSWERS)))


def test_a_draft() -> None:
    draft = written(PRESCRICAO, certificate=False, pec_version="")
    assert (
        draft.mark.startswith("MINUTA: não enviar.") and "certificado" in draft.mark and "5.2.6" in draft.mark and "SMTP" not in draft.mark
    )
    text = letters.as_text(draft)
    assert text.startswith(draft.mark) and "integrado ao PEC: Não." in text
    assert [written(name, certificate=False, pec_version="").mark for name in (DOMINIO, GOVBR)] == ["", ""]


@pytest.mark.parametrize("value", ["[Razão Social]", "{{ x }}", "a\x00b", "a\x0bb", "\ud800"])
def test_what_no_letter_holds(value: str) -> None:
    """Whatever the checks of the answers let through."""
    with pytest.raises(PecError):
        written(DOMINIO, institution=value)
