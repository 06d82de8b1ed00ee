# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hosts and groups from the spreadsheet of a team that looks after many municípios."""

from __future__ import annotations

DOCUMENTATION = r"""
name: municipios
short_description: Hosts and groups from a spreadsheet of municípios
version_added: 0.2.0
author:
  - esus.pec contributors (@esus-pec)
description:
  - Reads a CSV, XLSX or YAML file with a line for each município and makes a host of each line.
  - Every value is checked before anything runs. All problems are listed at once, with file, line and column, and then no host is made.
    IBGE code, name and UF are compared with a table of all 5,571 municípios.
  - The inventory source is a file whose name ends in C(municipios.yml) or C(municipios.yaml).
  - The columns are recognized by their names, in any order, with or without accents. A column that is not known is a problem, unless it is
    in O(columns) or O(ignored_columns).
  - "Columns and the variables they become: C(Município) is C(pec_municipio), C(UF) is C(pec_uf), C(Código IBGE) is C(pec_ibge_code),
    C(Domínio) is C(pec_domain), C(IPv4) is C(ansible_host), C(CNPJ) is C(pec_cnpj), C(Instalador) is C(pec_first_run_instalador_name),
    C(CPF do instalador) is C(pec_instalador_cpf), C(Usuários simultâneos) is C(pec_simultaneous_users), C(Versão) is C(pec_version),
    C(Onda) is C(pec_wave), C(Janela) is C(pec_window), C(Situação) is C(pec_state) and C(Responsável) is C(pec_responsible). The region
    becomes C(pec_region)."
  - Of C(Município), C(UF) and C(Código IBGE), the code alone or the name with its UF is enough. The others are optional, but each line
    needs a C(Domínio), C(Servidor) or C(IPv4). The host is named after C(Servidor), or else its domain, or else its município, such as
    C(agua-clara-ms).
  - All hosts are in the group O(group), and it has child groups by region, state (C(Situação)), UF, version and wave, such as
    C(pec_region_centro_oeste), C(pec_state_producao), C(pec_uf_ms), C(pec_version_5_4_37) and C(pec_wave_1). If several of them define a
    variable, the last in this order counts.
  - A secret is never in the sheet. A column whose name ends in V((variável do vault\)) holds the names of variables, so that
    C(vault_senha_agua_clara) in V(Senha do instalador (variável do vault\)) sets C(pec_instalador_password) to the value of that variable.
    The others are C(Senha do banco) for C(pec_database_password), C(Senha do certificado) for C(pec_certificate_password), C(Senha do SMTP)
    for C(pec_smtp_password), C(Segredo do Gov.br) for C(pec_govbr_client_secret), C(Senha do sudo) for C(ansible_become_password) and
    C(Senha do SSH) for C(ansible_password). Any other column named after a password or token is refused.
  - Every other value is data. Ansible never reads it as a template.
options:
  plugin:
    description: The name of this plugin.
    type: str
    required: true
    choices: [esus.pec.municipios]
  path:
    description:
      - File on the controller, relative to the directory of the inventory source. It may be encrypted by ansible-vault.
      - Its suffix is its type, C(.csv), C(.tsv) or C(.txt), C(.xlsx) or C(.xlsm), C(.yml) or C(.yaml).
      - A YAML file is a list with a mapping for each município, the columns' names as keys, alone or under the key C(municipios).
    type: str
    required: true
  columns:
    description:
      - Columns with other names, by their name in the sheet. The value is a field, or the name of a variable that gets the text as it is.
      - The fields are V(municipio), V(uf), V(ibge_code), V(host), V(domain), V(ipv4), V(cnpj), V(instalador), V(cpf), V(users), V(version),
        V(wave), V(window), V(state) and V(responsible).
      - If the column's name ends in V((variável do vault\)), the variable gets the value of the vault variable that the sheet names.
    type: dict
    default: {}
  ignored_columns:
    description: Names of columns that are not used, such as V(Observações).
    type: list
    elements: str
    default: []
  worksheets:
    description: Worksheets of an XLSX file that hold municípios. Without it there can be only one that is visible and not empty.
    type: list
    elements: str
    default: []
  header_line:
    description: Line from which on the names of the columns are searched. They are in the first line with values.
    type: int
    default: 1
  encoding:
    description:
      - Encoding of a CSV or YAML file. V(auto) recognizes UTF-8 and UTF-16 and takes everything else for Windows-1252.
    type: str
    choices: [auto, utf-8, utf-16, windows-1252]
    default: auto
  separator:
    description: Character between the columns of a CSV file. V(auto) takes the one that the line with their names has most of.
    type: str
    choices: [auto, ",", ";", tab]
    default: auto
  group:
    description: Group of all hosts. The collection's playbooks run on V(pec), unless C(pec_hosts) says otherwise.
    type: str
    default: pec
  prefix:
    description: Beginning of the names of all child groups.
    type: str
    default: pec_
  vault_prefix:
    description:
      - Beginning of the names of vault variables. A name in the sheet that begins otherwise is refused, so that whoever edits the sheet
        cannot read other variables. With V("") every name is accepted.
    type: str
    default: vault_
  strict:
    description:
      - Applies to the expressions in O(compose), O(groups) and O(keyed_groups) only. Faults in the sheet are always errors.
extends_documentation_fragment:
  - constructed
  - inventory_cache
requirements:
  - openpyxl on the controller, for XLSX files only (C(pip install openpyxl))
notes:
  - If an inventory source is not accepted, Ansible goes on with the others and shows the reasons of every plugin that tried. To end the
    run instead, and to see this plugin's reason only, set C(any_unparsed_is_failed=true) and C(enable_plugins=esus.pec.municipios) in the
    section C([inventory]) of C(ansible.cfg).
  - With O(cache=true) the checked values are kept, not encrypted. A sheet or options that changed are read again in any case.
  - The limits are 16 MiB, 10,000 lines, 100 columns, 1,000 characters in a cell that is used, 16 million characters in all, and 64 MiB for
    what an XLSX file unpacks to.
  - Of a formula in an XLSX file the value counts that was stored with it, and a warning names the first one.
seealso:
  - name: Operator's guide
    description: A fleet from a sheet, with complete examples.
    link: https://github.com/esus-pec/esus.pec/blob/main/docs/guide.md#a-fleet-from-a-sheet
"""

EXAMPLES = r"""
# The smallest municipios.yml. municipios.csv is beside it:
#   Município;UF;Domínio
#   Água Clara;MS;pec.agua-clara.ms.gov.br
plugin: esus.pec.municipios
path: municipios.csv
---
# A workbook with other columns: two are mapped, one is not used
plugin: esus.pec.municipios
path: /srv/planilhas/implantacao.xlsx
worksheets: [MS, MT]
header_line: 3
columns:
  Localidade: municipio
  Telefone da TI: contato_telefone
  Senha da VPN (variável do vault): vpn_password
ignored_columns: [Observações]
---
# Groups and variables of your own, and the cache of Ansible
plugin: esus.pec.municipios
path: municipios.yaml
prefix: esus_
compose:
  pec_backup_directory: "'/srv/backup/' ~ pec_ibge_code"
groups:
  large: pec_simultaneous_users | default(0) | int > 100
keyed_groups:
  - key: pec_window
    prefix: janela
strict: true
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.cache/esus-pec
"""

import hashlib
import json
import os
import re
from dataclasses import asdict
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.module_utils.common.text.converters import to_text
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable

from ansible_collections.esus.pec.plugins.plugin_utils.municipios.columns import is_variable, mapping_problems
from ansible_collections.esus.pec.plugins.plugin_utils.municipios.reading import Format, read_sheets
from ansible_collections.esus.pec.plugins.plugin_utils.municipios.servers import Rules, Server, servers_of
from ansible_collections.esus.pec.plugins.plugin_utils.municipios.sheet import MAX_BYTES, Faults, SheetError
from ansible_collections.esus.pec.plugins.plugin_utils.municipios.templates import data, template

_SUFFIXES = ("municipios.yml", "municipios.yaml")
_READING = ("path", "ignored_columns", "worksheets", "header_line", "encoding", "separator", "group", "vault_prefix")
_CACHE_FORMAT = 1  # to be counted up when Server or a check changes


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):  # type: ignore[misc]  # Ansible has no types
    """Reads the sheet, checks it and fills the inventory."""

    NAME = "esus.pec.municipios"

    def verify_file(self, path: str) -> bool:
        """Accept the names of this plugin's sources only, and leave others to other plugins."""
        return bool(super().verify_file(path)) and to_text(path).endswith(_SUFFIXES)

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        self._check_options()
        file = os.path.join(os.path.dirname(os.path.abspath(to_text(path))), os.path.expanduser(self.get_option("path")))
        content = self._content(file)
        servers = self._kept(path, content, cache)
        if servers is None:
            servers = self._servers(content, os.path.basename(file))
            self._keep(path, content, servers)
        self._fill(servers)

    def _columns(self) -> dict[str, str]:
        return {str(header): str(target) for header, target in self.get_option("columns").items()}

    def _check_options(self) -> None:
        problems = mapping_problems(self._columns())
        for name in ("group", "prefix"):
            value = self.get_option(name)
            if not re.fullmatch(r"[a-z_][a-z0-9_]*", value or "") and not (name == "prefix" and value == ""):
                problems.append(f"{name} is {value!r}; use lower case letters, digits and underscores")
        if not re.fullmatch(r"[A-Za-z0-9_]*", self.get_option("vault_prefix") or ""):
            problems.append("vault_prefix is not the beginning of a variable's name; use letters, digits and underscores")
        if problems:
            raise AnsibleParserError("the options of esus.pec.municipios are not correct:\n" + "\n".join(f"- {each}" for each in problems))

    def _content(self, file: str) -> bytes:
        """Return the bytes of the sheet, decrypted if ansible-vault encrypted it."""
        if not os.path.isfile(file):
            raise AnsibleParserError(f"there is no file {file}; give the sheet's path relative to the inventory source, or an absolute one")
        try:
            if os.path.getsize(file) > 4 * MAX_BYTES:  # encrypted, it is larger
                raise AnsibleParserError(f"{file} is larger than {MAX_BYTES >> 20} MiB; save the list of municípios alone")
            readable = self.loader.get_real_file(file)
            try:
                with open(readable, "rb") as sheet:
                    return sheet.read(MAX_BYTES + 1)
            finally:
                self.loader.cleanup_tmp_file(readable)
        except OSError as error:
            raise AnsibleParserError(f"the sheet {file} cannot be read: {error.strerror}") from None

    def _servers(self, content: bytes, name: str) -> list[Server]:
        faults = Faults()
        form = Format(
            encoding=self.get_option("encoding"),
            separator={"tab": "\t"}.get(self.get_option("separator"), self.get_option("separator")),
            worksheets=self.get_option("worksheets"),
            header_line=self.get_option("header_line"),
        )
        rules = Rules(
            columns=self._columns(),
            ignored=self.get_option("ignored_columns"),
            vault_prefix=self.get_option("vault_prefix"),
            group=self.get_option("group"),
        )
        servers: list[Server] = []
        try:
            sheets = read_sheets(content, name, form, faults, lambda text: self.display.warning(f"{name}: {text}"))
            servers = servers_of(sheets, rules, faults)
        except SheetError as error:
            faults.add(name, 0, str(error))
        if faults.count:
            raise AnsibleParserError(faults.message())
        return servers

    def _fingerprint(self, content: bytes) -> str:
        options = json.dumps([_CACHE_FORMAT, self._columns(), *(self.get_option(name) for name in _READING)])
        return hashlib.sha256(options.encode() + b"\0" + content).hexdigest()

    def _kept(self, path: str, content: bytes, cache: bool) -> list[Server] | None:
        """Return what the cache has of this sheet and these options."""
        if not cache or not self.get_option("cache"):
            return None
        try:
            kept = self._cache[self.get_cache_key(path)]
        except KeyError:
            return None
        if kept.get("fingerprint") != self._fingerprint(content):
            return None
        return [Server(**each) for each in kept["servers"]]

    def _keep(self, path: str, content: bytes, servers: list[Server]) -> None:
        if self.get_option("cache"):
            kept = {"fingerprint": self._fingerprint(content), "servers": [asdict(server) for server in servers]}
            self._cache[self.get_cache_key(path)] = kept

    def _fill(self, servers: list[Server]) -> None:
        group = self.inventory.add_group(self.get_option("group"))
        strict = self.get_option("strict")
        for server in servers:
            self.inventory.add_host(server.name, group=group)
            for child in server.groups(self.get_option("prefix")):
                self.inventory.add_child(group, self.inventory.add_group(child))
                self.inventory.add_host(server.name, group=child)
            variables = {name: data(value) for name, value in server.variables.items()}
            # A cache could hold anything, and this becomes a template.
            variables |= {name: template(f"{{{{ {vault} }}}}") for name, vault in server.vault.items() if is_variable(vault)}
            for name, value in variables.items():
                self.inventory.set_variable(server.name, name, value)
            self._set_composite_vars(self.get_option("compose"), variables, server.name, strict=strict)
            self._add_host_to_composed_groups(self.get_option("groups"), variables, server.name, strict=strict)
            self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, server.name, strict=strict)
