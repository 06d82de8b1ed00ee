#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate
short_description: Bring a certificate to PEC, checked before PEC sees it
version_added: 0.1.0
author: ["esus.pec contributors (@esus-pec)"]
description:
  - Puts a PKCS#12 file (C(.pfx), C(.p12)), a certificate with its private key, where PEC looks for it, as the service's own, mode 0600.
  - The file is opened first. A wrong password, a missing or foreign private key, a certificate that is expired, not yet valid,
    of another kind or of another holder is an error, and nothing is changed then.
  - Whether something changes depends on what is in the file, not on its bytes. What is replaced or removed is kept for root alone.
  - PEC keeps the name and the password of the certificate in its database. That step remains, and RV(next_step) says how.
options:
  src:
    description: The file on the controller, which may be encrypted by ansible-vault; on the managed host with O(remote_src=true).
    type: path
  content:
    description: The file as base64, in place of O(src).
    type: str
  remote_src:
    description: Whether O(src) is on the managed host.
    type: bool
    default: false
  password:
    description: Password of the file. Needed with O(state=present); an empty one has to be given as such.
    type: str
  name:
    description: Name of the file on the managed host. By default that of O(src). A renewal comes under the same name.
    type: str
  directory:
    description: Where it goes. By default the directory C(chaves) of the PEC on this host, which is created.
    type: path
  state:
    description: Whether the file is to be there.
    type: str
    choices: [present, absent]
    default: present
  expected_cnpj:
    description: The CNPJ that the certificate must be issued for, with or without punctuation.
    type: str
    default: ""
  domain:
    description: For a certificate of HTTPS, the name that it must be made out to. Without it, it must be one for identifying oneself.
    type: str
    default: ""
  warn_days:
    description: A warning is given when fewer days than these remain.
    type: int
    default: 30
  reencrypt:
    description:
      - V(never) keeps the bytes that were given.
      - V(java8) writes the file anew with 3DES, which everything opens; V(modern) with AES-256, which old programs do not.
    type: str
    choices: [never, java8, modern]
    default: never
  owner:
    description: Owner of the file. By default the user that PEC's service runs as.
    type: str
attributes:
  check_mode:
    description: Can run in check mode and predict the change. The certificate is checked then, too.
    support: full
  diff_mode:
    description: Shows holder, validity and fingerprint, never a secret.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
extends_documentation_fragment:
  - esus.pec.attributes
notes:
  - The file is read with Python's cryptography, openssl or the keytool of a Java, whichever is on the managed host and can.
  - Whether it has been revoked is not asked.
seealso:
  - module: esus.pec.info
  - module: esus.pec.properties
"""

EXAMPLES = r"""
- name: Install the certificate for the RNDS
  esus.pec.certificate:
    src: certificates/municipio.pfx
    password: "{{ municipio_certificate_password }}"
    expected_cnpj: 11.222.333/0001-81
  become: true
  register: certificate

- name: Say what remains to be done in PEC
  ansible.builtin.debug:
    msg: "{{ certificate.next_step }}"
  when: certificate.next_step is not none

- name: Only check one that is in a vault, and change nothing
  esus.pec.certificate:
    content: "{{ municipio_certificate_base64 }}"
    name: municipio.p12
    password: "{{ municipio_certificate_password }}"
  become: true
  check_mode: true

- name: Remove the old one
  esus.pec.certificate:
    name: municipio-2025.pfx
    state: absent
  become: true
"""

RETURN = r"""
path:
  description: The file on the managed host; null in check mode where PEC is not installed.
  returned: success
  type: str
  sample: /opt/e-SUS/webserver/chaves/municipio.pfx
backup_file:
  description: Where what was replaced or removed is kept.
  returned: when something was
  type: str
  sample: /etc/esus-pec/replaced/municipio.pfx.20261123T065500Z.1f2e3d4c
next_step:
  description: What a person has to do in PEC now; null when nothing changed there.
  returned: success
  type: str
  sample: null
certificate:
  description: What is in the file. Null with O(state=absent).
  returned: success
  type: dict
  contains:
    holder: {description: Who it is issued for., type: str, sample: MUNICIPIO DE EXEMPLO}
    cnpj: {description: Its CNPJ., type: str, sample: "11222333000181"}
    cpf: {description: Its CPF when it is a person's. The ends are masked., type: str, sample: "***.982.247-**"}
    responsible: {description: The person who answers for it., type: str, sample: MARIA DA SILVA}
    subject: {description: The whole name of the holder., type: str, sample: "CN=MUNICIPIO DE EXEMPLO:11222333000181,O=ICP-Brasil,C=BR"}
    issuer: {description: The authority that issued it., type: str, sample: "CN=AC Exemplo,O=ICP-Brasil,C=BR"}
    serial: {description: Its number in hexadecimal., type: str, sample: 1f2e3d}
    not_before: {description: From when it is valid., type: str, sample: "2026-01-31T12:00:00Z"}
    not_after: {description: Until when it is valid., type: str, sample: "2027-01-31T12:00:00Z"}
    days_left: {description: Whole days until then., type: int, sample: 200}
    key: {description: Kind and bits of the key., type: str, sample: RSA 2048}
    key_usage: {description: What the key is for., type: list, elements: str, sample: [digitalSignature, nonRepudiation, keyEncipherment]}
    extended_key_usage: {description: What the certificate is for., type: list, elements: str, sample: [clientAuth, emailProtection]}
    dns_names: {description: The domains it is made out to., type: list, elements: str, sample: []}
    chain: {description: "Its authorities, nearest first.", type: list, elements: str, sample: ["CN=AC Exemplo,O=ICP-Brasil,C=BR"]}
    chain_complete: {description: Whether they are all in the file., type: bool, sample: true}
    fingerprint_sha256: {description: SHA-256 of the certificate., type: str, sample: 1f2e3d4c5b6a7988}
    friendly_name: {description: The name that the file gives it., type: str, sample: municipio}
    encryption: {description: "How the file is encrypted: V(legacy), V(java8), V(modern) or V(other).", type: str, sample: modern}
    backend: {description: What opened the file., type: str, sample: cryptography}
    keytool:
      description: The keytool of PEC's own Java that reads it; null where there is none.
      type: str
      sample: /opt/e-SUS/jre/current/bin/keytool
"""

import os
from datetime import datetime, timezone
from typing import Any

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.certificates import pkcs12, planning, records
from ansible_collections.esus.pec.plugins.module_utils.certificates.planning import Current, Desired, Plan
from ansible_collections.esus.pec.plugins.module_utils.certificates.rules import Wanted, remarks
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.module import QuietModule
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.system import files, process

ARGUMENTS = {
    "src": {"type": "path"},
    "content": {"type": "str", "no_log": True},
    "remote_src": {"type": "bool", "default": False},
    "password": {"type": "str", "no_log": True},
    "name": {"type": "str"},
    "directory": {"type": "path"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "expected_cnpj": {"type": "str", "default": ""},
    "domain": {"type": "str", "default": ""},
    "warn_days": {"type": "int", "default": 30},
    "reencrypt": {"type": "str", "choices": ["never", "java8", "modern"], "default": "never"},
    "owner": {"type": "str"},
}


def file_name(params: dict[str, Any]) -> str:
    """Raises PecError for a name that PEC would not show, or that leads elsewhere."""
    name = params["name"] or os.path.basename(params["src"] or "")
    if not name:
        raise PecError("name is missing; say how the file is called on the server, such as municipio.pfx")
    if "/" in name or name.startswith(".") or not name.isprintable():
        raise PecError(f"the name {name!r} is not the plain name of a file; where it goes is said by directory")
    accepted = beliefs.CERTIFICATE_SUFFIXES
    if params["state"] == "present" and not name.lower().endswith(accepted):
        hint = "; a .cer has no private key, ask who issued it for the .pfx" if name.lower().endswith((".cer", ".crt")) else ""
        raise PecError(f"PEC does not accept the file {name}: it takes files that end in {' or '.join(accepted)}{hint}")
    return name


def target_path(params: dict[str, Any], here: installation.Installation, check_mode: bool) -> str | None:
    """Return where the file goes; None where that is not known yet, or where there is nothing to remove it from."""
    name = file_name(params)
    directory = params["directory"] or here.keys_directory
    if directory is None:
        if check_mode or params["state"] == "absent":
            return None
        raise PecError("PEC is not installed on this host, so there is no place for its certificate; install PEC first, or give directory")
    parent = os.path.dirname(directory.rstrip("/"))
    if params["state"] == "present" and not check_mode and not os.path.isdir(parent):
        raise PecError(f"there is no directory {parent}; check directory")
    return os.path.join(directory, name)


def read_desired(params: dict[str, Any], here: installation.Installation, now: datetime) -> tuple[Desired, str | None]:
    """Return what shall be there, opened and checked, and the keytool that reads it. Raises PecError with all that is wrong with it."""
    wanted = Wanted(params["expected_cnpj"], params["domain"], params["warn_days"])
    data = planning.decode(params["content"]) if params["content"] else files.read_bytes(params["src"])
    desired = Desired(data, planning.check(data, params["password"], wanted, now), planning.owner(params["owner"]), params["reencrypt"])
    keytool = os.path.join(here.jre_directory, "bin", "keytool") if here.jre_directory else ""
    if not os.access(keytool, os.X_OK):
        return desired, None
    refusal = pkcs12.ask_keytool(keytool, planning.content(desired, params["password"]), params["password"])
    if refusal:
        remedy = "; try reencrypt: java8" if params["reencrypt"] == "never" else ""
        raise PecError(f"PEC's own Java cannot read it, though {desired.store.backend} can ({refusal}){remedy}")
    return desired, keytool


def apply(path: str, todo: Plan, current: Current | None, desired: Desired, password: str, now: datetime) -> str | None:
    """Return where the replaced file is kept."""
    owner = desired.owner
    data = planning.content(desired, password) if todo.write else current.data if current else b""
    kept = planning.keep(path, current.data, now) if todo.write and current else None
    planning.make_directory(os.path.dirname(path), owner)
    if todo.write or todo.own:
        files.write_atomic(path, data, mode=planning.MODE, uid=owner.uid, gid=owner.gid)
    store = desired.store if todo.write or current is None or current.store is None else current.store
    records.write_note(path, records.note(data, store.leaf))
    return kept


def remove(path: str, current: Current, now: datetime) -> str:
    kept = planning.keep(path, current.data, now)
    try:
        os.unlink(path)
    except OSError as error:
        raise PecError(f"cannot remove {path}: {error.strerror}") from None
    records.write_note(path, None)
    return kept


def next_step(path: str | None, here: installation.Installation, params: dict[str, Any]) -> str | None:
    """PEC's database has the file's name and password, and only its own page changes them."""
    in_keys = path is None or os.path.dirname(path) == here.keys_directory
    if params["domain"] or not in_keys:
        return None
    if params["state"] == "absent":
        return f"if PEC still uses {file_name(params)}, choose another certificate in PEC: {beliefs.CERTIFICATE_MENU}"
    return (
        f"in PEC, open {beliefs.CERTIFICATE_MENU}, choose the file {file_name(params)}, type its password and the ID do solicitante that "
        f"came with it from e-Gestor (RNDS), and save; it works once PEC shows {beliefs.CERTIFICATE_STATUS!r}. PEC keeps the password in "
        "its database, so after a renewal with another password this has to be done again. If PEC does not show the new one, restart it"
    )


def present(module: QuietModule, path: str | None, here: installation.Installation, now: datetime) -> dict[str, Any]:
    params = module.params
    try:
        desired, keytool = read_desired(params, here, now)
    except pkcs12.UnreadableError:
        if not module.check_mode or process.which("openssl"):
            raise
        module.warn("openssl is not on this host yet, so the certificate was not opened; install it, or run without check mode")
        return {"changed": True, "path": path, "certificate": None, "next_step": None}
    for remark in remarks(desired.store, Wanted("", params["domain"], params["warn_days"]), now):
        module.warn(f"{file_name(params)}: {remark}")
    if not file_name(params).isascii() or " " in file_name(params):
        module.warn(f"the name {file_name(params)!r} has blanks or accents, which PEC was never seen to accept; prefer a plain one")
    if not params["password"].isascii():
        module.warn("the password has letters beyond ASCII, which programs write in different ways; if PEC refuses it, choose another")
    current = planning.read_current(path, params["password"]) if path else None
    todo = planning.plan(current, desired)
    kept = apply(path, todo, current, desired, params["password"], now) if path and todo.changed and not module.check_mode else None
    return {
        "changed": todo.changed,
        "path": path,
        "certificate": planning.facts(desired.store, keytool, now),
        "next_step": next_step(path, here, params) if todo.write else None,
        "diff": {"before": todo.before, "after": todo.after, "before_header": path or "", "after_header": path or ""},
        **({"backup_file": kept} if kept else {}),
    }


def absent(module: QuietModule, path: str | None, here: installation.Installation, now: datetime) -> dict[str, Any]:
    current = planning.read_current(path, module.params["password"] or "") if path else None
    kept = remove(path, current, now) if path and current and not module.check_mode else None
    return {
        "changed": current is not None,
        "path": path,
        "certificate": None,
        "next_step": next_step(path, here, module.params) if current else None,
        "diff": {"before": f"{path}\n" if current else "", "after": ""},
        **({"backup_file": kept} if kept else {}),
    }


def main() -> None:
    module = QuietModule(argument_spec=ARGUMENTS, supports_check_mode=True, mutually_exclusive=[("src", "content")])
    now = datetime.now(timezone.utc)
    label = module.params["name"] or os.path.basename(module.params["src"] or "") or "the certificate"
    try:
        if os.geteuid() != 0:
            raise PecError("esus.pec.certificate must run as root, who alone may write there; use become: true")
        if module.params["state"] == "present" and not (module.params["src"] or module.params["content"]):
            raise PecError("src or content is missing; say which file it is")
        if module.params["state"] == "present" and module.params["password"] is None:
            raise PecError("password is missing; without it nothing can be checked")
        here = installation.discover()
        path = target_path(module.params, here, module.check_mode)
        result = (present if module.params["state"] == "present" else absent)(module, path, here, now)
    except PecError as error:
        module.fail_json(msg=f"{label}: {error}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
