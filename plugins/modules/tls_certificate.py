#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: tls_certificate
short_description: Install a certificate and its private key for a web server after checking them
version_added: 0.1.0
author: ["esus.pec contributors (@esus-pec)"]
description:
  - Checks that a certificate and a private key belong together, are for the domain and are valid now, and only then writes them.
  - Without O(certificate_content) and O(key_content) it checks the existing files and changes nothing.
options:
  certificate:
    description: Path of the certificate as PEM, followed by those of its authorities.
    type: path
    required: true
  key:
    description: Path of the private key as PEM, without a passphrase. It is written with mode 0600.
    type: path
    required: true
  certificate_content:
    description:
      - Content of O(certificate). Only the certificates in it are written. A private key in it is refused, because every account can read
        the file.
    type: str
  key_content:
    description: Content of O(key).
    type: str
  domain:
    description: The domain that the certificate must be for.
    type: str
    required: true
  warn_days:
    description: Warn when the certificate expires in fewer than this many days.
    type: int
    default: 20
attributes:
  check_mode:
    description: Can run in check mode and predict the change. Everything is checked in check mode too.
    support: full
  diff_mode:
    description: Shows holder, end of validity and fingerprint, never the key.
    support: full
extends_documentation_fragment:
  - esus.pec.attributes
seealso:
  - module: esus.pec.served_certificate
"""

EXAMPLES = r"""
- name: Install the certificate for nginx
  esus.pec.tls_certificate:
    certificate: /etc/ssl/certs/esus-pec.pem
    key: /etc/ssl/private/esus-pec.key
    certificate_content: "{{ lookup('ansible.builtin.file', 'esus.pem') }}"
    key_content: "{{ lookup('ansible.builtin.unvault', 'esus.key') }}"
    domain: esus.municipio.uf.gov.br
  become: true
"""

RETURN = r"""
not_after: {description: End of its validity., returned: success, type: str, sample: "2027-01-30T00:00:00Z"}
days_left: {description: Whole days until its end., returned: success, type: int, sample: 68}
dns_names: {description: Its domains., returned: success, type: list, elements: str, sample: [esus.municipio.uf.gov.br]}
fingerprint_sha256:
  description: SHA-256 of the certificate.
  returned: success
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
problems:
  description:
    - Codes of the problems in the message.
    - V(not_pem), V(private_key), V(foreign_key), V(unreadable), V(passphrase), V(wrong_domain), V(expired), V(not_yet_valid).
  returned: failure because of the certificate or the key
  type: list
  elements: str
  sample: [foreign_key]
"""

import os
from datetime import datetime, timezone

from ansible_collections.esus.pec.plugins.module_utils.certificates import pem_pair, x509
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.module import PecModule, Result, diff, run_module
from ansible_collections.esus.pec.plugins.module_utils.system import clock, files

KEY_MODE = 0o600
CERTIFICATE_MODE = 0o644
ARGUMENTS = {
    "certificate": {"type": "path", "required": True},
    "key": {"type": "path", "required": True, "no_log": False},
    "certificate_content": {"type": "str", "no_log": True},  # a key may be in it by mistake
    "key_content": {"type": "str", "no_log": True},
    "domain": {"type": "str", "required": True},
    "warn_days": {"type": "int", "default": 20},
}


def current(path: str) -> bytes | None:
    return files.read_bytes(path) if os.path.isfile(path) else None


def differs(path: str, wanted: bytes, mode: int) -> bool:
    return current(path) != wanted or os.stat(path).st_mode & 0o7777 != mode


def describe(certificate: bytes | None) -> str:
    try:
        leaf = x509.read(x509.blocks(certificate or b"")[0])
    except (IndexError, PecError):
        return "no certificate\n"
    return f"{leaf.subject}, until {clock.utc(leaf.not_after)}, SHA-256 {leaf.fingerprint_sha256}\n"


def wanted(path: str, content: str | None) -> bytes:
    if content is not None:
        return (content.strip("\n") + "\n").encode()
    found = current(path)
    if found is None:
        raise PecError(f"{path} does not exist on this host; create it, or give its content")
    return found


def run(module: PecModule) -> Result:
    params, now = module.params, datetime.now(timezone.utc)
    certificate = wanted(params["certificate"], params["certificate_content"])
    key = wanted(params["key"], params["key_content"])
    leaf = pem_pair.check(certificate, key, params["domain"], now)
    days = leaf.days_left(now)
    if days < params["warn_days"]:
        module.say(f"the certificate of {params['domain']} expires in {days} days; request a new one")
    if params["certificate_content"] is not None:
        certificate = pem_pair.certificates_only(certificate)
    before = describe(current(params["certificate"]))
    changed = params["key_content"] is not None and (
        differs(params["certificate"], certificate, CERTIFICATE_MODE) or differs(params["key"], key, KEY_MODE)
    )
    if changed and not module.check_mode:
        # The key first: a web server started in between fails with either order, and nothing needs the old certificate.
        files.write_atomic(params["key"], key, mode=KEY_MODE, uid=0, gid=0)
        files.write_atomic(params["certificate"], certificate, mode=CERTIFICATE_MODE, uid=0, gid=0)
    return {
        "changed": changed,
        "not_after": clock.utc(leaf.not_after),
        "days_left": days,
        "dns_names": list(leaf.dns_names),
        "fingerprint_sha256": leaf.fingerprint_sha256,
        "diff": diff(params["certificate"], before, describe(certificate)),
    }


def main() -> None:
    run_module(run, argument_spec=ARGUMENTS, required_together=[("certificate_content", "key_content")])


if __name__ == "__main__":
    main()
