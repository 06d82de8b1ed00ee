#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: oficios
short_description: Write the ofícios that a município sends for its e-SUS PEC
description:
  - Writes the letters of section 5 of the operating procedure, in Portuguese, as text, as a document of Word and as PDF. Run it on the
    controller, where the letters stay. No server is contacted.
  - C(dominio) requests a domain under gov.br from the state's body, C(govbr) requests the credentials of the login with Gov.br, and
    C(prescricao_digital) is the text of the ticket that requests the activation of the prescrição digital.
  - Every problem of the answers is reported at once, before anything is written. A value such as C([Nome]) is refused.
  - A letter whose content is the same keeps its file and its date.
version_added: 0.2.0
author: ["esus.pec contributors (@esus-pec)"]
requirements:
  - python-docx and docxtpl (pip install docxtpl) for the Python that runs the module, for V(docx) and V(pdf)
  - LibreOffice Writer (the program C(soffice)) for V(pdf); without it there is a note instead of the PDF
options:
  directory:
    description: Directory of the letters, which must exist. Each município has a private directory in it, named after its code and name.
    type: path
    required: true
  letters:
    description: Letters to write.
    type: list
    elements: str
    choices: [dominio, govbr, prescricao_digital]
    default: [dominio, govbr, prescricao_digital]
  formats:
    description: Kinds of files to write. A V(pdf) is made of the V(docx), which is then written too.
    type: list
    elements: str
    choices: [txt, docx, pdf]
    default: [txt, docx, pdf]
  template:
    description:
      - The município's own letterhead, a C(.docx) with places such as C({{ corpo }}). By default a plain letterhead is made.
      - The places are C(oficio), C(local_e_data), C(destinatario), C(assunto), C(corpo), C(nome), C(cargo), C(minuta), C(instituicao) and
        C(identificacao); C(corpo) and C(nome) are required. Macros, and pictures that are not embedded, are refused.
    type: path
  municipality:
    description: Name of the município, as the IBGE writes it.
    type: str
    default: ""
  uf:
    description: The two letters of its state.
    type: str
    default: ""
  ibge_code:
    description: Its code of the IBGE, seven digits.
    type: str
    default: ""
  institution:
    description: Razão social of the prefeitura. Required by C(dominio) and C(govbr).
    type: str
    default: ""
  cnpj:
    description: CNPJ of the prefeitura, also one with letters. Required by C(dominio) and C(govbr).
    type: str
    default: ""
  responsible_name:
    description: Full name of who answers for the domain and the installation.
    type: str
    default: ""
  responsible_position:
    description: That person's position. Used in the signature if that person signs.
    type: str
    default: ""
  responsible_cpf:
    description: That person's CPF, for the letter C(govbr) only. Gov.br may ask for it.
    type: str
    default: ""
  responsible_email:
    description: That person's e-mail address.
    type: str
    default: ""
  responsible_phone:
    description: That person's telephone number, with area code.
    type: str
    default: ""
  requester_name:
    description: Full name of who signs, by default O(responsible_name).
    type: str
    default: ""
  requester_position:
    description: Position of who signs.
    type: str
    default: ""
  domain:
    description: The domain to request, which ends in C(.gov.br). Its addresses are those that Gov.br has to know.
    type: str
    default: ""
  ipv4:
    description: Public IPv4 address of the server. Required by C(dominio).
    type: str
    default: ""
  url:
    description: Address under which people open PEC. Required by C(prescricao_digital).
    type: str
    default: ""
  domain_body:
    description: Who registers domains in this state, instead of the known one. Required where none is known.
    type: str
    default: ""
  govbr_recipient:
    description: Whom the letter C(govbr) is addressed to, by default the Secretaria de Governo Digital.
    type: str
    default: ""
  numbers:
    description: The letters' numbers. Without one a letter is "s/nº".
    type: dict
    default: {}
    suboptions:
      dominio: {description: "Number of this letter, such as V(12/2026).", type: str}
      govbr: {description: "Number of this letter.", type: str}
      prescricao_digital: {description: "Number of this letter.", type: str}
  date:
    description: Date of the letters, such as V(2026-11-30). By default today's, or that of the same letter from an earlier run.
    type: str
    default: ""
  mail_to:
    description: Addresses that each letter is to be sent to. The module sends nothing; it checks and returns them.
    type: dict
    default: {}
    suboptions:
      dominio: {description: "Addresses of the state's body.", type: list, elements: str}
      govbr: {description: "Addresses of who gives the credentials.", type: list, elements: str}
      prescricao_digital: {description: "Addresses, for whoever opens the ticket.", type: list, elements: str}
  smtp:
    description: PEC has a mail server, which the prescrição digital requires.
    type: bool
    default: false
  certificate:
    description: PEC has the município's certificate, which the prescrição digital requires, and which the letter states.
    type: bool
    default: false
  pec_version:
    description: PEC's version, which must be 5.2.6 or newer for the prescrição digital.
    type: str
    default: ""
  premises:
    description:
      - What to do with C(prescricao_digital) if O(smtp), O(certificate), O(pec_version) or an O(url) of https are missing. V(refuse) makes
        it a problem, V(mark) writes a draft that says so in its first line.
    type: str
    choices: [refuse, mark]
    default: refuse
  report_only:
    description: Write nothing, and return the problems instead of failing because of them.
    type: bool
    default: false
attributes:
  check_mode:
    description: Can run in check mode and predict the change.
    support: full
  diff_mode:
    description: Shows the texts of the letters; of the other files only that they are new or different.
    support: partial
extends_documentation_fragment:
  - esus.pec.attributes
seealso:
  - module: esus.pec.govbr_oauth
"""

EXAMPLES = r"""
- name: Write the request for a domain
  esus.pec.oficios:
    directory: /srv/oficios
    letters: [dominio]
    municipality: Salvador
    uf: BA
    ibge_code: "2927408"
    institution: Prefeitura Municipal do Salvador
    cnpj: 13.927.801/0001-49
    responsible_name: Maria da Silva
    responsible_email: saude@salvador.ba.gov.br
    responsible_phone: (71) 5555-0100
    domain: esus.salvador.ba.gov.br
    ipv4: 203.0.113.10
  delegate_to: localhost
"""

RETURN = r"""
path: {description: The município's directory., returned: success, type: str, sample: /srv/oficios/2927408-salvador}
problems:
  description: What keeps the letters from being written, each beginning with the option.
  returned: success
  type: list
  elements: str
  sample: ["cnpj is missing: the CNPJ of the prefeitura, in quotes"]
notes:
  description: In Portuguese, what to look at before a letter is sent, and why there is no PDF.
  returned: success
  type: list
  elements: str
  sample: ["prescricao_digital: abrir um ticket em https://esusaps.freshdesk.com"]
letters:
  description: The letters, empty if there are problems.
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: The letter., type: str, sample: dominio}
    subject: {description: Its subject., type: str, sample: Solicitação de criação do domínio esus.salvador.ba.gov.br}
    text: {description: "Its text, without the subject.", type: str, sample: "À Companhia..."}
    draft: {description: It is marked as a draft and must not be sent., type: bool, sample: false}
    files: {description: Its files., type: list, elements: str, sample: [/srv/oficios/2927408-salvador/oficio-dominio.txt]}
    attachments: {description: "Of these, the PDF, otherwise the document; for an e-mail.", type: list, elements: str, sample: []}
    mail_to: {description: Its addresses., type: list, elements: str, sample: [dominio@example.org]}
    record: {description: File in which the role records the sending., type: str, sample: /srv/oficios/2927408-salvador/x.enviado}
    fingerprint: {description: "What is recorded, a SHA-256 of text and addresses.", type: str, sample: 6f1ed002ab55}
    sent: {description: This letter was sent to these addresses., type: bool, sample: false}
"""

import datetime
import hashlib
import os
from dataclasses import fields as fields_of
from dataclasses import replace
from typing import Any, Dict

from ansible_collections.esus.pec.plugins.module_utils.dump.planning import slug
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.module import PecModule, Result, diff, run_module
from ansible_collections.esus.pec.plugins.module_utils.oficios import document, letters, pdf
from ansible_collections.esus.pec.plugins.module_utils.oficios.fields import LETTERS, Fields, parsed_date, problems
from ansible_collections.esus.pec.plugins.module_utils.oficios.letters import Letter
from ansible_collections.esus.pec.plugins.module_utils.system import files

_TEXTS = [each.name for each in fields_of(Fields) if each.default == ""]
ARGUMENTS: dict[str, dict[str, Any]] = {
    "directory": {"type": "path", "required": True},
    "letters": {"type": "list", "elements": "str", "choices": list(LETTERS), "default": list(LETTERS)},
    "formats": {"type": "list", "elements": "str", "choices": ["txt", "docx", "pdf"], "default": ["txt", "docx", "pdf"]},
    "template": {"type": "path"},
    **{name: {"type": "str", "default": ""} for name in _TEXTS},
    "numbers": {"type": "dict", "default": {}, "options": {name: {"type": "str"} for name in LETTERS}},
    "mail_to": {"type": "dict", "default": {}, "options": {name: {"type": "list", "elements": "str"} for name in LETTERS}},
    "smtp": {"type": "bool", "default": False},
    "certificate": {"type": "bool", "default": False},
    "premises": {"type": "str", "choices": ["refuse", "mark"], "default": "refuse"},
    "report_only": {"type": "bool", "default": False},
}
Files = Dict[str, bytes]
_NO_PDF = "sem PDF: o LibreOffice (soffice) não está neste computador; instale o pacote libreoffice-writer, ou exporte o .docx em PDF"


def fields_from(params: dict[str, Any]) -> Fields:
    given = {each.name: params[each.name] for each in fields_of(Fields)}
    given["requester_name"] = params["requester_name"] or params["responsible_name"]
    if given["requester_name"] == params["responsible_name"]:
        given["requester_position"] = params["requester_position"] or params["responsible_position"]
    for name in ("numbers", "mail_to"):
        given[name] = {letter: value for letter, value in params[name].items() if value}
    return Fields(**given)


def existing(path: str) -> bytes | None:
    return files.read_bytes(path, document.LONGEST) if os.path.isfile(path) else None


def contents(letter: Letter, path: str, params: dict[str, Any]) -> Files:
    """Return the files of a letter but the PDF, in the order in which they are written. A letter that did not change keeps its date."""
    made: Files = {}
    if "txt" in params["formats"]:
        made[f"{path}.txt"] = letters.as_text(letter).encode()
    if not {"docx", "pdf"} & set(params["formats"]):
        return made
    name, template = f"{path}.docx", params["template"] or ""
    old = existing(name)
    before = document.date_of(old) if old and not params["date"] else None
    if old and before:
        same = document.build(replace(letter, date=before), template)
        if same == old:
            return {**made, name: old}
    return {**made, name: document.build(letter, template)}


def is_private(path: str) -> bool:
    return os.path.isfile(path) and not os.stat(path).st_mode & 0o077


def pending(made: Files, path: str, with_pdf: bool) -> list[str]:
    """Return the files of a letter to write, in this order. The document is last: while it is as wanted, so is the PDF."""
    names = [name for name, data in made.items() if existing(name) != data or not is_private(name)]
    portable = f"{path}.pdf"
    return [portable, *names] if with_pdf and (f"{path}.docx" in names or not is_private(portable)) else names


def write(made: Files, names: list[str], path: str) -> None:
    if f"{path}.docx" in names and f"{path}.pdf" not in names:
        files.unlink(f"{path}.pdf")  # of an earlier letter
    for name in names:
        files.write_atomic(name, made[name] if name in made else pdf.convert(made[f"{path}.docx"]), mode=0o600)


def changes(made: Files, names: list[str]) -> list[dict[str, str]]:
    """Return the texts as Ansible shows them with --diff."""
    texts = [name for name in names if name.endswith(".txt")]
    return [diff(name, (existing(name) or b"").decode("utf-8", "replace"), made[name].decode()) for name in texts]


def described(letter: Letter, made: Files, path: str, fields: Fields, with_pdf: bool) -> dict[str, Any]:
    listed = [*made, *([f"{path}.pdf"] if with_pdf else [])]
    text, addresses = letters.as_text(letter, subject=False), sorted(fields.mail_to.get(letter.name, []))
    fingerprint = hashlib.sha256("\n".join([letter.subject, text, letter.number, *addresses]).encode()).hexdigest()
    return {
        "name": letter.name,
        "subject": letter.subject,
        "text": text,
        "draft": bool(letter.mark),
        "files": listed,
        "attachments": [each for each in listed if not each.endswith(".txt")][-1:],
        "mail_to": addresses,
        "record": f"{path}.enviado",
        "fingerprint": fingerprint,
        "sent": (existing(f"{path}.enviado") or b"").split()[:1] == [fingerprint.encode()],
    }


def run(module: PecModule) -> Result:
    params = module.params
    fields, wanted = fields_from(params), tuple(name for name in LETTERS if name in params["letters"])
    found = problems(fields, wanted, mark=params["premises"] == "mark")
    directory = os.path.join(params["directory"], f"{slug(fields.ibge_code)}-{slug(fields.municipality)}")
    with_pdf = "pdf" in params["formats"] and pdf.available()
    result: Result = {"path": directory, "problems": found, "notes": [], "letters": [], "changed": False}
    made: dict[str, Files] = {}
    if not found:
        today = parsed_date(params["date"]) if params["date"] else datetime.date.today()
        try:
            for name in wanted:
                letter = letters.write(name, fields, today)
                path = os.path.join(directory, letter.file_name)
                made[path] = contents(letter, path, params)
                result["letters"].append(described(letter, made[path], path, fields, with_pdf))
                result["notes"] += letters.confirmations(name, fields)
        except PecError as error:
            result.update(problems=[str(error)], letters=[])
        result["notes"] += [_NO_PDF] if "pdf" in params["formats"] and not with_pdf else []
    if params["report_only"]:
        return result
    if result["problems"]:
        raise PecError("\n".join(["nothing was written; correct these answers:", *result["problems"]]))
    todo = {path: pending(each, path, with_pdf) for path, each in made.items()}
    result["diff"] = [change for path, names in todo.items() for change in changes(made[path], names)]
    result["changed"] = files.keep_directory(directory, mode=0o700, uid=-1, gid=-1, check=module.check_mode) or any(todo.values())
    if not module.check_mode:
        for path, names in todo.items():
            write(made[path], names, path)
    return result


def main() -> None:
    run_module(run, argument_spec=ARGUMENTS, root=False)


if __name__ == "__main__":
    main()
