# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
from functools import cache
from pathlib import Path

import certificates
import pytest

from ansible_collections.esus.pec.plugins.module_utils.certificates import pkcs12, pkcs12_envelope, x509
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import host, process

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


def test_temporary_files_are_gone_and_closed_to_others() -> None:
    with pkcs12.private_directory() as directory:
        path = pkcs12._put(directory, b"x")
        assert Path(directory).stat().st_mode & 0o777 == 0o700 and Path(path).stat().st_mode & 0o777 == 0o600
    assert not Path(directory).exists()
