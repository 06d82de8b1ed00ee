# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
from typing import Any

import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres import administrator
from ansible_collections.esus.pec.plugins.module_utils.postgres.administrator import Login
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection

HERE = Connection("127.0.0.1", 5432, "esus", "esus", "secret-of-pec")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("esus", "esus_before_20261122T030000Z"),
        ("a" * 63, "a" * 39 + "_before_20261122T030000Z"),
        ("ã" * 31, "ã" * 19 + "_before_20261122T030000Z"),
        ("x" + "ã" * 31, "x" + "ã" * 19 + "_before_20261122T030000Z"),
    ],
)
def test_a_name_with_a_suffix_fits(name: str, expected: str) -> None:
    found = administrator.with_suffix(name, "_before_20261122T030000Z")
    assert found == expected
    assert len(found.encode()) <= 63


@pytest.mark.parametrize(
    ("like", "options"),
    [
        ({}, ""),
        (
            {"encoding": "UTF8", "datcollate": "pt_BR.UTF-8", "datctype": "pt_BR.UTF-8", "datlocprovider": "c", "tablespace": "pg_default"},
            " ENCODING 'UTF8' LC_COLLATE 'pt_BR.UTF-8' LC_CTYPE 'pt_BR.UTF-8'",
        ),
        ({"encoding": "UTF8", "datlocprovider": "i", "daticulocale": "pt-BR"}, " ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'pt-BR'"),
        (
            {"datlocprovider": "i", "datlocale": "pt-BR", "daticurules": "&a < b"},
            " LOCALE_PROVIDER icu ICU_LOCALE 'pt-BR' ICU_RULES '&a < b'",
        ),
        ({"datlocprovider": "b", "datlocale": "C.UTF-8"}, " LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'"),
        ({"tablespace": "ra pido"}, ' TABLESPACE "ra pido"'),
    ],
)
def test_create(like: dict[str, Any], options: str) -> None:
    assert administrator.create_statement('x"y', "esus", like) == f'CREATE DATABASE "x""y" OWNER "esus" TEMPLATE template0{options}'


def test_what_belongs_to_the_old_database() -> None:
    like = {
        "settings": [[None, "work_mem=7MB"], ["e'sus", "datestyle=ISO, DMY"], [None, 'search_path="$user", public'], [None, "a.b=x=y\\"]]
        + [[None, f"search_path={text}"] for text in ("", "public;drop/**/role/**/x", '"a, b""c",d', 'a"b, c')],
        "rights": [[None, "TEMPORARY", ""], ["auditor", "CONNECT", " WITH GRANT OPTION"]],
        "datconnlimit": 7,
    }
    assert administrator.property_statements("x", like) == [
        'ALTER DATABASE "x" SET "work_mem" TO \'7MB\'',
        'ALTER ROLE "e\'sus" IN DATABASE "x" SET "datestyle" TO \'ISO, DMY\'',
        "ALTER DATABASE \"x\" SET \"search_path\" TO '$user', 'public'",
        'ALTER DATABASE "x" SET "a"."b" TO E\'x=y\\\\\'',
        'ALTER DATABASE "x" SET "search_path" TO \'\'',
        'ALTER DATABASE "x" SET "search_path" TO \'public;drop/**/role/**/x\'',
        'ALTER DATABASE "x" SET "search_path" TO \'a, b"c\', \'d\'',
        'ALTER DATABASE "x" SET "search_path" TO \'a"b, c\'',
        'REVOKE ALL ON DATABASE "x" FROM PUBLIC',
        'GRANT TEMPORARY ON DATABASE "x" TO PUBLIC',
        'GRANT CONNECT ON DATABASE "x" TO "auditor" WITH GRANT OPTION',
        'ALTER DATABASE "x" CONNECTION LIMIT 7',
    ]
    assert administrator.property_statements("x", {"rights": None, "settings": [], "datconnlimit": -1}) == []


class Recorded(Login):
    """A login whose statements are written down; the first runs fail with C(failures)."""

    def __new__(cls, *_failures: str) -> Recorded:
        return object.__new__(cls)

    def __init__(self, *failures: str) -> None:
        object.__setattr__(self, "failures", list(failures))
        object.__setattr__(self, "runs", [])

    def execute(self, *statements: str, database: str | None = None) -> None:
        self.runs.append(statements)  # type: ignore[attr-defined]
        if self.failures:  # type: ignore[attr-defined]
            raise PecError(self.failures.pop(0))  # type: ignore[attr-defined]


def test_the_switch_is_one_transaction() -> None:
    login = Recorded()
    administrator.switch(login, "esus", "esus_before", "esus_restoring", "esus", {"esus": "new", "esus_before": "old"})
    (statements,) = login.runs  # type: ignore[attr-defined]
    assert (statements[0], statements[-1]) == ("BEGIN", "COMMIT")
    assert statements[3:5] == ('ALTER DATABASE "esus" RENAME TO "esus_before"', 'ALTER DATABASE "esus_restoring" RENAME TO "esus"')
    assert "COMMENT ON DATABASE \"esus_before\" IS 'old'" in statements


def test_the_switch_where_there_is_no_old_database() -> None:
    login = Recorded()
    administrator.switch(login, None, "", "esus_restoring", "esus", {})
    (statements,) = login.runs  # type: ignore[attr-defined]
    assert [statement for statement in statements if "RENAME" in statement] == ['ALTER DATABASE "esus_restoring" RENAME TO "esus"']


@pytest.mark.parametrize(
    "message",
    ['ERROR:  database "esus" is being accessed by other users', 'ERRO:  banco de dados "esus" está sendo acessado por outros usuários'],
)
def test_a_client_that_comes_back_is_ended_again(message: str) -> None:
    login = Recorded(message, message)
    administrator.switch(login, "esus", "before", "side", "esus", {})
    assert len(login.runs) == 3  # type: ignore[attr-defined]
    stubborn = Recorded(*[message] * 99)
    with pytest.raises(PecError, match="esus"):
        administrator.switch(stubborn, "esus", "before", "side", "esus", {})


def test_any_other_error_is_not_tried_again() -> None:
    login = Recorded("ERROR:  permission denied")
    with pytest.raises(PecError, match="permission denied"):
        administrator.switch(login, "esus", "before", "side", "esus", {})
    assert len(login.runs) == 1  # type: ignore[attr-defined]


class Locking:
    """A session at a server where others hold the lock for some time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answers: list[tuple[bool, list[str]]]) -> None:
        self.answers = answers
        self.unlocked = 0
        monkeypatch.setattr(administrator.Login, "session", lambda _login, database=None: contextlib.nullcontext(self))
        monkeypatch.setattr(administrator.time, "sleep", lambda _seconds: None)

    def execute(self, sql: str) -> None:
        self.unlocked += "pg_advisory_unlock" in sql

    def query(self, sql: str) -> Any:
        if "pg_try_advisory_lock" in sql:
            return self.answers[0][0]
        return (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])[1]


ADMIN = Login(HERE, "psql", None, "postgres", True, True, True, "1", "15.18", 150018, None)


def test_a_run_whose_end_the_server_has_not_seen_yet_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Locking(monkeypatch, [(False, ["session 7"]), (False, []), (True, [])])
    with administrator.alone(ADMIN, "esus"):
        assert len(server.answers) == 1


@pytest.mark.parametrize("mine", [pytest.param(True, id="in another database of the server"), pytest.param(False, id="in this one")])
def test_a_run_of_another_host_is_named(mine: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Locking(monkeypatch, [(mine, ["session 7 from 192.0.2.9, since 2026-11-29T10:00:00Z"])])
    with pytest.raises(PecError, match=r"'esus' on this server \(session 7 from 192\.0\.2\.9, since 2026"), administrator.alone(
        ADMIN, "esus"
    ):
        pytest.fail("two runs at once")
    assert bool(server.unlocked) is mine
