# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What each column of a sheet is: a field that is checked, a variable, or the name of a vault variable. Private to the collection."""

from __future__ import annotations

import difflib
import keyword
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.esus.pec.plugins.plugin_utils.municipios.ibge import folded
from ansible_collections.esus.pec.plugins.plugin_utils.municipios.sheet import Cell, Faults, Sheet, shown


@dataclass(frozen=True)
class Field:
    """A column that is understood and checked, the variable that it becomes, and its names in sheets; the first is shown."""

    variable: str
    headers: tuple[str, ...]


FIELDS: dict[str, Field] = {
    "municipio": Field("pec_municipio", ("Município", "Nome do município", "Cidade", "Prefeitura")),
    "uf": Field("pec_uf", ("UF", "Estado", "Sigla da UF")),
    "ibge_code": Field("pec_ibge_code", ("Código IBGE", "IBGE", "Cód. IBGE", "Código do IBGE", "Código do município")),
    "host": Field("", ("Servidor", "Host", "Hostname", "Nome do servidor")),
    "domain": Field("pec_domain", ("Domínio", "Domain", "Domínio do PEC")),
    "ipv4": Field("ansible_host", ("IPv4", "IP", "Endereço IP", "Endereço IPv4", "IP do servidor")),
    "cnpj": Field("pec_cnpj", ("CNPJ",)),
    "instalador": Field("pec_first_run_instalador_name", ("Instalador", "Nome do instalador")),
    "cpf": Field("pec_instalador_cpf", ("CPF do instalador", "CPF")),
    "users": Field("pec_simultaneous_users", ("Usuários simultâneos", "Usuários")),
    "version": Field("pec_version", ("Versão", "Versão do PEC", "Version")),
    "wave": Field("pec_wave", ("Onda", "Wave")),
    "window": Field("pec_window", ("Janela", "Janela de manutenção")),
    "state": Field("pec_state", ("Situação", "Status")),
    "responsible": Field("pec_responsible", ("Responsável", "Contato")),
}

SECRETS: dict[str, tuple[str, ...]] = {
    "pec_instalador_password": ("Senha", "Senha do instalador"),
    "pec_database_password": ("Senha do banco", "Senha do banco de dados"),
    "pec_certificate_password": ("Senha do certificado",),
    "pec_smtp_password": ("Senha do SMTP", "Senha do e-mail"),
    "pec_govbr_client_secret": ("Segredo do Gov.br",),
    "ansible_become_password": ("Senha do sudo",),
    "ansible_password": ("Senha do SSH",),
}
"""Variables whose column holds the name of a vault variable."""

VAULT_MARK = "(variável do vault)"
_HEADERS = {folded(header): name for name, known in FIELDS.items() for header in known.headers}
_SECRET_HEADERS = {folded(header): variable for variable, headers in SECRETS.items() for header in headers}
_MARKED = re.compile(r"(.*?)\s*\((?:nome da )?(?:vari[aá]vel do vault|vault variable|vault)\)", re.IGNORECASE)
_SECRET = re.compile(r"\b(senhas?|passwords?|passwd|passphrase|tokens?|segredos?|secrets?|contra chaves?)\b")
# What Ansible itself sets or reads under these names.
_RESERVED = {"environment", "group_names", "groups", "hostvars", "inventory_dir", "inventory_file", "omit", "play_hosts", "vars"}
_RESERVED |= {"inventory_hostname", "inventory_hostname_short", "playbook_dir", "role_name", "role_path"}


@dataclass(frozen=True)
class Column:
    """One column: a field, or a variable with a text of the sheet or, of C(vault), with the value of a vault variable."""

    header: str
    field: str = ""
    variable: str = ""
    vault: bool = False


def is_variable(text: str) -> bool:
    """Return whether a text can be the name of a variable, and stands for nothing else in a template."""
    identifier = text.isascii() and text.isidentifier() and not keyword.iskeyword(text)
    return identifier and text not in _RESERVED | {"true", "false", "none"} and not text.startswith("__")


def looks_secret(text: str) -> bool:
    """Return whether a column or a variable with this name would hold a secret."""
    return bool(_SECRET.search(folded(text)))


def mapping_problems(mapping: Mapping[str, str]) -> list[str]:
    """Return what is wrong with the option C(columns)."""
    own = {known.variable: name for name, known in FIELDS.items() if known.variable} | {"pec_region": "uf"}
    found = []
    for header, target in mapping.items():
        marked = _MARKED.fullmatch(header)
        if not is_variable(target):
            found.append(f"columns maps {header!r} to {target!r}, which is neither a field nor the name of a variable")
        elif marked and target in FIELDS:
            found.append(f"columns maps {header!r} to the field {target!r}, which is no secret; map it to a variable")
        elif target not in FIELDS and target in own:
            found.append(f"columns maps {header!r} to {target!r}, which the field {own[target]!r} sets after checking it; write that field")
        elif not marked and target not in FIELDS and looks_secret(target):
            found.append(f"columns maps {header!r} to {target!r}, a secret; end the column's name, in the sheet too, with {VAULT_MARK!r}")
    return found


def columns_of(sheet: Sheet, mapping: Mapping[str, str], ignored: Sequence[str], faults: Faults) -> dict[int, Column]:
    """Return the columns that count, by their number. Adds a fault for each name that is not understood."""
    wanted = {folded(header): target for header, target in mapping.items()}
    passed_over = {folded(header) for header in ignored}
    found: dict[int, Column] = {}
    filled = {number for row in sheet.rows for number in row}
    for number, header in sheet.headers.items():
        if not header.text:
            if number in filled:
                faults.add(sheet.name, header.line, f"column {number + 1} has values and no name; name or empty it")
            continue
        column = _column(header, sheet, wanted, passed_over, faults)
        if column is None:
            continue
        twice = next((each for each in found.values() if (each.field, each.variable) == (column.field, column.variable)), None)
        if twice:
            faults.add(sheet.name, header.line, f"it means the same as the column {twice.header!r}; remove or rename one", header.text)
        found[number] = column
    return found


def _column(header: Cell, sheet: Sheet, wanted: Mapping[str, str], ignored: set[str], faults: Faults) -> Column | None:
    name = folded(header.text)
    marked = _MARKED.fullmatch(header.text)
    if marked:
        variable = wanted.get(name) or _SECRET_HEADERS.get(folded(marked[1]), "")
        if not variable:
            faults.add(sheet.name, header.line, "no variable is known for this secret; name it under columns", header.text)
        return Column(header.text, variable=variable, vault=True) if variable else None
    if looks_secret(header.text):
        text = f"a secret is never in a sheet; put it into a vault, write its variable's name here, and end the header with {VAULT_MARK!r}"
        faults.add(sheet.name, header.line, text, header.text)
        return None
    if name in ignored:
        return None
    target = wanted.get(name) or _HEADERS.get(name, "")
    if not target:
        faults.add(sheet.name, header.line, _unknown(header.text), header.text)
        return None
    return Column(header.text, field=target) if target in FIELDS else Column(header.text, variable=target)


def _unknown(header: str) -> str:
    close = difflib.get_close_matches(folded(header), _HEADERS, n=1, cutoff=0.7)
    meant = f"did you mean {shown(FIELDS[_HEADERS[close[0]]].headers[0])}? Otherwise " if close else ""
    return f"this column is not known; {meant}map it under columns, or list it under ignored_columns"
