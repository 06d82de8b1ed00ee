# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection, DatabaseFacts
from ansible_collections.esus.pec.plugins.module_utils.preflight.database import database_rules, in_use
from ansible_collections.esus.pec.plugins.module_utils.preflight.model import DatabaseSeen, DatabaseWanted, Facts

WANTED = DatabaseWanted("external", host="db.a.br", password="s")
PLACE = "'esus' on db.a.br:5432"
EMPTY = DatabaseFacts(
    server_version="15.18",
    server_version_num=150018,
    size_bytes=7 * 10**6,
    encoding="UTF8",
    collation="pt_BR.UTF-8",
    ctype="pt_BR.UTF-8",
    table_count=0,
    is_pec=False,
    pec_version=None,
    training=None,
    installation_name=None,
    installation_link=None,
    installation_type=None,
)
FACTS = Facts(
    uid=0,
    architecture="x86_64",
    distribution="debian",
    distribution_version="12",
    init_name="systemd",
    memory_bytes=8 * 10**9,
    processors=4,
)
PEC = replace(EMPTY, table_count=1101, is_pec=True, pec_version="5.4.37")
SEEN = DatabaseSeen(authentication="md5", may_create=True, facts=EMPTY)
RULE = "'host esus esus ADDRESS-OF-THIS-HOST md5'"


def found(seen: DatabaseSeen | None, wanted: DatabaseWanted = WANTED, version: str = "5.4.37") -> list[str]:
    return [f"{finding.severity} {finding}" for finding in database_rules(seen, wanted, version)]


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(SEEN, id="empty"),
        pytest.param(replace(SEEN, facts=PEC), id="PEC of the same version"),
        pytest.param(replace(SEEN, authentication="trust"), id="no password asked"),
        pytest.param(None, id="not looked at"),
    ],
)
def test_a_good_database_gives_nothing_to_say(seen: DatabaseSeen | None) -> None:
    assert found(seen) == []


@pytest.mark.parametrize(
    ("seen", "text"),
    [
        pytest.param(
            DatabaseSeen(unreachable="PostgreSQL at db.a.br:5432 cannot be reached: Connection refused"),
            "error [database_unreachable] PostgreSQL at db.a.br:5432 cannot be reached: Connection refused. "
            "What to do: correct pec_database_host or pec_database_port, or that server.",
            id="unreachable database",
        ),
        pytest.param(
            DatabaseSeen(authentication="scram-sha-256", login_error="password authentication failed"),
            f"error [database_scram] the server of {PLACE} requires SCRAM of the role 'esus', and PEC's driver answers "
            "'The authentication type 10 is not supported.'. What to do: on that server: SET password_encryption = 'md5', "
            f"give the role its password again, put the line {RULE} first in pg_hba.conf, and reload.",
            id="SCRAM-only role",
        ),
        pytest.param(
            DatabaseSeen(authentication='rejected: no pg_hba.conf entry for host "192.0.2.7"'),
            f"error [database_rejected] the server of {PLACE} rejects the role 'esus': no pg_hba.conf entry for host \"192.0.2.7\". "
            f"What to do: create the role and the database there, and allow them by the line {RULE} in pg_hba.conf.",
            id="rejected",
        ),
        pytest.param(
            replace(SEEN, authentication="other"),
            f"error [database_authentication] the server of {PLACE} requires an authentication of the role 'esus' that PEC's "
            f"driver does not support. What to do: put the line {RULE} first in that server's pg_hba.conf, and reload.",
            id="another authentication",
        ),
        pytest.param(
            DatabaseSeen(authentication="md5", login_error="password authentication failed"),
            "error [database_login] the login of PEC fails: password authentication failed. "
            "What to do: check pec_database_name, pec_database_username and pec_database_password.",
            id="wrong password",
        ),
        pytest.param(
            replace(SEEN, may_create=False),
            f"error [database_privileges] the role 'esus' may not create tables in the database {PLACE}. "
            "What to do: on that server: ALTER DATABASE esus OWNER TO esus, and in the database: ALTER SCHEMA public OWNER TO esus.",
            id="not the owner",
        ),
        pytest.param(
            replace(SEEN, facts=replace(EMPTY, server_version="9.5.25", server_version_num=90525)),
            f"error [database_server] the server of {PLACE} is PostgreSQL 9.5.25; PEC requires 9.6 or newer. "
            "What to do: use a newer server.",
            id="old server",
        ),
        pytest.param(
            replace(SEEN, facts=replace(EMPTY, encoding="LATIN1")),
            f"error [database_encoding] the database {PLACE} is encoded in LATIN1, and PEC requires UTF8. "
            "What to do: recreate it: CREATE DATABASE esus OWNER esus ENCODING 'UTF8' TEMPLATE template0.",
            id="Latin-1",
        ),
        pytest.param(
            replace(SEEN, facts=replace(EMPTY, collation="C.UTF-8")),
            f"warning [database_collation] the database {PLACE} sorts by C.UTF-8, so names with accents are not in Portuguese "
            "order. What to do: leave it if it has data; recreate an empty one with LC_COLLATE 'pt_BR.UTF-8'.",
            id="another collation",
        ),
        pytest.param(
            replace(SEEN, facts=replace(EMPTY, table_count=3)),
            f"error [database_foreign] the database {PLACE} is not empty and not PEC's: it has 3 tables of something else. "
            "What to do: set pec_database_name to an empty database; this one was not changed.",
            id="database that is not empty and not PEC",
        ),
        pytest.param(
            replace(SEEN, unfinished=True, facts=replace(EMPTY, table_count=300)),
            f"warning [database_unfinished] the database {PLACE} has PEC's tables but no version, so an installation in it was "
            "interrupted. What to do: run the installation again; if it fails at the same place, start with an empty database.",
            id="a migration that broke off does not stop its repair",
        ),
        pytest.param(
            replace(SEEN, facts=replace(PEC, pec_version="5.5.28")),
            f"error [database_newer] the database {PLACE} is at PEC 5.5.28, newer than the requested 5.4.37; PEC cannot be "
            "downgraded. What to do: request 5.5.28 or newer, or restore a backup that was made with 5.4.37.",
            id="newer PEC",
        ),
        pytest.param(
            replace(SEEN, facts=replace(PEC, pec_version="5.3.28")),
            f"error [database_older] the database {PLACE} is at PEC 5.3.28 and would be migrated to 5.4.37, which cannot be undone. "
            "What to do: have a backup of it that you have tried to restore, then set pec_install_update: true.",
            id="older PEC",
        ),
    ],
)
def test_external(seen: DatabaseSeen, text: str) -> None:
    assert found(seen) == [text]


def test_everything_wrong_at_once() -> None:
    seen = replace(SEEN, authentication="scram-sha-256", may_create=False, facts=replace(EMPTY, encoding="SQL_ASCII", table_count=1))
    codes = [text.split("]")[0].split("[")[1] for text in found(seen)]
    assert codes == ["database_scram", "database_privileges", "database_encoding", "database_foreign"]


def test_without_a_wanted_version_versions_are_not_compared() -> None:
    assert found(replace(SEEN, facts=replace(PEC, pec_version="9.9.9")), version="") == []


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        pytest.param(
            replace(WANTED, password=""),
            "error [database_password] the role 'esus' has no password. What to do: set pec_database_password, in a vault.",
            id="no password",
        ),
        pytest.param(
            replace(WANTED, name="postgres"),
            "error [database_name] the database 'postgres' is PostgreSQL's own. "
            "What to do: set pec_database_name to another, such as esus.",
            id="PostgreSQL's own database",
        ),
        pytest.param(
            replace(WANTED, mode="managed"),
            "error [database_host] pec_database_mode is managed, which sets PostgreSQL up on this host, but pec_database_host is "
            "'db.a.br'. What to do: remove pec_database_host, or set pec_database_mode: external.",
            id="managed elsewhere",
        ),
        pytest.param(
            replace(WANTED, mode="managed", host="::1"),
            "error [database_host] pec_database_host is '::1', and PEC's Java uses IPv4 only (java.net.preferIPv4Stack). "
            "What to do: remove pec_database_host, or set it to 127.0.0.1.",
            id="managed by IPv6",
        ),
    ],
)
def test_settings(wanted: DatabaseWanted, text: str) -> None:
    assert found(None, wanted) == [text]


MANAGED = replace(WANTED, mode="managed", host="127.0.0.1")


def test_a_managed_database_may_still_be_unusable() -> None:
    for seen in (
        DatabaseSeen(unreachable="x"),
        DatabaseSeen(authentication="scram-sha-256", login_error="no such role"),
        replace(SEEN, authentication="scram-sha-256", may_create=False),
    ):
        assert found(seen, MANAGED) == [], "the role pec_database has not run yet"


def test_a_managed_database_must_not_be_somebody_elses() -> None:
    assert "[database_foreign]" in found(replace(SEEN, facts=replace(EMPTY, table_count=1)), MANAGED)[0]
    assert "it has 1 table of" in found(replace(SEEN, facts=replace(EMPTY, table_count=1)), MANAGED)[0]


def test_the_bundled_database_is_the_installers_business() -> None:
    assert found(DatabaseSeen(unreachable="x"), DatabaseWanted("bundled")) == []


def test_an_older_database_may_be_migrated_when_an_update_is_allowed() -> None:
    findings = list(database_rules(replace(SEEN, facts=replace(PEC, pec_version="5.3.28")), WANTED, "5.4.37", update=True))
    assert [(finding.severity, finding.code) for finding in findings] == [("warning", "database_older")]


@pytest.mark.parametrize(
    ("wanted", "clear_text"),
    [
        pytest.param(WANTED, True, id="another host"),
        pytest.param(replace(WANTED, sslmode="require"), True, id="encrypted for whoever answers"),
        pytest.param(replace(WANTED, sslmode="verify-full"), False, id="a verified server"),
        pytest.param(replace(WANTED, host="127.0.0.1"), False, id="this host"),
    ],
)
def test_a_password_in_clear_text(wanted: DatabaseWanted, clear_text: bool) -> None:
    lines = found(replace(SEEN, authentication="password", login_error="refused" if clear_text else ""), wanted)
    assert [line.partition("]")[0] for line in lines] == (["error [database_clear_text"] if clear_text else [])


HERE = Connection("db.a.br", 5432, "esus", "esus", "s")


@pytest.mark.parametrize(
    ("here", "state", "wanted", "codes"),
    [
        pytest.param(None, "absent", WANTED, [], id="nothing is here"),
        pytest.param(HERE, "installed", WANTED, [], id="the same"),
        pytest.param(HERE, "installed", replace(WANTED, name="other"), ["another_database"], id="another name"),
        pytest.param(HERE, "broken", replace(WANTED, host="127.0.0.1", mode="managed"), ["another_database"], id="another server"),
        pytest.param(HERE, "installed", DatabaseWanted("bundled"), ["another_database"], id="bundled instead of external"),
        pytest.param(HERE, "installed", replace(WANTED, password="t"), ["database_login_differs"], id="another password"),
        pytest.param(HERE, "installed", replace(WANTED, username="t"), ["database_login_differs"], id="another role"),
        pytest.param(HERE, "installed", replace(WANTED, sslmode="require"), ["database_tls_differs"], id="another protection"),
        pytest.param(replace(HERE, sslmode="require"), "installed", WANTED, [], id="protected, and nothing asked"),
        pytest.param(HERE, "broken", replace(WANTED, password="t"), [], id="a broken installation may get the right password at last"),
    ],
)
def test_a_pec_that_is_here_keeps_its_database(here: Connection | None, state: str, wanted: DatabaseWanted, codes: list[str]) -> None:
    facts = replace(FACTS, installed_state=state, installed_connection=here, installed_custom_database=here is not None)
    findings = list(in_use(facts, wanted))
    assert [finding.code for finding in findings] == codes
    assert all(finding.severity == "error" for finding in findings)
