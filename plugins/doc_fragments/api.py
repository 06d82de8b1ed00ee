# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of modules that use PEC's API."""

from __future__ import annotations


class ModuleDocFragment:
    """C(esus.pec.api) is for every such module; C(esus.pec.api.instalador) adds what a login needs."""

    DOCUMENTATION = r"""
options:
  url:
    description: Address of PEC as this host reaches it. By default the local addresses, from PEC's files.
    type: str
  validate_certs:
    description: Check the certificate of an HTTPS address. Only used with O(url), because no certificate names a local address.
    type: bool
    default: true
  ca_path:
    description: File with the certificate authorities to trust.
    type: path
  operations:
    description:
      - Corrections of the catalogue of PEC's operations, by the names of its entries, for a PEC whose operations differ from what this
        collection believes. C(plugins/module_utils/api/catalogue.py) and C(docs/contract.md) have the entries and their form.
      - A given part, such as C(write), replaces the whole part. SQL names each table as C(public.TABLE).
    type: dict
    default: {}
"""

    INSTALADOR = r"""
options:
  instalador:
    description:
      - The person who administers the installation; the module logs in as this person. A password that PEC refused is not tried again on
        this host, because PEC locks an account after a few wrong ones.
    type: dict
    required: true
    suboptions:
      cpf: {description: CPF with or without dots and dash., type: str, required: true}
      password: {description: The password., type: str, required: true}
  force:
    description: End another session of the same person, because PEC allows one session per person. Check mode ends none.
    type: bool
    default: false
  timeout:
    description: Seconds for one request.
    type: int
    default: 60
  wait:
    description: Seconds to wait for a PEC that does not answer, such as one that is starting.
    type: int
    default: 300
"""
