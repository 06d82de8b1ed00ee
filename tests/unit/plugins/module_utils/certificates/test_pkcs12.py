# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import builtins
import os
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import certificates
import pytest

from ansible_collections.esus.pec.plugins.module_utils.certificates import pkcs12, pkcs12_envelope, x509
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import confinement, files, host, process, signals

PASSWORD = 'Sénha "1" $x'


@cache
def issued() -> certificates.Issued:
    return certificates.issue()


@cache
def packed(form: str) -> bytes:
    return certificates.pack(issued(), PASSWORD, form)


@pytest.mark.parametrize(
    ("form", "ciphers"),
    [
        pytest.param("modern", ("AES-256", "AES-256"), id="modern"),
        pytest.param("java8", ("3DES", "3DES"), id="java8"),
        pytest.param("legacy", ("RC2-40", "3DES"), id="legacy"),
    ],
)
def test_what_a_file_shows_before_it_is_opened(form: str, ciphers: tuple[str, ...]) -> None:
    seen = pkcs12_envelope.inspect(packed(form))
    assert (seen.encryption, seen.ciphers, seen.keys, seen.friendly_name) == (form, ciphers, 1, "municipio")
    assert seen.password_fits(PASSWORD) is True
    assert [seen.password_fits(wrong) for wrong in ("", "x", PASSWORD + " ", PASSWORD.upper())] == [False] * 4


def test_an_empty_password() -> None:
    seen = pkcs12_envelope.inspect(certificates.pack(issued(), ""))
    assert seen.password_fits("") is True and seen.password_fits("x") is False
    assert pkcs12.open_store(certificates.pack(issued(), ""), "").key_matches


@pytest.mark.parametrize(
    ("data", "told"),
    [
        pytest.param(b"", "the file is empty", id="empty"),
        pytest.param(b"  \n", "the file is empty", id="blank"),
        pytest.param(b"-----BEGIN CERTIFICATE-----\nMII", "the file is PEM text", id="PEM"),
        pytest.param(b"\xfe\xed\xfe\xed\0\0\0\2", "Java keystore (JKS)", id="JKS"),
        pytest.param(b"PK\x03\x04abc", "a ZIP archive", id="ZIP"),
        pytest.param(b"<html>", "the file is not a PKCS#12", id="HTML"),
        pytest.param(b"\x30\x03abc", "truncated or damaged", id="noise"),
    ],
)
def test_what_is_no_pkcs12(data: bytes, told: str) -> None:
    with pytest.raises(pkcs12_envelope.NotPkcs12Error) as error:
        pkcs12.open_store(data, "")
    assert told in str(error.value)


def test_files_that_are_given_instead() -> None:
    with pytest.raises(pkcs12_envelope.NotPkcs12Error, match=r"a certificate without its private key \(as in .cer\)"):
        pkcs12.open_store(issued().der, "")
    with pytest.raises(pkcs12_envelope.NotPkcs12Error, match="base64 text"):
        pkcs12.open_store(base64.encodebytes(packed("modern")), PASSWORD)
    for length in (100, 1000, len(packed("modern")) - 1):
        with pytest.raises(pkcs12_envelope.NotPkcs12Error, match="truncated"):
            pkcs12.open_store(packed("modern")[:length], PASSWORD)


@pytest.mark.parametrize("form", list(certificates.FORMS))
def test_a_wrong_password_is_told_apart(form: str) -> None:
    with pytest.raises(pkcs12.WrongPasswordError, match="the password is wrong"):
        pkcs12.open_store(packed(form), "another")


@pytest.mark.parametrize("form", list(certificates.FORMS))
def test_opened(form: str) -> None:
    store = pkcs12.open_store(packed(form), PASSWORD)
    assert store.leaf == x509.read(issued().der)
    assert [each.holder for each in store.chain] == ["AC de Teste", "AC Raiz de Teste"]
    assert (store.key_matches, store.chain_complete, store.keys, store.friendly_name) == (True, True, 1, "municipio")
    assert PASSWORD not in repr(store) and "PRIVATE KEY" not in repr(store)


def test_a_chain_that_is_missing_or_ends_early() -> None:
    assert not pkcs12.open_store(certificates.pack(issued(), "x", chain=False), "x").chain_complete
    alone = certificates.Issued(issued().key, issued().der, issued().authorities[:1])
    store = pkcs12.open_store(certificates.pack(alone, "x"), "x")
    assert (len(store.chain), store.chain_complete) == (1, False)
    assert pkcs12.open_store(certificates.pack(certificates.issue(self_signed=True), "x"), "x").chain_complete


def test_what_a_strict_reader_refuses_is_opened_by_openssl() -> None:
    bad = certificates.badly_encoded(issued())
    with pytest.raises(PecError, match="cryptography rejects it"):
        pkcs12._with_cryptography(certificates.pack(bad, "abc"), "abc")
    store = pkcs12.open_store(certificates.pack(bad, "abc"), "abc")
    assert (store.backend, store.key_matches, store.leaf.identity.cnpj) == ("openssl", True, certificates.CNPJ)


@pytest.mark.parametrize("form", list(certificates.FORMS))
def test_every_backend_finds_the_same(form: str) -> None:
    first, second = (read(packed(form), PASSWORD) for read in (pkcs12._with_cryptography, pkcs12._with_openssl))
    assert first.key_id == second.key_id == x509.read(issued().der).public_key
    assert set(first.certificates) == set(second.certificates)
    assert second.backend == ("openssl -legacy" if form == "legacy" else "openssl")


def test_nothing_can_open_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As on Debian 13 without a package: this OpenSSL has no legacy provider, and there is no Java."""

    def refuse(_data: bytes, _password: str) -> pkcs12.Contents:
        raise PecError("Python's cryptography rejects it (ValueError)")

    monkeypatch.setattr(pkcs12, "_with_cryptography", refuse)
    monkeypatch.setattr(host, "java", tuple)
    monkeypatch.setattr(
        process, "environment", lambda extra=None: {"OPENSSL_MODULES": str(tmp_path), "PATH": "/usr/bin:/bin", **(extra or {})}
    )
    with pytest.raises(pkcs12.UnreadableError) as error:
        pkcs12.open_store(packed("legacy"), PASSWORD)
    text = str(error.value)
    parts = ("RC2-40, 3DES (the password is right)", "openssl-provider-legacy", "no Java is installed")
    assert all(part in text for part in (*parts, "unsupported Global default library context, Algorithm (RC2-40-CBC : 0)")), text
    assert PASSWORD not in text and error.value.facts == {"problems": ["unreadable"]}


PBMAC1 = [
    pytest.param({}, id="as openssl makes it"),
    pytest.param({"prf": "sha512", "digest": "sha512", "length": 64}, id="512"),
    pytest.param({"prf": "sha512", "length": 32}, id="two digests"),
    pytest.param({"prf": None, "digest": "sha1", "length": 20}, id="the digest of old"),
]


@pytest.mark.parametrize("changes", PBMAC1)
def test_the_password_of_a_pbmac1_is_proven(changes: dict[str, Any]) -> None:
    """Also where no program knows it, as OpenSSL before 3.4."""
    data = certificates.with_pbmac1(packed("modern"), PASSWORD, **changes)
    form = pkcs12_envelope.inspect(data)
    assert (form.pbmac1, form.encryption, form.password_fits(PASSWORD)) == (True, "other", True)
    for wrong in ("", PASSWORD + " ", "x", PASSWORD.encode().decode("latin-1")):
        assert form.password_fits(wrong) is False
        with pytest.raises(pkcs12.WrongPasswordError):
            pkcs12.open_store(data, wrong)


@pytest.mark.parametrize("form", list(certificates.FORMS))
def test_openssl_opens_a_pbmac1_whose_password_is_proven(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = certificates.with_pbmac1(packed(form), PASSWORD)
    if form == "modern":
        assert pkcs12.open_store(data, PASSWORD).backend == "cryptography"  # another reader agrees that it is one

    def refuse(_data: bytes, _password: str) -> pkcs12.Contents:
        raise PecError("not usable")

    monkeypatch.setattr(pkcs12, "_with_cryptography", refuse)
    store = pkcs12.open_store(data, PASSWORD)
    assert store.backend.startswith("openssl") and store.key_matches and store.pbmac1
    for wanted in ("java8", "modern"):
        after = pkcs12.open_store(pkcs12.reencrypt(store, PASSWORD, wanted), PASSWORD)
        assert (after.pbmac1, after.encryption, after.leaf) == (False, wanted, store.leaf)


@pytest.mark.parametrize("changes", [{"iterations": 5000001}, {"length": 65}, {"length": None}, {"iterations": 0}])
def test_a_pbmac1_that_costs_too_much_or_is_none(changes: dict[str, Any]) -> None:
    form = pkcs12_envelope.inspect(certificates.with_pbmac1(packed("modern"), "x", **{"iterations": 1, **changes}, cheap=True))
    assert (form.pbmac1, form.mac, form.password_fits("x")) == (True, None, None)


def test_no_damage_of_a_pbmac1_is_anything_but_a_pec_error() -> None:
    data = certificates.with_pbmac1(packed("modern"), PASSWORD)
    for place in [*range(60), *range(len(data) - 160, len(data))]:
        for bits in (0xFF, 0x01, 0x80):
            try:
                seen = pkcs12_envelope.inspect(data[:place] + bytes([data[place] ^ bits]) + data[place + 1 :])
            except PecError:
                continue
            assert seen.mac is None or (seen.mac.iterations <= 5000000 and (seen.mac.derived is None or seen.mac.derived[1] <= 64))


@pytest.mark.parametrize("form", ["modern", "java8", "legacy"])
def test_a_key_with_another_password(form: str) -> None:
    data = certificates.pack_with_another_key_password(issued(), "of-the-file", "of-the-key", form)
    with pytest.raises(pkcs12.UnreadableError, match="the private key in the file has another password than the file") as error:
        pkcs12.open_store(data, "of-the-file")
    assert error.value.facts == {"problems": ["key_password"]} and "openssl-provider-legacy" not in str(error.value)
    with pytest.raises(pkcs12.WrongPasswordError):
        pkcs12.open_store(data, "of-the-key")
    assert pkcs12.open_store(certificates.pack_with_another_key_password(issued(), "one", "one", form), "one").key_matches
    with pytest.raises(pkcs12.UnreadableError) as error:
        pkcs12.open_store(certificates.with_pbmac1(data, "of-the-file"), "of-the-file")
    assert error.value.facts == {"problems": ["key_password"]}


PROVIDER, JAVA = "install openssl-provider-legacy", "install a Java (default-jre-headless)"
EXPORT, ASCII = "export the certificate again with AES-256", "and a password of ASCII characters only"
AGAIN = f"{EXPORT}, on the computer where it was made"
DAMAGED = "the file is damaged, or its parts have different passwords; export it again with one password"
HOSTS = {"debian": {"ID": "ubuntu", "ID_LIKE": "debian"}, "rocky": {"ID": "rocky", "ID_LIKE": "rhel centos fedora"}}


@pytest.mark.parametrize(
    ("data", "system", "programs", "remedy"),
    [
        pytest.param("legacy", "debian", "openssl", f"{PROVIDER}, or {JAVA}, or {AGAIN}", id="nothing"),
        pytest.param("legacy", "debian", "openssl legacy", f"{JAVA}, or {AGAIN}", id="provider"),
        pytest.param("legacy", "debian", "openssl java", f"{PROVIDER}, or {AGAIN}", id="Java"),
        pytest.param("legacy", "debian", "openssl legacy java", AGAIN, id="all"),
        pytest.param("legacy", "rocky", "openssl", f"install a Java (java-headless), or {AGAIN}", id="Red Hat"),
        pytest.param("legacy", "debian", "", "install openssl", id="no openssl"),
        pytest.param("modern", "debian", "", "install openssl", id="modern, no openssl"),
        pytest.param("modern", "debian", "openssl", DAMAGED, id="modern"),
        pytest.param("java8", "debian", "openssl", DAMAGED, id="java8"),
        pytest.param("pbmac1", "debian", "", "install openssl", id="PBMAC1, no openssl"),
        pytest.param("pbmac1", "debian", "openssl", f"{EXPORT} and without PBMAC1, which few programs know", id="PBMAC1"),
    ],
)
def test_the_remedy_is_for_this_file_on_this_host(
    data: str, system: str, programs: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_data: bytes, _password: str, **_options: object) -> pkcs12.Contents:
        raise PecError("it rejects it")

    for read in ("_with_cryptography", "_with_openssl", "_with_keytool"):
        monkeypatch.setattr(pkcs12, read, refuse)
    monkeypatch.setattr(host, "os_release", lambda: HOSTS[system])
    monkeypatch.setattr(process, "which", lambda name: name if name in programs.split() else None)
    monkeypatch.setattr(pkcs12, "_has_legacy_provider", lambda: "legacy" in programs.split())
    monkeypatch.setattr(pkcs12, "keytools", lambda: iter(["keytool"] if "java" in programs.split() else []))
    file = certificates.with_pbmac1(certificates.pack(issued(), "x"), "x") if data == "pbmac1" else certificates.pack(issued(), "x", data)
    with pytest.raises(pkcs12.UnreadableError) as error:
        pkcs12.open_store(file, "x")
    assert str(error.value).rpartition("it rejects it. ")[2] == remedy[0].upper() + remedy[1:]


def test_the_remedy_of_an_unknown_cipher_and_of_a_password_that_cannot_be_checked() -> None:
    unknown = replace(pkcs12_envelope.inspect(packed("legacy")), ciphers=("an unknown algorithm (1.2.3)",))
    assert list(pkcs12._remedies("x", unknown, True)) == [f"{EXPORT}, which every program knows"]
    assert list(pkcs12._remedies("x", unknown, None)) == [
        "check the password first, because this host cannot",
        f"{EXPORT}, which every program knows",
    ]


def test_the_remedy_of_an_accented_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """No Java helps, because Java opens no file with such a password."""
    monkeypatch.setattr(pkcs12, "keytools", lambda: iter([]))
    monkeypatch.setattr(pkcs12, "_has_legacy_provider", lambda: True)
    assert list(pkcs12._remedies("é", pkcs12_envelope.inspect(packed("legacy")), True)) == [AGAIN.replace(",", f" {ASCII},")]
    assert list(pkcs12._remedies("é", pkcs12_envelope.inspect(packed("modern")), True)) == [
        f"{EXPORT} {ASCII}, because programs encode others differently"
    ]


def test_whether_openssl_has_its_legacy_provider(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert pkcs12._has_legacy_provider()
    monkeypatch.setattr(process, "environment", lambda _extra=None: {"OPENSSL_MODULES": str(tmp_path), "PATH": "/usr/bin:/bin"})
    assert not pkcs12._has_legacy_provider()


@pytest.mark.parametrize("wanted", ["java8", "modern"])
@pytest.mark.parametrize("form", list(certificates.FORMS))
def test_reencrypt(form: str, wanted: str) -> None:
    before = pkcs12.open_store(packed(form), PASSWORD)
    after = pkcs12.open_store(pkcs12.reencrypt(before, PASSWORD, wanted), PASSWORD)
    assert after.encryption == wanted
    assert after.identity[:-1] == before.identity[:-1]


def test_reencrypt_keeps_what_a_strict_reader_refuses() -> None:
    bad = certificates.badly_encoded(issued())
    before = pkcs12.open_store(certificates.pack(bad, "abc", "legacy"), "abc")
    after = pkcs12.open_store(pkcs12.reencrypt(before, "abc", "modern"), "abc")
    assert (after.leaf, after.encryption) == (x509.read(bad.der), "modern")


def test_a_key_of_another_certificate_and_none() -> None:
    mixed = pkcs12.open_store(certificates.pack_with_foreign_key(issued(), "x"), "x")
    assert not mixed.key_matches and mixed.leaf.holder == certificates.HOLDER
    bare = pkcs12.open_store(certificates.pack(issued(), "x", key=False), "x")
    assert (bare.key_id, bare.keys, bare.key_matches) == (None, 0, False)


def test_key_id_of_a_key_in_pem() -> None:
    assert pkcs12.key_id_of(issued().key_pem) == x509.read(issued().der).public_key
    with pytest.raises(PecError, match="openssl cannot read the private key"):
        pkcs12.key_id_of("nothing")


def test_no_damage_is_anything_but_a_pec_error() -> None:
    data = packed("modern")
    for place in range(0, len(data), 7):
        try:
            seen = pkcs12_envelope.inspect(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
        except PecError:
            continue
        assert seen.mac is None or seen.mac.iterations <= 5000000


class PanicException(BaseException):  # as the Rust side of cryptography names it; no Exception
    """What cryptography raises when its Rust side panics."""


def panic(*_arguments: object) -> None:
    os.write(2, f"thread '<unnamed>' panicked: NulError({list(PASSWORD.encode())}) {PASSWORD}".encode())
    raise PanicException(f"NulError {PASSWORD}")


def test_a_panic_of_cryptography_is_an_error_without_the_password(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("cryptography.hazmat.primitives.serialization.pkcs12.load_key_and_certificates", panic)
    with pytest.raises(PecError, match=r"cryptography rejects it \(PanicException\)$") as error:
        pkcs12._with_cryptography(packed("modern"), PASSWORD)
    assert error.value.__cause__ is None and error.value.__suppress_context__
    assert capfd.readouterr() == ("", "")
    os.write(2, b"heard again")
    assert capfd.readouterr().err == "heard again"
    assert pkcs12.open_store(packed("modern"), PASSWORD).backend == "openssl"


def test_a_closed_standard_error_stays_closed() -> None:
    data, heard = packed("modern"), os.dup(2)
    os.close(2)
    try:
        contents = pkcs12._with_cryptography(data, PASSWORD)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(2)
    finally:
        os.dup2(heard, 2)
        os.close(heard)
    assert contents.key_id


def test_a_panic_while_cryptography_is_imported(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    importing = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", lambda name, *rest: panic() if name.startswith("cryptography") else importing(name, *rest))
    with pytest.raises(PecError, match="cryptography is not usable"):
        pkcs12._with_cryptography(packed("modern"), PASSWORD)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, signals.Stopped])
def test_a_stop_is_no_failure_of_cryptography(stop: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    def end(*_arguments: object) -> None:
        raise stop

    monkeypatch.setattr("cryptography.hazmat.primitives.serialization.pkcs12.load_key_and_certificates", end)
    with pytest.raises(stop):
        pkcs12._with_cryptography(packed("modern"), PASSWORD)


@pytest.mark.parametrize(
    ("name", "shown"),
    [(b"muni\0cipio", "municipio"), (b"\0", None), (b"a\0", "a"), (b"a\nmode: 0777", "a mode: 0777"), (b"a\x1b[2J", "a?[2J")],
)
def test_a_friendly_name_with_control_characters(name: bytes, shown: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    data = certificates.pack_with_name(issued(), "x", name)
    before = pkcs12.open_store(data, "x")
    assert (before.friendly_name, before.key_matches) == (shown, True)
    after = pkcs12.open_store(pkcs12.reencrypt(before, "x", "java8"), "x")
    assert (after.friendly_name, after.encryption, after.identity[:-1]) == (shown, "java8", before.identity[:-1])
    monkeypatch.setattr("cryptography.hazmat.primitives.serialization.pkcs12.load_key_and_certificates", panic)
    assert pkcs12.open_store(data, "x").leaf == before.leaf


@pytest.mark.parametrize("password", ["Segre\0do", "Segredo\udcff"])
def test_a_password_that_no_program_can_take(password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for read in (pkcs12._with_openssl, pkcs12._with_keytool):
        monkeypatch.setattr(pkcs12, "keytools", lambda: iter(["/bin/true"]))
        with pytest.raises(PecError) as error:
            read(packed("modern"), password)
        assert "Segre" not in str(error.value)
    with pytest.raises(pkcs12.WrongPasswordError):
        pkcs12.open_store(packed("modern"), password)


def test_beginnings_without_an_end_do_not_hang_it() -> None:
    """Names in the file are in openssl's output; searched for their end one by one, so many would take hours."""
    noise = "-----BEGIN PRIVATE KEY-----\n" * 400000 + "-----BEGIN " + "A" * 10000000
    contents = pkcs12._from_pem(f"{noise}\n{issued().key_pem}{issued().pem}", "openssl")
    assert contents.key_pem is not None and contents.key_id == x509.read(issued().der).public_key
    assert contents.certificates == (issued().der,)


def test_temporary_files_are_gone_and_closed_to_others() -> None:
    with files.private_directory() as directory:
        path = pkcs12._put(directory, b"x")
        assert Path(directory).stat().st_mode & 0o777 == 0o700 and Path(path).stat().st_mode & 0o777 == 0o600
    assert not Path(directory).exists()


@pytest.mark.confined
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_keytool_that_another_account_can_change_has_no_rights() -> None:
    with tempfile.TemporaryDirectory() as directory:  # under /tmp, where every account gets to
        keytool, seen = Path(directory) / "bin" / "keytool", Path(directory) / "seen"
        keytool.parent.mkdir()
        keytool.write_text(f'#!/bin/sh\n{{ id -u; cat "$8"; }} >{seen}\necho PrivateKeyEntry\n', encoding="utf-8")
        keytool.chmod(0o755)
        seen.touch()
        seen.chmod(0o622)
        os.chmod(directory, 0o755)
        assert pkcs12.ask_keytool(str(keytool), b"the keystore", "s3gredo") is None
        assert seen.read_text(encoding="utf-8") == "0\nthe keystore", "one of root's runs as root"
        os.chown(keytool, 65533, 65533)
        assert pkcs12.ask_keytool(str(keytool), b"the keystore", "s3gredo") is None
        assert seen.read_text(encoding="utf-8") == f"{confinement.uid()}\nthe keystore"
        keytool.chmod(0o700)
        with pytest.raises(PecError, match=f"PEC's keytool, .*; run: chown root {keytool}$"):
            pkcs12.ask_keytool(str(keytool), b"the keystore", "s3gredo")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_keytool_of_another_account_converts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launchers = [tmp_path / name / "bin" / "java" for name in ("theirs", "ours")]
    for launcher in launchers:
        launcher.parent.mkdir(parents=True)
        launcher.with_name("keytool").touch(0o755)
    monkeypatch.setattr(host, "java", lambda: [host.Java(str(launcher), "17.0.1", 17) for launcher in launchers])
    os.chown(launchers[0].with_name("keytool"), 65533, 65533)
    assert list(pkcs12.keytools()) == [str(launchers[1].with_name("keytool"))]
