# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans the file of a certificate on the host: checks it, compares it, keeps the old one. Private to the collection."""

from __future__ import annotations

import base64
import binascii
import os
import pwd
import stat
from dataclasses import dataclass
from datetime import datetime

from ansible_collections.esus.pec.plugins.module_utils import beliefs, brazil
from ansible_collections.esus.pec.plugins.module_utils.certificates import pkcs12, records, rules
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import clock, files, systemd

MODE = 0o600
REPLACED = files.REPLACED


@dataclass(frozen=True)
class Owner:
    """The account that owns the file."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class Desired:
    """The wanted file: C(data) opens with the password as C(store). C(form) is the option reencrypt."""

    data: bytes
    store: pkcs12.Store
    owner: Owner
    form: str


@dataclass(frozen=True)
class Current:
    """The existing file. C(store) is None when the password does not open it; C(noted): the record matches its content."""

    data: bytes
    store: pkcs12.Store | None
    mode: int
    uid: int
    gid: int
    noted: bool


@dataclass(frozen=True)
class Plan:
    """What to do: C(write) new content, C(own) new owner or mode only, C(note) a new record only."""

    write: bool
    own: bool
    note: bool
    before: str
    after: str

    @property
    def changed(self) -> bool:
        return self.write or self.own or self.note


def decode(text: str) -> bytes:
    """Return the bytes of base64 text. Raises PecError when it is something else."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise PecError("content is not base64; give the output of base64 -w0 FILE, or the file itself as src") from None


def check(data: bytes, password: str, wanted: rules.Wanted, now: datetime) -> pkcs12.Store:
    """Open the file and return its content. Raises PecError with every problem that would keep it from working."""
    try:
        store = pkcs12.open_store(data, password)
    except pkcs12.WrongPasswordError as error:
        hint = "; it fits without the blanks around it" if _fits(data, password.strip()) else ""
        hint = hint if password else "; the one given is empty"
        raise PecError(f"{error}{hint}", **error.facts) from None
    rules.refuse(rules.problems(store, wanted, now))
    return store


def owner(name: str | None) -> Owner:
    """Return the account, by default the one that PEC's service runs as. Raises PecError when it does not exist."""
    account = name or systemd.units([beliefs.PEC_UNIT])[beliefs.PEC_UNIT].user or "root"
    try:
        entry = pwd.getpwnam(account)
    except KeyError:
        raise PecError(f"the account {account}, which would own the file, does not exist on this host; correct owner") from None
    return Owner(account, entry.pw_uid, entry.pw_gid)


def read_current(path: str, password: str) -> Current | None:
    """Return the file at the path, None when nothing exists there. Raises PecError when it is not a file or cannot be read."""
    if not os.path.lexists(path):
        return None
    data, status = files.read(path, files.CERTIFICATE)
    try:
        store = pkcs12.open_store(data, password)
    except PecError:
        store = None
    entry = records.read_notes().get(path)
    noted = entry is not None and store is not None and entry == records.note(data, store.leaf)
    return Current(data, store, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, noted)


def plan(current: Current | None, desired: Desired) -> Plan:
    """Compare the content and the class of encryption of the files, never their bytes."""
    form = desired.store.encryption if desired.form == "never" else desired.form
    after = describe(desired.store, form, MODE, desired.owner.uid)
    if current is None:
        return Plan(True, False, False, "", after)
    if current.store is None:
        before = "a file that this password does not open\n"
        return Plan(True, False, False, before, after)
    before = describe(current.store, current.store.encryption, current.mode, current.uid)
    write = current.store.identity[:-1] != desired.store.identity[:-1] or current.store.encryption != form
    own = not write and (current.mode, current.uid, current.gid) != (MODE, desired.owner.uid, desired.owner.gid)
    return Plan(write, own, not write and not current.noted, before, after)


def describe(store: pkcs12.Store, form: str, mode: int, uid: int) -> str:
    """Return what a diff shows."""
    leaf = store.leaf
    lines = [
        f"holder: {leaf.holder}",
        f"cnpj: {leaf.identity.cnpj or '-'}",
        f"issuer: {leaf.issuer}",
        f"valid: {clock.utc(leaf.not_before)} to {clock.utc(leaf.not_after)}",
        f"sha256: {leaf.fingerprint_sha256}",
        f"authorities in the file: {len(store.chain)}",
        f"name: {store.friendly_name or '-'}",
        f"encryption: {form}",
        f"mode: {mode:04o}, uid {uid}",
    ]
    return "\n".join(lines) + "\n"


def facts(store: pkcs12.Store, keytool: str | None, now: datetime) -> dict[str, object]:
    """Return the module's facts about a certificate."""
    leaf, identity = store.leaf, store.leaf.identity
    return {
        "holder": leaf.holder,
        "cnpj": identity.cnpj,
        "cpf": brazil.cpf_masked(identity.cpf) if identity.cpf else None,
        "responsible": identity.responsible,
        "subject": leaf.subject,
        "issuer": leaf.issuer,
        "serial": f"{leaf.serial:x}",
        "not_before": clock.utc(leaf.not_before),
        "not_after": clock.utc(leaf.not_after),
        "days_left": leaf.days_left(now),
        "key": f"{leaf.key_type} {leaf.key_bits}",
        "key_usage": list(leaf.key_usage),
        "extended_key_usage": list(leaf.extended_key_usage),
        "dns_names": list(leaf.dns_names),
        "chain": [each.subject for each in store.chain],
        "chain_complete": store.chain_complete,
        "fingerprint_sha256": leaf.fingerprint_sha256,
        "friendly_name": store.friendly_name,
        "encryption": store.encryption,
        "backend": store.backend,
        "keytool": keytool,
    }


def content(desired: Desired, password: str) -> bytes:
    """Return the bytes to write: the given ones, unless another encryption is wanted."""
    if desired.form in ("never", desired.store.encryption):
        return desired.data
    return pkcs12.reencrypt(desired.store, password, desired.form)


def keep(path: str, data: bytes, now: datetime) -> str:
    """Copy the old file to where only root can read it, and return that path."""
    return files.keep(path, data, now, REPLACED)


def _fits(data: bytes, password: str) -> bool:
    try:
        pkcs12.open_store(data, password)
    except PecError:
        return False
    return True
