# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens a PKCS#12 with Python's cryptography, openssl or a Java's keytool, whichever can. Private to the collection.

Each of them reads files that the others reject, so they are tried in turn; a wrong password is detected before that. Private keys stay in
memory, in pipes to these programs and in temporary files readable by root only. Passwords travel in the environment.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import os
import re
import secrets
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ansible_collections.esus.pec.plugins.module_utils.certificates import pkcs12_envelope, x509
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import confinement, files, host, process, signals

# Names of variables of the environment.
_PASSWORD = "ESUS_PEC_PKCS12_PASSWORD"  # noqa: S105  # nosec B105
_NEW_PASSWORD = "ESUS_PEC_PKCS12_NEW_PASSWORD"  # noqa: S105  # nosec B105
_KEYTOOL = ("-J-Duser.language=en", "-J-Dfile.encoding=UTF-8", "-J-XX:-UsePerfData")
_KEYTOOL_ERROR = "keytool error"
# Without hyphens inside, so that many beginnings without an end, as names in a file, cost no search to the end each.
_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----[^-]+-----END \1-----\n?")
_FORMS = {
    pkcs12_envelope.JAVA8: ("-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1"),
    pkcs12_envelope.MODERN: ("-keypbe", "AES-256-CBC", "-certpbe", "AES-256-CBC", "-macalg", "sha256", "-iter", "10000"),
}


class WrongPasswordError(PecError):
    """The file is intact, and this is not its password."""


class UnreadableError(PecError):
    """Nothing on this host can open the file, although the password is not wrong."""

    def __init__(self, message: str, code: str = "unreadable") -> None:
        super().__init__(message, problems=[code])


@dataclass(frozen=True)
class Contents:
    """The content of a file as one backend returned it: private key as PEM, its identity, and every certificate as DER."""

    key_pem: str | None = field(repr=False)
    key_id: str | None
    certificates: tuple[bytes, ...]
    backend: str


@dataclass(frozen=True)
class Store:
    """An opened PKCS#12. C(leaf) is the owner's certificate, C(chain) those of its authorities, nearest first.

    C(key_id) is None without a private key, and equals the C(public_key) of the certificate that the key belongs to.
    """

    leaf: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    key_id: str | None
    friendly_name: str | None
    encryption: str
    ciphers: tuple[str, ...]
    keys: int
    pbmac1: bool
    backend: str
    contents: Contents = field(repr=False)

    @property
    def key_matches(self) -> bool:
        return self.key_id == self.leaf.public_key

    @property
    def chain_complete(self) -> bool:
        """Every authority up to the root is in the file."""
        names = {certificate.subject: certificate for certificate in self.chain}
        current: x509.Certificate | None = self.leaf
        for _step in range(len(self.chain) + 1):
            if current is None or current.self_signed:
                break
            current = names.get(current.issuer)
        return current is not None and current.self_signed

    @property
    def identity(self) -> tuple[object, ...]:
        """Equal for files with the same content and class of encryption, whatever their salts and order."""
        chain = sorted(certificate.fingerprint_sha256 for certificate in self.chain)
        return self.leaf.fingerprint_sha256, chain, self.key_id, (self.friendly_name or "").casefold(), self.encryption


def open_store(data: bytes, password: str) -> Store:
    """Open the file. Raises NotPkcs12Error, WrongPasswordError or UnreadableError, or PecError if it contains no certificate."""
    form = pkcs12_envelope.inspect(data)
    fits = form.password_fits(password)
    if fits is False:
        raise WrongPasswordError(
            "the password is wrong (the file is intact); ask the issuer for the right one", problems=["wrong_password"]
        )
    contents = _contents(data, password, form, fits)
    try:
        certificates = [x509.read(der) for der in contents.certificates]
    except PecError as error:
        raise UnreadableError(f"{error}; ask its authority for another one") from None
    if not certificates:
        raise PecError("the file contains no certificate; export it again with certificate and private key", problems=["no_certificate"])
    leaf = _leaf(certificates, contents.key_id)
    return Store(
        leaf=leaf,
        chain=_chain(leaf, certificates),
        key_id=contents.key_id,
        friendly_name=form.friendly_name,
        encryption=form.encryption,
        ciphers=form.ciphers,
        keys=max(form.keys, 1 if contents.key_id else 0),
        pbmac1=form.pbmac1,
        backend=contents.backend,
        contents=contents,
    )


def reencrypt(store: Store, password: str, form: str) -> bytes:
    """Return the same content and password in the class of encryption C(java8) or C(modern)."""
    bundle = (store.contents.key_pem or "") + "".join(_as_pem(der) for der in store.contents.certificates)
    argv = ["openssl", "pkcs12", "-export", *_FORMS[form], "-passout", f"env:{_PASSWORD}"]
    argv += ["-name", store.friendly_name] if store.friendly_name else []
    with files.private_directory() as directory:
        path = os.path.join(directory, "new.p12")
        answer = process.run([*argv, "-out", path], stdin=bundle, env={_PASSWORD: password})
        if answer.returncode != 0:
            raise PecError(f"openssl cannot encrypt the certificate as {form}: {_reason(answer.stderr)}; try another reencrypt")
        return files.read_bytes(path)


def ask_keytool(keytool: str, data: bytes, password: str) -> str | None:
    """Return why a Java's keytool rejects the file, or None when it reads it and finds a private key.

    One that another account can change runs as an account without rights. Raises PecError when that account cannot reach it.
    """
    theirs = bool(files.changers(keytool))
    with os.fdopen(os.memfd_create("keystore"), "wb") as memory:
        handle = memory.fileno()
        os.fchmod(handle, 0o600)
        memory.write(data)
        memory.flush()
        if theirs:
            confinement.lend(handle)
        argv = [keytool, *_KEYTOOL, "-list", "-storetype", "PKCS12", "-keystore", f"/dev/fd/{handle}", "-storepass:env", _PASSWORD]
        answer = process.run(argv, env={_PASSWORD: password}, timeout=120, confined=theirs, pass_fds=(handle,))
    if theirs and answer.returncode != 0 and _KEYTOOL_ERROR not in answer.stdout + answer.stderr:  # it could not even start
        files.require_ours(keytool, "PEC's keytool")
    if answer.returncode != 0:
        return _reason(answer.stdout + "\n" + answer.stderr, _KEYTOOL_ERROR)
    return None if "PrivateKeyEntry" in answer.stdout else "it finds no private key in it"


def key_id_of(key_pem: str) -> str:
    """Return the C(Certificate.public_key) of a private key in PEM. Raises PecError when openssl cannot read the key."""
    answer = process.run(["openssl", "pkey", "-pubout"], stdin=key_pem)
    if answer.returncode != 0:
        raise PecError(f"openssl cannot read the private key: {_reason(answer.stderr)}; give it as PEM without a passphrase")
    lines = [line for line in answer.stdout.splitlines() if line and not line.startswith("-----")]
    return x509.public_key_id(base64.b64decode("".join(lines)))


def _contents(data: bytes, password: str, form: pkcs12_envelope.Form, fits: bool | None) -> Contents:
    """Try one backend after the other; the error has the reason of each, and what to do about this file on this host."""
    proven = form.pbmac1 and fits is True  # OpenSSL before 3.4 opens the rest of such a file
    failures = []
    for read in (_with_cryptography, functools.partial(_with_openssl, proven=proven), _with_keytool):
        try:
            return read(data, password)
        except PecError as error:
            failures.append(str(error))
    if fits and _key_has_another_password(data, password, form, proven=proven):
        raise UnreadableError(
            "the private key in the file has another password than the file, and PEC knows one password only; export it again with the "
            "same password for both",
            "key_password",
        )
    ciphers = ", ".join(dict.fromkeys(form.ciphers)) or "nothing"
    said = "the password is right" if fits else "the password cannot be checked"
    remedies = "; ".join(_remedies(password, form, fits))
    raise UnreadableError(
        f"nothing on this host can open the file, which is encrypted with {ciphers}{' and has a PBMAC1' if form.pbmac1 else ''} ({said}): "
        f"{'; '.join(failures)}. {remedies[0].upper()}{remedies[1:]}"
    )


def _key_has_another_password(data: bytes, password: str, form: pkcs12_envelope.Form, *, proven: bool) -> bool:
    """Return whether the certificates open with the password and the key does not, although its cipher is one that every OpenSSL has."""
    if not form.key_ciphers or not all(cipher.startswith("AES") or "3DES" in cipher for cipher in form.key_ciphers):
        return False
    try:
        return bool(_with_openssl(data, password, proven=proven, only="-nokeys").certificates)
    except PecError:
        return False


def _remedies(password: str, form: pkcs12_envelope.Form, fits: bool | None) -> Iterator[str]:
    """Yield what may help with this file on this host."""
    plain = password.isascii()
    again = f"export the certificate again with AES-256{'' if plain else ' and a password of ASCII characters only'}"
    if fits is None:
        yield "check the password first, because this host cannot"
    if any(cipher.startswith("an unknown") for cipher in form.ciphers):
        yield f"{again}, which every program knows"
        return
    if process.which("openssl") is None:
        yield "install openssl"
    elif form.encryption == pkcs12_envelope.LEGACY:
        families = f"{host.os_release().get('ID', '')} {host.os_release().get('ID_LIKE', '')}".split()
        choices = ["install openssl-provider-legacy"] if "debian" in families and not _has_legacy_provider() else []
        if plain and next(keytools(), None) is None:  # Java opens no file with another password
            choices.append(f"install a Java ({'default-jre-headless' if 'debian' in families else 'java-headless'})")
        yield ", or ".join([*choices, f"{again}, on the computer where it was made"])
    elif form.pbmac1:
        yield f"{again} and without PBMAC1, which few programs know"
    elif not plain:
        yield f"{again}, because programs encode others differently"
    else:
        yield "the file is damaged, or its parts have different passwords; export it again with one password"


def _has_legacy_provider() -> bool:
    return process.run(["openssl", "list", "-providers", "-provider", "legacy"]).returncode == 0


@contextlib.contextmanager
def _contained(failed: str) -> Iterator[None]:
    """Turn whatever cryptography raises into a PecError: failed, and the type of the exception.

    Its types differ between its versions. If its Rust side panics, that is no Exception, and its text may hold the password.
    """
    try:
        with _silent():
            yield
    except (KeyboardInterrupt, SystemExit, GeneratorExit, signals.Stopped):
        raise
    except BaseException as error:
        raise PecError(f"{failed} ({type(error).__name__})") from None


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Discard what is written to the standard error, to which Rust writes why it panics, perhaps with the password."""
    try:
        heard = os.dup(2)
    except OSError:  # it is closed: nothing is heard anyway, and nothing may be opened in its place
        yield
        return
    try:
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(heard, 2)
        os.close(heard)


def _with_cryptography(data: bytes, password: str) -> Contents:
    with _contained("Python's cryptography is not usable"):  # not only ImportError: one that does not fit its OpenSSL fails in other ways
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.serialization import pkcs12
    with _contained("Python's cryptography rejects it"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        key, certificate, others = pkcs12.load_key_and_certificates(data, password.encode() or None)
        every = [each for each in [certificate, *others] if each is not None]
        ders = tuple(each.public_bytes(serialization.Encoding.DER) for each in every)
        if key is None:
            return Contents(None, None, ders, "cryptography")
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
        spki = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return Contents(pem, x509.public_key_id(spki), ders, "cryptography")


def _with_openssl(data: bytes, password: str, *, proven: bool = False, only: str = "") -> Contents:
    """Open the file with openssl. proven: the password was proven already, by a code that this openssl may not know; only: an option."""
    if process.which("openssl") is None:
        raise PecError("openssl is not installed")
    with files.private_directory() as directory:
        return _openssl_file(_put(directory, data), password, [*(["-nomacver"] if proven else []), *([only] if only else [])])


def _openssl_file(path: str, password: str, more: Sequence[str]) -> Contents:
    """Try without, then with the legacy provider; OpenSSL 1.1 has no such option and needs none."""
    answers = []
    for options in ([], ["-legacy"]):
        argv = ["openssl", "pkcs12", "-in", path, "-passin", f"env:{_PASSWORD}", "-nodes", *more, *options]
        answer = process.run(argv, env={_PASSWORD: password})
        if answer.returncode == 0:
            return _from_pem(answer.stdout, "openssl -legacy" if options else "openssl")
        answers.append(_reason(answer.stderr))
    raise PecError(f"openssl rejects it ({answers[0]}), with its legacy provider too ({answers[1]})")


def _with_keytool(data: bytes, password: str) -> Contents:
    """Let a Java convert the file to a modern encryption, and open that."""
    keytool = next(keytools(), None)
    if keytool is None:
        raise PecError("no Java is installed")
    new = secrets.token_hex(16)
    with files.private_directory() as directory:
        source, target = _put(directory, data), os.path.join(directory, "converted.p12")
        argv = [keytool, *_KEYTOOL, "-importkeystore", "-noprompt", "-srcstoretype", "PKCS12", "-srckeystore", source]
        argv += ["-srcstorepass:env", _PASSWORD, "-deststoretype", "PKCS12", "-destkeystore", target, "-deststorepass:env", _NEW_PASSWORD]
        answer = process.run(argv, env={_PASSWORD: password, _NEW_PASSWORD: new}, timeout=120)
        if answer.returncode != 0 or not os.path.exists(target):
            raise PecError(f"{keytool} rejects it ({_reason(answer.stdout + answer.stderr, 'keytool error')})")
        converted = files.read_bytes(target)
    failures = []
    for read in (_with_cryptography, _with_openssl):
        try:
            contents = read(converted, new)
        except PecError as error:
            failures.append(str(error))
        else:
            return Contents(contents.key_pem, contents.key_id, contents.certificates, f"keytool and {contents.backend}")
    raise PecError(f"{keytool} converted it, but {' and '.join(failures)}")


def keytools() -> Iterator[str]:
    """Yield every keytool on this host that only root can change."""
    for java in host.java():
        path = os.path.join(os.path.dirname(os.path.realpath(java.path)), "keytool")
        if os.access(path, os.X_OK) and not files.changers(path):
            yield path


def _from_pem(text: str, backend: str) -> Contents:
    blocks = [(found.group(1), found.group(0)) for found in _PEM.finditer(text)]
    keys = [block for kind, block in blocks if kind.endswith("PRIVATE KEY")]
    key = keys[0] if keys else None
    ders = tuple(x509.blocks(text.encode()))
    return Contents(key, key_id_of(key) if key else None, ders, backend)


def _leaf(certificates: Sequence[x509.Certificate], key_id: str | None) -> x509.Certificate:
    """Return the certificate of the key; if none fits, the most likely one, so that an error can name it."""
    matching = [certificate for certificate in certificates if certificate.public_key == key_id]
    owners = [certificate for certificate in certificates if not certificate.is_ca]
    return (matching or owners or list(certificates))[0]


def _chain(leaf: x509.Certificate, certificates: Sequence[x509.Certificate]) -> tuple[x509.Certificate, ...]:
    rest = [certificate for certificate in certificates if certificate.fingerprint_sha256 != leaf.fingerprint_sha256]
    ordered: list[x509.Certificate] = []
    current = leaf
    while True:
        issuer = next((each for each in rest if each.subject == current.issuer), None)
        if issuer is None:
            return (*ordered, *rest)
        rest.remove(issuer)
        ordered.append(issuer)
        current = issuer


def _put(directory: str, data: bytes) -> str:
    path = os.path.join(directory, "source.p12")
    files.write_atomic(path, data, mode=0o600)
    return path


def _as_pem(der: bytes) -> str:
    text = base64.b64encode(der).decode()
    lines = "\n".join(text[start : start + 64] for start in range(0, len(text), 64))
    return f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n"


def _reason(text: str, marker: str = ":error:") -> str:
    """Return the reason in a program's output. OpenSSL writes address:error:code:library:function:reason:file:line:detail."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = next((line for line in lines if marker in line), lines[-1] if lines else "no output")
    parts = said.split(":")
    if len(parts) < 6 or parts[1] != "error":
        return said
    return " ".join([parts[5], ":".join(parts[8:])]).strip()
