# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of modules that ask PEC's API."""

from __future__ import annotations


class ModuleDocFragment:
    """C(esus.pec.api) is for every such module; C(esus.pec.api.instalador) adds what one needs that logs in."""

    DOCUMENTATION = r"""
options:
  url:
    description: Address of PEC as this host reaches it. By default the local addresses that its files tell.
    type: str
  validate_certs:
    description: Whether the certificate of an HTTPS address must be valid. Only used with O(url); a local address is in no certificate.
    type: bool
    default: true
  ca_path:
    description: File with the certificate authorities to trust.
    type: path
  operations:
    description:
      - Corrections of the catalogue of PEC's operations, by the names of its entries, for a PEC that takes others than this collection
        believes. The entries and their form are in C(plugins/module_utils/api/catalogue.py) and in C(docs/contract.md).
      - A part that is given, such as C(write), takes the place of the whole part.
    type: dict
    default: {}
"""

    INSTALADOR = r"""
options:
  instalador:
    description:
      - The person who administers the installation, and logs in. One attempt is made with a password, because PEC locks an account after a
        few wrong ones; one that was refused is not tried again on this host until it is another one.
    type: dict
    required: true
    suboptions:
      cpf: {description: CPF with or without dots and dash., type: str, required: true}
      password: {description: The password., type: str, required: true}
  force:
    description: Whether to end another session of the same person. PEC allows one a person. In check mode none is ended.
    type: bool
    default: false
  timeout:
    description: Seconds for one request.
    type: int
    default: 60
  wait:
    description: Seconds to wait for a PEC that does not answer, as while it starts.
    type: int
    default: 300
"""
