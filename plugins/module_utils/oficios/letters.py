# SPDX-License-Identifier: GPL-3.0-or-later
"""The three letters of section 5 of the operating procedure, in its words and order. Private to the collection."""

from __future__ import annotations

import datetime
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from ansible_collections.esus.pec.plugins.module_utils import beliefs, brazil
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.oficios import states
from ansible_collections.esus.pec.plugins.module_utils.oficios.fields import DOMINIO, GOVBR, PRESCRICAO, Fields, missing_premises
from ansible_collections.esus.pec.plugins.module_utils.pec import govbr

PLATFORM = "https://esusaps.freshdesk.com"
"""Where the support of e-SUS APS takes tickets; the procedure requests the prescrição digital there."""
GOVBR_RECIPIENT = "Secretaria de Governo Digital (SGD), equipe de integração do Login Único Gov.br"
"""Who regulates the Login Único (Portaria SGD/MGI 7.076/2024). The procedure names nobody, so this is to be confirmed, too."""

_MONTHS = "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro"
# By its first word: À Companhia, Ao Instituto.
_FEMININE = re.compile(
    r"(?:Agência|Autarquia|Companhia|Coordenação|Coordenadoria|Diretoria|Divisão|Empresa|Equipe|Fundação|Gerência|Prefeitura|Presidência"
    r"|Secretaria|Subsecretaria|Superintendência|Unidade)\b",
    re.IGNORECASE,
)
_ADDRESSED = re.compile(r"(?:À|Ao|Às|Aos)\s")
PARAGRAPH, HEADING, ITEM, NOTE = "paragraph", "heading", "item", "note"


@dataclass(frozen=True)
class Part:
    """A paragraph of a letter, a heading of a list, one of its items, or the note below it."""

    kind: str
    text: str


@dataclass(frozen=True)
class Letter:
    """One letter. C(addressed): the text names the recipient, as a ticket's does not. C(mark): why it is a draft, or nothing."""

    name: str
    subject: str
    recipient: str
    parts: tuple[Part, ...]
    signer: str
    position: str
    institution: str
    identity: str
    number: str
    place: str
    date: datetime.date
    addressed: bool = True
    mark: str = ""

    @property
    def file_name(self) -> str:
        return f"oficio-{self.name.replace('_', '-')}"

    @property
    def numbered(self) -> str:
        return f"Ofício nº {self.number}" if self.number else "Ofício s/nº"

    @property
    def place_and_date(self) -> str:
        day = "1º" if self.date.day == 1 else str(self.date.day)
        return f"{self.place}, {day} de {_MONTHS.split()[self.date.month - 1]} de {self.date.year}."

    @property
    def body(self) -> tuple[Part, ...]:
        """Everything between the subject and the signature."""
        return (Part(PARAGRAPH, "Prezados(as),"), *self.parts, Part(PARAGRAPH, "Atenciosamente,"))


def write(name: str, fields: Fields, date: datetime.date) -> Letter:
    """Return a letter. Raises PecError if its text holds what no letter may hold; C(fields) are to be checked before."""
    subject, recipient, parts = {DOMINIO: _dominio, GOVBR: _govbr, PRESCRICAO: _prescricao}[name](fields)
    lacking = [said for _option, _why, said in missing_premises(fields)] if name == PRESCRICAO else []
    letter = Letter(
        name=name,
        subject=subject,
        recipient=recipient if _ADDRESSED.match(recipient) else f"{'À' if _FEMININE.match(recipient) else 'Ao'} {recipient}",
        parts=parts,
        signer=fields.requester_name,
        position=fields.requester_position,
        institution=fields.institution or f"Município de {fields.municipality}",
        identity=" · ".join([fields.place, *([f"CNPJ {brazil.cnpj_formatted(fields.cnpj)}"] if fields.cnpj else [])]),
        number=fields.numbers.get(name) or "",
        place=fields.place,
        date=date,
        addressed=name != PRESCRICAO,
        mark=f"MINUTA: não enviar. Falta: {'; '.join(lacking)}." if lacking else "",
    )
    _require_complete(letter)
    return letter


def _of_municipality(fields: Fields) -> str:
    return f"do município de {fields.place} (código IBGE {fields.ibge_code})"


def _contact(fields: Fields) -> str:
    return f"{fields.responsible_email} e {brazil.phone_formatted(fields.responsible_phone)}"


def _dominio(fields: Fields) -> tuple[str, str, tuple[Part, ...]]:
    domain = fields.domain.lower()
    return (
        f"Solicitação de criação do domínio {domain}",
        fields.body,
        (
            Part(
                PARAGRAPH,
                f"Solicitamos a criação do domínio {domain} para uso oficial nas atividades de saúde pública {_of_municipality(fields)}, "
                "em conformidade com as diretrizes do Ministério da Saúde e com foco na implantação do Prontuário Eletrônico do Cidadão "
                "(PEC e-SUS APS).",
            ),
            Part(HEADING, "Dados para registro:"),
            Part(ITEM, f"Nome da Instituição: {fields.institution}."),
            Part(ITEM, f"CNPJ: {brazil.cnpj_formatted(fields.cnpj)}."),
            Part(ITEM, f"Responsável pelo domínio: {fields.responsible_name}."),
            Part(ITEM, f"Contato: {_contact(fields)}."),
            Part(HEADING, "Dados do servidor de hospedagem:"),
            Part(ITEM, f"IPv4: {fields.ipv4}."),
            Part(
                NOTE,
                "Para redirecionamento a esse IP não é necessário Name Server (NS), apenas que o subdomínio tenha um apontamento do tipo A "
                "para o IPv4.",
            ),
            Part(
                PARAGRAPH,
                "Justificativa: este domínio será utilizado para suportar as funcionalidades do PEC, como teleconsultas, prescrições "
                "digitais e agendamentos online, além de garantir a integração com serviços como RNDS e CADSUS.",
            ),
            Part(PARAGRAPH, "Agradecemos pela atenção e aguardamos retorno."),
        ),
    )


def _govbr(fields: Fields) -> tuple[str, str, tuple[Part, ...]]:
    domain = fields.domain.lower()
    cpf = brazil.cpf_digits(fields.responsible_cpf)
    return (
        f"Solicitação de credenciais do Gov.br para o PEC e-SUS APS de {fields.place}",
        fields.govbr_recipient or GOVBR_RECIPIENT,
        (
            Part(
                PARAGRAPH,
                "Solicitamos o cadastro das credenciais do Gov.br (Login Único) para a instalação do Prontuário Eletrônico do Cidadão "
                f"(PEC e-SUS APS) {_of_municipality(fields)}, no domínio {domain}.",
            ),
            Part(HEADING, "Dados para cadastro:"),
            Part(ITEM, f"Nome da Instituição: {fields.institution}."),
            Part(ITEM, f"CNPJ: {brazil.cnpj_formatted(fields.cnpj)}."),
            Part(ITEM, f"Responsável pela instalação: {fields.responsible_name}."),
            *([Part(ITEM, f"CPF do responsável: {cpf[:3]}.{cpf[3:6]}.{cpf[6:9]}-{cpf[9:]}.")] if cpf else []),
            Part(ITEM, f"Contato: {_contact(fields)}."),
            Part(HEADING, "Endereços da aplicação:"),
            Part(ITEM, f"URL da instalação: https://{domain}"),
            *[Part(ITEM, f"URL de retorno (redirecionamento): {url}") for url in govbr.redirect_urls(domain)],
            Part(ITEM, f"URL de saída (logout): {govbr.logout_url(domain)}"),
            Part(
                NOTE,
                "As credenciais serão cadastradas na aplicação, no arquivo application.properties, com as chaves "
                f"{beliefs.GOVBR_ID_KEY} e {beliefs.GOVBR_SECRET_KEY}.",
            ),
            Part(
                PARAGRAPH,
                "Justificativa: as credenciais permitirão que os profissionais de saúde do município acessem o PEC com a sua conta Gov.br.",
            ),
            Part(
                PARAGRAPH,
                "Solicitamos que o client-id e o client-secret sejam enviados ao responsável por meio seguro. Agradecemos pela atenção e "
                "aguardamos retorno.",
            ),
        ),
    )


def _prescricao(fields: Fields) -> tuple[str, str, tuple[Part, ...]]:
    responsible = f"{fields.responsible_name}, {brazil.phone_formatted(fields.responsible_phone)} e {fields.responsible_email}"
    return (
        f"Solicitação de ativação da prescrição digital no PEC de {fields.place}",
        f"Suporte do e-SUS APS ({PLATFORM})",
        (
            Part(
                PARAGRAPH,
                "Solicitamos a ativação da funcionalidade de prescrição digital na instalação do PEC "
                f"{_of_municipality(fields)}, conforme as orientações do manual oficial.",
            ),
            Part(HEADING, "Dados para ativação:"),
            Part(ITEM, f"URL da instalação: {fields.url}"),
            Part(ITEM, f"Dados do responsável pela instalação: {responsible}."),
            Part(ITEM, f"Município já utiliza certificado digital integrado ao PEC: {'Sim' if fields.certificate else 'Não'}."),
            Part(
                PARAGRAPH,
                "Aguardamos as credenciais necessárias para habilitar a funcionalidade no perfil do administrador da instalação.",
            ),
        ),
    )


def confirmations(name: str, fields: Fields) -> Iterator[str]:
    """Yield in Portuguese what a person has to look at before this letter is sent."""
    state = states.BY_UF[fields.uf]
    if name == DOMINIO and fields.domain_body:
        yield f"{DOMINIO}: órgão informado: {fields.domain_body}; {states.CONFIRM}"
    elif name == DOMINIO:
        yield f"{DOMINIO}: {state.body}: {state.note}. Fonte: {state.source}"
    if name == GOVBR and not fields.govbr_recipient:
        yield f"{GOVBR}: destinatário: {GOVBR_RECIPIENT}; o procedimento não o nomeia; {states.CONFIRM}"
    if name == GOVBR and not fields.responsible_cpf:
        yield f"{GOVBR}: sem o CPF do responsável, que o Gov.br pode pedir"
    if name == PRESCRICAO:
        yield f"{PRESCRICAO}: abrir um ticket em {PLATFORM} com o texto do .txt, pela equipe responsável pela instalação"


def as_text(letter: Letter, *, subject: bool = True) -> str:
    """Return a letter to paste into an e-mail or a ticket, as the procedure has it."""
    lines = [*([letter.mark, ""] if letter.mark else []), *([f"Assunto: {letter.subject}", ""] if subject else [])]
    lines += [f"{letter.recipient},", ""] if letter.addressed else []
    before = ""
    for part in letter.body:
        if part.kind in (PARAGRAPH, HEADING) and before:
            lines.append("")
        lines.append({ITEM: "- ", NOTE: "* "}.get(part.kind, "") + part.text)
        before = part.kind
    lines += [letter.signer, *([letter.position] if letter.position else [])]
    return "\n".join(lines) + "\n"


def _require_complete(letter: Letter) -> None:
    """Raise PecError if a place was left to fill in, or a character is in it that a file of text or a document cannot hold."""
    text = "\n".join([as_text(letter), letter.institution, letter.identity, letter.number, letter.place, letter.recipient])
    left = re.search(r"\[[^\]]*\]|[{}]", text)
    if left:
        raise PecError(f"the letter {letter.name} would hold {left.group()!r}, a place left to fill in; give the real value")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text.replace("\n", "")):
        raise PecError(f"the letter {letter.name} would hold a control character; remove it from the values")
