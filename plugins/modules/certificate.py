#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate
short_description: Install a certificate for PEC after checking it
version_added: 0.1.0
author: ["esus.pec contributors (@esus-pec)"]
description:
  - Installs a PKCS#12 file (C(.pfx), C(.p12)), a certificate with its private key, where PEC looks for it. The file belongs to the
    account of PEC's service and has mode 0600.
  - The file is opened first. A wrong password, a missing or foreign private key, and a certificate that is expired, not yet valid, for
    another purpose or of another holder are errors, and then nothing is changed.
  - Files are compared by content, not by bytes. A file that is replaced or removed is kept, readable by root only.
  - PEC keeps the name and the password of the certificate in its database. That step has to be done by hand; RV(next_step) describes it.
options:
  src:
    description: The file on the controller, which may be encrypted with ansible-vault, or on the managed host with O(remote_src=true).
    type: path
  content:
    description: The file as base64, instead of O(src).
    type: str
  remote_src:
    description: Read O(src) on the managed host.
    type: bool
    default: false
  password:
    description: Password of the file. Required with O(state=present), even if it is empty.
    type: str
  name:
    description: Name of the file on the managed host, by default that of O(src). Use the same name for a renewal.
    type: str
  directory:
    description: Directory of the file on the managed host. By default C(chaves) of the PEC on this host, which is created.
    type: path
  state:
    description: V(present) installs the file, V(absent) removes it.
    type: str
    choices: [present, absent]
    default: present
  expected_cnpj:
    description: Reject a certificate for another CNPJ. With or without punctuation.
    type: str
    default: ""
  domain:
    description: Require a certificate for HTTPS of this domain. By default a certificate for client authentication is required.
    type: str
    default: ""
  warn_days:
    description: Warn when the certificate expires in fewer than this many days.
    type: int
    default: 30
  reencrypt:
    description:
      - V(never) keeps the given bytes.
      - V(java8) encrypts the file again with 3DES, which every program opens, V(modern) with AES-256, which old programs do not open.
    type: str
    choices: [never, java8, modern]
    default: never
  owner:
    description: Owner of the file, by default the account of PEC's service.
    type: str
attributes:
  check_mode:
    description: Can run in check mode and predict the change. The certificate is checked in check mode too.
    support: full
  diff_mode:
    description: Shows holder, validity and fingerprint, never a secret.
    support: full
extends_documentation_fragment:
  - esus.pec.attributes
notes:
  - The file is read with Python's cryptography, openssl or the keytool of a Java, whichever the managed host has and can read it.
  - Revocation is not checked.
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

- name: Show what remains to be done in PEC
  ansible.builtin.debug:
    msg: "{{ certificate.next_step }}"
  when: certificate.next_step is not none

- name: Only check a certificate from a vault
  esus.pec.certificate:
    content: "{{ municipio_certificate_base64 }}"
    name: municipio.p12
    password: "{{ municipio_certificate_password }}"
  become: true
  check_mode: true

- name: Remove the old certificate
  esus.pec.certificate:
    name: municipio-2025.pfx
    state: absent
  become: true
"""

RETURN = r"""
path:
  description: The file on the managed host; null in check mode if PEC is not installed.
  returned: success
  type: str
  sample: /opt/e-SUS/webserver/chaves/municipio.pfx
backup_file:
  description: Where the replaced or removed file is kept.
  returned: when a file was replaced or removed
  type: str
  sample: /etc/esus-pec/replaced/municipio.pfx.20261123T065500Z.1f2e3d4c
next_step:
  description: What has to be done by hand in PEC; null if nothing changed for PEC.
  returned: success
  type: str
  sample: null
certificate:
  description: Content of the file. Null with O(state=absent).
  returned: success
  type: dict
  contains:
    holder: {description: Name of the holder., type: str, sample: MUNICIPIO DE EXEMPLO}
    cnpj: {description: CNPJ of the holder., type: str, sample: "11222333000181"}
    cpf: {description: "CPF of the holder, if a person, partly masked.", type: str, sample: "***.982.247-**"}
    responsible: {description: The person responsible for it., type: str, sample: MARIA DA SILVA}
    subject: {description: Full name of the holder., type: str, sample: "CN=MUNICIPIO DE EXEMPLO:11222333000181,O=ICP-Brasil,C=BR"}
    issuer: {description: The authority that issued it., type: str, sample: "CN=AC Exemplo,O=ICP-Brasil,C=BR"}
    serial: {description: Serial number in hexadecimal., type: str, sample: 1f2e3d}
    not_before: {description: Start of its validity., type: str, sample: "2026-01-31T12:00:00Z"}
    not_after: {description: End of its validity., type: str, sample: "2027-01-31T12:00:00Z"}
    days_left: {description: Whole days until its end., type: int, sample: 200}
    key: {description: Type and bits of the key., type: str, sample: RSA 2048}
    key_usage: {description: Uses of the key., type: list, elements: str, sample: [digitalSignature, nonRepudiation, keyEncipherment]}
    extended_key_usage: {description: Purposes of the certificate., type: list, elements: str, sample: [clientAuth, emailProtection]}
    dns_names: {description: Its domains., type: list, elements: str, sample: []}
    chain: {description: "Its authorities, nearest first.", type: list, elements: str, sample: ["CN=AC Exemplo,O=ICP-Brasil,C=BR"]}
    chain_complete: {description: All its authorities are in the file., type: bool, sample: true}
    fingerprint_sha256: {description: SHA-256 of the certificate., type: str, sample: 1f2e3d4c5b6a7988}
    friendly_name: {description: Its name in the file., type: str, sample: municipio}
    encryption: {description: "Encryption of the file: V(legacy), V(java8), V(modern) or V(other).", type: str, sample: modern}
    backend: {description: Program or library that opened the file., type: str, sample: cryptography}
    keytool:
      description: The keytool of PEC's own Java, which reads the file too; null if PEC has none.
      type: str
      sample: /opt/e-SUS/jre/current/bin/keytool
problems:
  description:
    - Codes of the problems in the message.
    - V(wrong_password), V(not_pkcs12), V(unreadable), V(key_password) for a key with another password than the file, V(no_certificate),
      V(no_key), V(several_keys), V(foreign_key), V(expired), V(not_yet_valid), V(authority), V(wrong_purpose), V(wrong_domain),
      V(expected_cnpj) for a CNPJ that is not valid, V(no_cnpj), V(other_cnpj), V(rejected_by_java).
  returned: failure because of the certificate
  type: list
  elements: str
  sample: [expired]
"""

import os
from datetime import datetime, timezone
from typing import Any

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.certificates import pkcs12, planning, records, rules
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.module import PecModule, Result, diff, run_module
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

_BEYOND_ASCII = (
    "the password contains characters beyond ASCII, with which Java 17 opens no file, however it is encrypted; export the file "
    "again with a password of ASCII characters only"
)


def file_name(params: dict[str, Any]) -> str:
    """Return the name of the file. Raises PecError for one that PEC would not show, or that leads elsewhere."""
    name = params["name"] or os.path.basename(params["src"] or "")
    if not name:
        raise PecError("name is missing; give the name of the file on the server, such as municipio.pfx")
    if "/" in name or name.startswith(".") or not name.isprintable():
        raise PecError(f"the name {name!r} is not a plain file name; set its directory with directory")
    accepted = beliefs.CERTIFICATE_SUFFIXES
    if params["state"] == "present" and not name.lower().endswith(accepted):
        hint = "; a .cer has no private key, ask the issuer for the .pfx" if name.lower().endswith((".cer", ".crt")) else ""
        raise PecError(f"PEC does not accept the file {name}, only files whose names end in {' or '.join(accepted)}{hint}")
    return name


def target_path(params: dict[str, Any], here: installation.Installation, check_mode: bool) -> str | None:
    """Return the path of the file; None if it is not known yet, or if PEC is not installed and nothing has to be removed."""
    name = file_name(params)
    directory = params["directory"] or here.keys_directory
    if directory is None:
        if check_mode or params["state"] == "absent":
            return None
        raise PecError("PEC is not installed on this host, so the directory is not known; install PEC first, or set directory")
    parent = os.path.dirname(directory.rstrip("/"))
    if params["state"] == "present" and not check_mode and not os.path.isdir(parent):
        raise PecError(f"the directory {parent} does not exist; correct directory")
    return os.path.join(directory, name)


def read_desired(
    params: dict[str, Any], wanted: rules.Wanted, here: installation.Installation, now: datetime
) -> tuple[planning.Desired, str | None]:
    """Return the wanted file, opened and checked, and the keytool that reads it. Raises PecError with every problem of the file."""
    data = planning.decode(params["content"]) if params["content"] else files.read_bytes(params["src"], files.CERTIFICATE)
    store, owner = planning.check(data, params["password"], wanted, now), planning.owner(params["owner"])
    desired = planning.Desired(data, store, owner, params["reencrypt"])
    keytool = os.path.join(here.jre_directory, "bin", "keytool") if here.jre_directory else ""
    if not os.access(keytool, os.X_OK):
        return desired, None
    refusal = pkcs12.ask_keytool(keytool, planning.content(desired, params["password"]), params["password"])
    if refusal:
        remedy = f"; {_reencrypt(params)}" if params["reencrypt"] == "never" else ""
        remedy = remedy if params["password"].isascii() else f"; {_BEYOND_ASCII}"
        raise PecError(f"PEC's own Java cannot read the file, but {store.backend} can ({refusal}){remedy}", problems=["rejected_by_java"])
    return desired, keytool


def apply(
    path: str, todo: planning.Plan, current: planning.Current | None, desired: planning.Desired, password: str, now: datetime
) -> str | None:
    """Write the file and its record; return where the replaced file is kept."""
    owner = desired.owner
    data = planning.content(desired, password) if todo.write else current.data if current else b""
    kept = planning.keep(path, current.data, now) if todo.write and current else None
    files.make_directory(os.path.dirname(path), uid=owner.uid, gid=owner.gid)
    if todo.write or todo.own:
        files.write_atomic(path, data, mode=planning.MODE, uid=owner.uid, gid=owner.gid)
    store = desired.store if todo.write or current is None or current.store is None else current.store
    records.write_note(path, records.note(data, store.leaf))
    return kept


def remove(path: str, current: planning.Current, now: datetime) -> str:
    """Remove the file and its record; return where the file is kept."""
    kept = planning.keep(path, current.data, now)
    files.unlink(path)
    records.write_note(path, None)
    return kept


def next_step(path: str | None, here: installation.Installation, params: dict[str, Any]) -> str | None:
    """Return what has to be done in PEC, whose database has the file's name and password, and whose own page alone changes them."""
    in_keys = path is None or os.path.dirname(path) == here.keys_directory
    if params["domain"] or not in_keys:
        return None
    if params["state"] == "absent":
        return f"if PEC still uses {file_name(params)}, choose another certificate in PEC: {beliefs.CERTIFICATE_MENU}"
    return (
        f"in PEC, open {beliefs.CERTIFICATE_MENU}, choose the file {file_name(params)}, type its password and the ID do solicitante that "
        f"came with it from e-Gestor (RNDS), and save; it works once PEC shows {beliefs.CERTIFICATE_STATUS!r}. PEC keeps the password in "
        "its database, so repeat this after a renewal with another password. If PEC does not show the new file, restart PEC"
    )


def _reencrypt(params: dict[str, Any]) -> str:
    option = "" if params["domain"] else " (role: pec_certificate_reencrypt)"
    return f"give reencrypt: java8{option}, or export the file again with 3DES and SHA-1 (Windows calls it TripleDES-SHA1)"


def java_warnings(name: str, params: dict[str, Any], desired: planning.Desired, keytool: str | None) -> list[str]:
    """Return what PEC's own Java, which could not be asked, would reject."""
    found = []
    if keytool is None and desired.store.pbmac1 and desired.form == "never":
        found.append(
            f"{name} is protected with PBMAC1 (RFC 9579), which Java 17 and 21 refuse, as every Java before 26 does; {_reencrypt(params)}"
        )
    if not name.isascii() or " " in name:
        found.append(f"the name {name!r} contains blanks or accents, which PEC was never seen to accept; use a plain one")
    if keytool is None and not params["password"].isascii():
        found.append(_BEYOND_ASCII)
    return found


def present(module: PecModule, path: str | None, here: installation.Installation, now: datetime) -> Result:
    params = module.params
    wanted = rules.Wanted(params["expected_cnpj"], params["domain"], params["warn_days"])
    try:
        desired, keytool = read_desired(params, wanted, here, now)
    except pkcs12.UnreadableError:
        if not module.check_mode or process.which("openssl"):
            raise
        warning = "openssl is not installed on this host yet, so the certificate was not opened; install it, or run without check mode"
        return {"changed": True, "path": path, "certificate": None, "next_step": None, "warnings": [warning]}
    name = file_name(params)
    module.say(
        *(f"{name}: {remark}" for remark in rules.remarks(desired.store, wanted, now)), *java_warnings(name, params, desired, keytool)
    )
    current = planning.read_current(path, params["password"]) if path else None
    todo = planning.plan(current, desired)
    kept = apply(path, todo, current, desired, params["password"], now) if path and todo.changed and not module.check_mode else None
    return {
        "changed": todo.changed,
        "path": path,
        "certificate": planning.facts(desired.store, keytool, now),
        "next_step": next_step(path, here, params) if todo.write else None,
        "diff": diff(path, todo.before, todo.after),
        **({"backup_file": kept} if kept else {}),
    }


def absent(module: PecModule, path: str | None, here: installation.Installation, now: datetime) -> Result:
    current = planning.read_current(path, module.params["password"] or "") if path else None
    kept = remove(path, current, now) if path and current and not module.check_mode else None
    return {
        "changed": current is not None,
        "path": path,
        "certificate": None,
        "next_step": next_step(path, here, module.params) if current else None,
        "diff": diff(path, f"{path}\n" if current else "", ""),
        **({"backup_file": kept} if kept else {}),
    }


def run(module: PecModule) -> Result:
    params = module.params
    label = params["name"] or os.path.basename(params["src"] or "") or "the certificate"
    try:
        if params["state"] == "present" and not (params["src"] or params["content"]):
            raise PecError("src or content is missing; give the file")
        if params["state"] == "present" and params["password"] is None:
            raise PecError("password is missing, without which the file cannot be checked; give it")
        here = installation.discover()
        path = target_path(params, here, module.check_mode)
        return (present if params["state"] == "present" else absent)(module, path, here, datetime.now(timezone.utc))
    except PecError as error:
        raise PecError(f"{label}: {error}", **error.facts) from None


def main() -> None:
    run_module(run, argument_spec=ARGUMENTS, mutually_exclusive=[("src", "content")])


if __name__ == "__main__":
    main()
