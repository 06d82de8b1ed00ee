#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: served_certificate
short_description: Read the certificate that a server presents
version_added: 0.1.0
author: ["esus.pec contributors (@esus-pec)"]
description:
  - Asks a server for its certificate of a domain, as a browser does, and returns its content, whoever issued it.
  - A server that does not answer is a result, not a failure.
options:
  domain:
    description: The domain to ask for.
    type: str
    required: true
  port:
    description: TCP port of HTTPS.
    type: int
    default: 443
  address:
    description: Address of the server as seen from the host. By default the host itself, whatever address the domain has.
    type: str
    default: 127.0.0.1
  timeout:
    description: Seconds to wait for an answer.
    type: int
    default: 10
extends_documentation_fragment:
  - esus.pec.attributes
  - esus.pec.attributes.read_only
seealso:
  - module: esus.pec.info
"""

EXAMPLES = r"""
- name: Read the certificate that people see
  esus.pec.served_certificate:
    domain: esus.municipio.uf.gov.br
  register: served

- name: Show the end of its validity
  ansible.builtin.debug:
    msg: "{{ served.certificate.not_after }}"
"""

RETURN = r"""
certificate:
  description: The certificate. Every value is null if none was presented, except C(served), C(error), C(domain) and C(dns_names).
  returned: success
  type: dict
  contains:
    served: {description: A certificate was presented., type: bool, sample: true}
    error: {description: Why none was presented., type: str, sample: null}
    domain: {description: The domain that was asked for., type: str, sample: esus.municipio.uf.gov.br}
    matches_domain: {description: The certificate is for that domain., type: bool, sample: true}
    trusted: {description: A browser with this host's authorities would accept it., type: bool, sample: true}
    trust_error: {description: Why such a browser would reject it., type: str, sample: null}
    subject: {description: Name of the holder., type: str, sample: CN=esus.municipio.uf.gov.br}
    issuer: {description: The authority that issued it., type: str, sample: "CN=R11,O=Let's Encrypt,C=US"}
    dns_names: {description: Its domains., type: list, elements: str, sample: [esus.municipio.uf.gov.br]}
    not_before: {description: Start of its validity., type: str, sample: "2026-11-01T00:00:00Z"}
    not_after: {description: End of its validity., type: str, sample: "2027-01-30T00:00:00Z"}
    days_left: {description: Whole days until its end; negative after it., type: int, sample: 68}
    fingerprint_sha256: {description: SHA-256 of the certificate., type: str, sample: 9f86d081884c7d65}
"""

from ansible_collections.esus.pec.plugins.module_utils.certificates import handshake
from ansible_collections.esus.pec.plugins.module_utils.module import PecModule, Result, run_module

ARGUMENTS = {
    "domain": {"type": "str", "required": True},
    "port": {"type": "int", "default": 443},
    "address": {"type": "str", "default": "127.0.0.1"},
    "timeout": {"type": "int", "default": 10},
}


def run(module: PecModule) -> Result:
    params = module.params
    served = handshake.fetch(params["domain"], params["port"], address=params["address"], seconds=params["timeout"])
    return {"certificate": handshake.describe(served, params["domain"])}


def main() -> None:
    run_module(run, argument_spec=ARGUMENTS, root=False)


if __name__ == "__main__":
    main()
