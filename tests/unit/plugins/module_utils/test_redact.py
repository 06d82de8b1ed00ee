# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import shlex
import subprocess
import time
from urllib.parse import quote, quote_plus

import pytest

from ansible_collections.esus.pec.plugins.module_utils.postgres import psql
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import literal
from ansible_collections.esus.pec.plugins.module_utils.redact import MASK, Redactor, looks_secret

SECRET = "Senha-do-banco-1"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        pytest.param(f"-password={SECRET} -backup", f"-password={MASK} -backup", id="an option"),
        pytest.param("-password=other,with;signs&more -x", f"-password={MASK} -x", id="an unknown password"),
        pytest.param("senha: abc123", f"senha: {MASK}", id="credenciais.txt"),
        pytest.param("Senha=abc123", f"Senha={MASK}", id="Portuguese"),
        pytest.param('--superpassword "esus" --serverport 5433', f"--superpassword {MASK} --serverport 5433", id="BitRock"),
        pytest.param('"databasePassword" : "a b c", "x" : 1', f'"databasePassword" : {MASK}, "x" : 1', id="pec.config"),
        pytest.param("spring.datasource.password=abc", f"spring.datasource.password={MASK}", id="Spring"),
        pytest.param("PGPASSWORD=abc psql", f"PGPASSWORD={MASK} psql", id="the environment"),
        pytest.param("ALTER USER x PASSWORD 'a b'", f"ALTER USER x PASSWORD {MASK}", id="SQL"),
        pytest.param("jdbc:postgresql://esus:abc@db:5432/esus", f"jdbc:postgresql://esus:{MASK}@db:5432/esus", id="a URL"),
        pytest.param("redis://:abc@cache:6379/0", f"redis://:{MASK}@cache:6379/0", id="a URL without a user"),
        pytest.param(f"it says {SECRET} here", f"it says {MASK} here", id="a known value anywhere"),
        pytest.param("keytool -storepass abc -alias x", f"keytool -storepass {MASK} -alias x", id="keytool"),
        pytest.param("?user=x&pwd=abc", f"?user=x&pwd={MASK}", id="pwd"),
        pytest.param("client-secret: abc", f"client-secret: {MASK}", id="a client's secret"),
        pytest.param("apiKey=abc", f"apiKey={MASK}", id="an API's key"),
        pytest.param("Using generated security password: 1-2-3", f"Using generated security password: {MASK}", id="Spring's own"),
        pytest.param("password authentication failed for user", "password authentication failed for user", id="prose stays"),
        pytest.param("Usuário e/ou senha inválidos", "Usuário e/ou senha inválidos", id="prose in Portuguese stays"),
        pytest.param("password_encryption = md5", "password_encryption = md5", id="a setting stays"),
    ],
)
def test_redaction(text: str, clean: str) -> None:
    assert Redactor([SECRET])(text) == clean


# Every character that one of the spellings changes.
ODD = 'Sé\'nha\\1%2+3 "4"/$x:&\t5'


@pytest.mark.parametrize(
    "spelled",
    [
        pytest.param(ODD, id="as it is"),
        pytest.param(json.dumps(ODD)[1:-1], id="JSON"),
        pytest.param(json.dumps(ODD, ensure_ascii=False)[1:-1], id="JSON in UTF-8"),
        pytest.param(json.dumps(json.dumps(ODD))[3:-3], id="JSON in JSON"),
        pytest.param(json.dumps(json.dumps(ODD, ensure_ascii=False), ensure_ascii=False)[3:-3], id="JSON in JSON in UTF-8"),
        pytest.param(repr(ODD)[1:-1], id="Python"),
        pytest.param(ODD.replace("\\", "\\\\"), id="backslashes"),
        pytest.param(ODD.replace("\\", "\\\\").replace(":", "\\:"), id="Java properties"),
        pytest.param(ODD.replace("\\", "\\\\").replace("'", "\\'").replace('"', '\\"'), id="quotes and backslashes"),
        pytest.param(ODD.replace("\\", "\\\\").replace("'", "\\'"), id="a connection string"),
        pytest.param(psql.options({"a": ODD})["PGOPTIONS"][len("-c a=") :], id="PGOPTIONS"),
        pytest.param(shlex.quote(ODD)[1:-1], id="shlex"),
        pytest.param(ODD.replace("'", "'\\''"), id="a shell's trace"),
        pytest.param(literal(ODD)[2:-1], id="an SQL literal with backslashes"),
        pytest.param(ODD.replace("'", "''"), id="an SQL literal"),
        pytest.param(quote(ODD, safe=""), id="a URL"),
        pytest.param(quote(ODD), id="the path of a URL"),
        pytest.param(quote(ODD, safe="").replace("%C3", "%c3"), id="a URL in small letters"),
        pytest.param(quote_plus(ODD), id="a form"),
    ],
)
def test_spellings(spelled: str) -> None:
    planted = f"before {spelled} after"
    assert spelled in Redactor(["another"])(planted)
    assert Redactor(["another", ODD])(planted) == f"before {MASK} after"


def test_what_a_shell_escapes_with_backslashes() -> None:
    spelled = subprocess.run(["bash", "-c", 'printf %q "$1"', "-", "it's $x"], capture_output=True, text=True, check=True).stdout
    assert spelled == "it\\'s\\ \\$x"
    assert Redactor(["it's $x"])(f"before {spelled} after") == f"before {MASK} after"


@pytest.mark.parametrize(("secrets", "text"), [(["abc", "abc'def"], "abc''def"), (["abc'"], "abc''"), (["a", "a b"], "a+b")])
def test_the_longest_is_masked(secrets: list[str], text: str) -> None:
    assert Redactor(secrets)(f"x {text} y") == f"x {MASK} y"


def test_known_values_only() -> None:
    assert Redactor([SECRET], only_known=True)(f"password=a {SECRET}") == f"password=a {MASK}"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("age: AGE-SECRET-KEY-1QQPQQ: no", f"age: {MASK}: no"),
        ("'age-secret-key-1qqpqq'", f"'{MASK}'"),
        ("AGE-PLUGIN-YUBIKEY-1QQPQQ", MASK),
        ("a -----BEGIN RSA PRIVATE KEY-----\nabc\nde\n-----END RSA PRIVATE KEY----- b", f"a {MASK} b"),
        ("a -----BEGIN PRIVATE KEY-----\\nabc", f"a {MASK}"),
        ("it must begin with -----BEGIN PRIVATE KEY-----", "it must begin with -----BEGIN PRIVATE KEY-----"),
        ("age1qqpqq", "age1qqpqq"),
    ],
)
def test_private_keys_always(text: str, clean: str) -> None:
    assert Redactor(only_known=True)(text) == clean


@pytest.mark.parametrize(
    ("key", "value", "secret"),
    [
        ("spring.datasource.password", "x", True),
        ("server.ssl.key-store-password", "x", True),
        ("bridge.security.oauth2.client.registration.govbr.client-secret", "x", True),
        ("smtp.senha", "x", True),
        ("api.TOKEN", "x", True),
        ("mail.pass", "x", True),
        ("mail.pwd", "x", True),
        ("keytool.storepass", "x", True),
        ("keyPass", "x", True),
        ("sms.api-key", "x", True),
        ("SMS_APIKEY", "x", True),
        ("s3.accessKey", "x", True),
        ("clientSecret", "x", True),
        ("sasl.jaas.config", "x", True),
        ("rnds.credentials", "x", True),
        ("cartao.pin", "x", True),
        ("pec.contra-chave", "x", True),
        ("contraChave", "x", True),
        ("encrypt.key", "x", True),
        ("chave", "x", True),
        ("jwt.public-key", "x", False),
        ("server.ssl.key-store", "config/x.p12", False),
        ("server.ssl.key-alias", "x", False),
        ("server.ssl.key-store-type", "PKCS12", False),
        ("pin.count-limit", "x", True),
        ("pinned", "x", False),
        ("mail.bypass", "x", False),
        ("java.options", "-Djavax.net.ssl.keyStorePassword=x", True),
        ("key", "AGE-SECRET-KEY-1QQPQQ", True),
        ("note", "AGE-SECRET-KEY-1QQPQQ", True),
        ("ssl.private-key", "x", True),
        ("bridge.security.oauth2.client.registration.govbr.client-id", "x", False),
        ("bridge.security.oauth2.client.registration.govbr.client-id", "esus.municipio.uf.gov.br", False),
        ("govbr.client-id", "PEC.MUNICIPIO.UF.GOV.BR", False),
        ("govbr.client-id", "Pec.Municipio.uf.gov.br", False),
        ("govbr.client-id", "AJ7sk3-xZq9.kT", True),
        ("govbr.clientId", "9f86d081884c7d659a2feaa0c55ad015", True),
        ("client_id", "pZ3\\x#9!vQ==", True),
        ("client-id-issued-at", "9f86d081884c7d65", False),
        ("server.port", "8080", False),
        ("compass.heading", "x", False),
        ("spring.datasource.url", "jdbc:postgresql://127.0.0.1:5432/esus", False),
        ("spring.datasource.url", "jdbc:postgresql://127.0.0.1:5432/esus?password=x", True),
        ("proxy", "http://user:x@proxy:3128", True),
        ("cache", "redis://:x@cache:6379/0", True),
    ],
)
def test_what_looks_secret(key: str, value: str, secret: bool) -> None:
    assert looks_secret(key, value) is secret


@pytest.mark.parametrize(
    "part",
    ["AGE-PLUGIN-", "AGE-SECRET-KEY-", "-----BEGIN PRIVATE KEY-----", "-----BEGIN ", "password ", "pass ", "//a:", "-key", "senha='"],
)
def test_what_somebody_else_wrote_keeps_nobody_busy(part: str) -> None:
    """PEC's account writes the values of application.properties, and PEC's answers."""
    started = time.process_time()
    Redactor()(part * (1_000_000 // len(part)) + " " * 100_000)
    assert time.process_time() - started < 60  # what is not linear takes many minutes
