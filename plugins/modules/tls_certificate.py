#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: tls_certificate
short_description: Bring a certificate and its private key to a web server, checked before it sees them
version_added: 0.1.0
author: ["esus.pec contributors (@esus-pec)"]
description:
  - Looks whether a certificate and a private key belong together, are made out to the domain and are valid now, and only then writes them.
  - Without O(certificate_content) and O(key_content) it looks at the files that are there, and changes nothing.
options:
  certificate:
    description: Path of the certificate as PEM, with those of the authority after it.
    type: path
    required: true
  key:
    description: Path of the private key as PEM, without a passphrase. It is written with mode 0600.
    type: path
    required: true
  certificate_content:
    description: What O(certificate) is to hold.
    type: str
  key_content:
    description: What O(key) is to hold.
    type: str
  domain:
    description: The name that the certificate must be made out to.
    type: str
    required: true
  warn_days:
    description: A warning is given when fewer days than these remain.
    type: int
    default: 20
attributes:
  check_mode:
    description: Can run in check mode and predict the change. Everything is checked then, too.
    support: full
  diff_mode:
    description: Shows whose certificate it is and until when, never the key.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
extends_documentation_fragment:
  - esus.pec.attributes
seealso:
  - module: esus.pec.served_certificate
"""

EXAMPLES = r"""
- name: Bring the certificate for nginx
  esus.pec.tls_certificate:
    certificate: /etc/ssl/certs/esus-pec.pem
    key: /etc/ssl/private/esus-pec.key
    certificate_content: "{{ lookup('ansible.builtin.file', 'esus.pem') }}"
    key_content: "{{ lookup('ansible.builtin.unvault', 'esus.key') }}"
    domain: esus.municipio.uf.gov.br
  become: true
"""

RETURN = r"""
not_after: {description: Until when it is valid., returned: success, type: str, sample: "2027-01-30T00:00:00Z"}
days_left: {description: Whole days until then., returned: success, type: int, sample: 68}
dns_names: {description: Names that it is made out to., returned: success, type: list, elements: str, sample: [esus.municipio.uf.gov.br]}
fingerprint_sha256:
  description: What identifies it.
  returned: success
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
"""

import os
from datetime import datetime, timezone

from ansible_collections.esus.pec.plugins.module_utils.certificates import pem_pair, x509
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.module import QuietModule
from ansible_collections.esus.pec.plugins.module_utils.system import files

KEY_MODE = 0o600
CERTIFICATE_MODE = 0o644


def current(path: str) -> bytes | None:
    return files.read_bytes(path) if os.path.isfile(path) else None


def differs(path: str, wanted: bytes, mode: int) -> bool:
    return current(path) != wanted or os.stat(path).st_mode & 0o7777 != mode


def describe(certificate: bytes | None) -> str:
    try:
        leaf = x509.read(x509.blocks(certificate or b"")[0])
    except (IndexError, PecError):
        return "no certificate\n"
    return f"{leaf.subject}, until {leaf.not_after:%Y-%m-%d}, SHA-256 {leaf.fingerprint_sha256}\n"


def wanted(path: str, content: str | None) -> bytes:
    if content is not None:
        return (content.strip("\n") + "\n").encode()
    found = current(path)
    if found is None:
        raise PecError(f"there is no {path} on this host; put it there, or give its content")
    return found


def main() -> None:
    module = QuietModule(
        argument_spec={
            "certificate": {"type": "path", "required": True},
            "key": {"type": "path", "required": True, "no_log": False},
            "certificate_content": {"type": "str"},
            "key_content": {"type": "str", "no_log": True},
            "domain": {"type": "str", "required": True},
            "warn_days": {"type": "int", "default": 20},
        },
        required_together=[("certificate_content", "key_content")],
        supports_check_mode=True,
    )
    params = module.params
    now = datetime.now(timezone.utc)
    try:
        certificate = wanted(params["certificate"], params["certificate_content"])
        key = wanted(params["key"], params["key_content"])
        leaf = pem_pair.read(certificate, key, params["domain"], now).certificate
        before = describe(current(params["certificate"]))
        changed = params["key_content"] is not None and (
            differs(params["certificate"], certificate, CERTIFICATE_MODE) or differs(params["key"], key, KEY_MODE)
        )
        if changed and not module.check_mode:
            # The key first: a web server that is started in between fails either way, and the old certificate is of no use to anybody.
            files.write_atomic(params["key"], key, mode=KEY_MODE, uid=0, gid=0)
            files.write_atomic(params["certificate"], certificate, mode=CERTIFICATE_MODE, uid=0, gid=0)
    except PecError as error:
        module.fail_json(msg=str(error))
    if leaf.days_left(now) < params["warn_days"]:
        module.warn(f"the certificate of {params['domain']} is valid for {leaf.days_left(now)} more days only; obtain a new one")
    headers = {"before_header": params["certificate"], "after_header": params["certificate"]}
    module.exit_json(
        changed=changed,
        not_after=leaf.not_after.strftime("%Y-%m-%dT%H:%M:%SZ"),
        days_left=leaf.days_left(now),
        dns_names=list(leaf.dns_names),
        fingerprint_sha256=leaf.fingerprint_sha256,
        diff={"before": before, "after": describe(certificate), **headers},
    )


if __name__ == "__main__":
    main()
