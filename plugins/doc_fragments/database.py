# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The option of modules that work on one database."""

from __future__ import annotations


class ModuleDocFragment:
    """C(esus.pec.database) documents the option that C(module_utils/postgres/options.py) defines."""

    DOCUMENTATION = r"""
options:
  database:
    description: The database. Defaults to the one in PEC's own files on this host.
    type: dict
    suboptions:
      host: {description: "Address of the server, or the directory of its socket.", type: str, default: 127.0.0.1}
      port: {description: Port of the server., type: int, default: 5432}
      name: {description: Name of the database., type: str, default: esus}
      username: {description: Role to connect as. PEC's own role owns everything that a restore creates., type: str, default: esus}
      password: {description: Password of the role., type: str, default: ""}
      sslmode:
        description:
          - Protection of the connection. V(prefer) uses TLS if the server offers it. V(require) insists on TLS, whoever answers.
          - V(verify-ca) also checks that O(database.sslrootcert) signed the server's certificate, and V(verify-full) also its name.
          - A server on another host that asks for the password in clear text does not receive it, unless its certificate is verified.
        type: str
        choices: [disable, prefer, require, verify-ca, verify-full]
        default: prefer
      sslrootcert:
        description: File on this host with the authority of the server's certificate. Every account must be able to read it.
        type: str
        default: ""
"""
