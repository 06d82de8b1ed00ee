# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From the sheets' lines to servers with groups and variables, all checked. Private to the collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.esus.pec.plugins.module_utils.errors import printable
from ansible_collections.esus.pec.plugins.plugin_utils.municipios.columns import FIELDS, Column, columns_of, is_variable
from ansible_collections.esus.pec.plugins.plugin_utils.municipios.fields import CHECKS, FieldError
from ansible_collections.esus.pec.plugins.plugin_utils.municipios.ibge import REGIONS, Place, folded, named, places, similar
from ansible_collections.esus.pec.plugins.plugin_utils.municipios.sheet import MAX_CELL, MAX_SHOWN, Cell, Faults, Sheet, shown

GROUPS = {"region": "pec_region", "state": "pec_state", "uf": "pec_uf", "version": "pec_version", "wave": "pec_wave"}
"""The variable after whose value each kind of group is named."""


@dataclass
class Server:
    """A server: variables with texts and numbers of the sheet, and variables with the names of vault variables."""

    name: str
    variables: dict[str, str | int] = field(default_factory=dict)
    vault: dict[str, str] = field(default_factory=dict)

    def groups(self, prefix: str) -> list[str]:
        """Return the groups of this server."""
        found = [(kind, str(self.variables[name])) for kind, name in GROUPS.items() if name in self.variables]
        return [f"{prefix}{kind}_{folded(value).replace(' ', '_')}" for kind, value in found]


@dataclass(frozen=True)
class Rules:
    """The options that say how a sheet is understood."""

    columns: Mapping[str, str]
    ignored: Sequence[str]
    vault_prefix: str
    group: str


@dataclass
class _Seen:
    """Where each host name, domain and IBGE code was first."""

    places: dict[tuple[str, str], str] = field(default_factory=dict)

    def before(self, what: str, value: str, place: str) -> str:
        """Return where the value was before; empty if it is new."""
        first = self.places.setdefault((what, value), place)
        return "" if first == place else first


def servers_of(sheets: Sequence[Sheet], rules: Rules, faults: Faults) -> list[Server]:
    """Return all servers, which must not be used if any fault was added."""
    seen = _Seen()
    found: list[Server] = []
    for sheet in sheets:
        columns = columns_of(sheet, rules.columns, rules.ignored, faults)
        if not {"municipio", "ibge_code"} & {column.field for column in columns.values()}:
            first = min((header.line for header in sheet.headers.values()), default=0)
            wanted = "a column 'Município' or 'Código IBGE' is missing; if the columns' names are further below, set header_line"
            faults.add(sheet.name, first, wanted)
            continue
        found += [_Line(sheet, columns, row, rules, faults).server(seen) for row in sheet.rows]
    if not found and not faults.count:
        faults.add(sheets[0].name if sheets else "the sheet", 0, "it has no município; write one in each line below the columns' names")
    return found


class _Line:
    """One line of a sheet."""

    def __init__(self, sheet: Sheet, columns: Mapping[int, Column], row: Mapping[int, Cell], rules: Rules, faults: Faults) -> None:
        self.sheet, self.columns, self.row, self.rules, self.faults = sheet, columns, row, rules, faults
        self.line = min(cell.line for cell in row.values())
        self.values: dict[str, Any] = {}

    def fault(self, text: str, field: str = "", column: str = "", line: int = 0) -> None:
        column = column or next((each.header for each in self.columns.values() if field and each.field == field), "")
        self.faults.add(self.sheet.name, line or self.line, text, column)

    def server(self, seen: _Seen) -> Server:
        server = Server("")
        wrong: set[str] = set()
        for number, cell in self.row.items():
            column = self.columns.get(number)
            if column is None:
                continue
            if len(cell.text) > MAX_CELL or printable(cell.text) != cell.text:
                self.fault(f"it has control characters or more than {MAX_CELL} characters; type it again", "", column.header, cell.line)
                wrong.add(column.field)
            elif column.vault:
                self._vault(server, column, cell)
            elif column.field:
                try:
                    self.values[column.field] = CHECKS[column.field](cell)
                except FieldError as error:
                    self.fault(str(error), "", column.header, cell.line)
                    wrong.add(column.field)
            else:
                server.variables[column.variable] = cell.text
        place = self._place(wrong)
        if place:
            self.values.update(municipio=place.name, uf=place.uf, ibge_code=place.code)
            server.variables["pec_region"] = REGIONS[place.uf]
        server.variables.update({FIELDS[name].variable: value for name, value in self.values.items() if FIELDS[name].variable})
        server.name = self._name(wrong)
        self._duplicates(server, seen)
        return server

    def _duplicates(self, server: Server, seen: _Seen) -> None:
        place = f"{self.sheet.name}, line {self.line}"
        found = []
        for what, name in (("IBGE code", "ibge_code"), ("domain", "domain"), ("host name", "host")):
            value = server.name if name == "host" else str(self.values.get(name, ""))
            before = seen.before(what, value, place) if value else ""
            if before and value not in found:  # most hosts are named after their domain
                found.append(value)
                self.fault(f"the {what} {value} is also in {before}; each server needs its own", name)

    def _vault(self, server: Server, column: Column, cell: Cell) -> None:
        if is_variable(cell.text) and cell.text.startswith(self.rules.vault_prefix):
            server.vault[column.variable] = cell.text
            return
        # The value is not shown, because it may be the secret itself.
        begins = f" that begins with {self.rules.vault_prefix}" if self.rules.vault_prefix else ""
        text = f"it is not the name of a variable{begins}; put the secret into a vault and write its variable's name here"
        self.fault(text, "", column.header, cell.line)

    def _place(self, wrong: set[str]) -> Place | None:
        """Return the município that code, name and UF agree on."""
        code, name, uf = (self.values.get(each, "") for each in ("ibge_code", "municipio", "uf"))
        if code:
            place = places()[code]
            if uf and uf != place.uf:
                self.fault(f"the IBGE code {code} is {place}, and the line has the UF {uf}; correct one", "ibge_code")
                return None
            if name and folded(name) != folded(place.name):
                others = named(name, uf or place.uf)
                own = f" ({others[0]} has the code {others[0].code})" if others else ""
                self.fault(f"the IBGE code {code} is {place}, and the line has the name {shown(name)}{own}; correct one", "ibge_code")
                return None
            return place
        if {"ibge_code", "municipio", "uf"} & wrong:
            return None
        if not name:
            self.fault("neither a name nor an IBGE code; give the município", "municipio")
        elif not uf:
            self.fault(f"{shown(name)} has neither a UF nor an IBGE code; give one, because names are not unique in Brazil", "municipio")
        else:
            found = named(name, uf)
            if len(found) == 1:
                return found[0]
            # Comparing takes milliseconds, so only for what is shown.
            places_like_it = similar(name, uf) if self.faults.count < MAX_SHOWN else []
            close = " or ".join(f"{place} ({place.code})" for place in places_like_it)
            what = f"did you mean {close}?" if close else "compare it with the list of the IBGE"
            self.fault(f"no município of {uf} has the name {shown(name)}; {what}", "municipio")
        return None

    def _name(self, wrong: set[str]) -> str:
        """Return the host's name: its own, or its domain, or the município's."""
        name = str(self.values.get("host") or self.values.get("domain") or "")
        if not name and not {"host", "domain"} & wrong:
            if "ipv4" not in self.values and "ipv4" not in wrong:
                self.fault("no server: give its domain, its name or its IPv4 address")
            elif "ibge_code" in self.values:
                name = f"{folded(self.values['municipio'])}-{self.values['uf'].lower()}".replace(" ", "-")
        if name == self.rules.group:
            self.fault(f"the server has the name of the group {name}; give it another", "host")
        return name
