#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: served_certificate
short_description: Look at the certificate that a server shows
version_added: 0.1.0
author: ["esus.pec contributors (@esus-pec)"]
description:
  - Asks a server for its certificate as a browser does that was told a domain, and tells what it says, whoever signed it.
  - A server that does not answer is an answer, not a failure.
options:
  domain:
    description: The name that is asked for.
    type: str
    required: true
  port:
    description: TCP port of HTTPS.
    type: int
    default: 443
  address:
    description: Address of the server, seen from the host. By default the host itself, wherever the name leads.
    type: str
    default: 127.0.0.1
  timeout:
    description: Seconds until an address that does not answer is given up.
    type: int
    default: 10
extends_documentation_fragment:
  - esus.pec.attributes
  - esus.pec.attributes.read_only
seealso:
  - module: esus.pec.info
"""

EXAMPLES = r"""
- name: Look at the certificate that people see
  esus.pec.served_certificate:
    domain: esus.municipio.uf.gov.br
  register: shown

- name: Say until when it is valid
  ansible.builtin.debug:
    msg: "{{ shown.certificate.not_after }}"
"""

RETURN = r"""
certificate:
  description: What it showed.
  returned: success
  type: dict
  contains:
    served: {description: Whether one was shown., type: bool, sample: true}
    error: {description: Why none was shown., type: str, sample: null}
    domain: {description: The name that was asked for., type: str, sample: esus.municipio.uf.gov.br}
    matches_domain: {description: Whether it is made out to that name., type: bool, sample: true}
    trusted: {description: Whether a browser with this host's authorities would accept it., type: bool, sample: true}
    trust_error: {description: Why it would not., type: str, sample: null}
    subject: {description: Whose it is., type: str, sample: CN=esus.municipio.uf.gov.br}
    issuer: {description: Who signed it., type: str, sample: "CN=R11,O=Let's Encrypt,C=US"}
    dns_names: {description: Names that it is made out to., type: list, elements: str, sample: [esus.municipio.uf.gov.br]}
    not_before: {description: From when it is valid., type: str, sample: "2026-11-01T00:00:00Z"}
    not_after: {description: Until when., type: str, sample: "2027-01-30T00:00:00Z"}
    days_left: {description: Whole days until then; negative once it has expired., type: int, sample: 68}
    fingerprint_sha256: {description: What identifies it., type: str, sample: 9f86d081884c7d65}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.esus.pec.plugins.module_utils.certificates import handshake


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "domain": {"type": "str", "required": True},
            "port": {"type": "int", "default": 443},
            "address": {"type": "str", "default": "127.0.0.1"},
            "timeout": {"type": "int", "default": 10},
        },
        supports_check_mode=True,
    )
    params = module.params
    shown = handshake.fetch(params["domain"], params["port"], address=params["address"], seconds=params["timeout"])
    module.exit_json(changed=False, certificate=handshake.describe(shown, params["domain"]))


if __name__ == "__main__":
    main()
