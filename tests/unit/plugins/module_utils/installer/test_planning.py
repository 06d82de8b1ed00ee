# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.installer.planning import CertmgrHttps, Current, Desired, keep_protection, plan
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection

HERE = Connection("127.0.0.1", 5432, "esus", "esus", "secret-of-the-database")
ABSENT = Current("absent")
INSTALLED = Current("installed", (), "5.4.37", HERE, "5.4.37")
BROKEN = Current("broken", ("standalone.sh is missing",), "5.4.37", HERE, "5.4.37")
DESIRED = Desired("5.4.37", False, HERE)


@pytest.mark.parametrize(
    ("current", "desired", "action", "reason", "from_version"),
    [
        pytest.param(ABSENT, DESIRED, "install", "PEC is not installed here", None, id="bare host"),
        pytest.param(INSTALLED, DESIRED, "none", "PEC 5.4.37 is installed here", "5.4.37", id="a second run is still"),
        pytest.param(
            INSTALLED, replace(DESIRED, database=None), "none", "PEC 5.4.37 is installed here", "5.4.37", id="bundled: no database named"
        ),
        pytest.param(
            INSTALLED,
            replace(DESIRED, database=replace(HERE, host="localhost")),
            "none",
            "PEC 5.4.37 is installed here",
            "5.4.37",
            id="localhost is 127.0.0.1",
        ),
        pytest.param(
            replace(INSTALLED, database_version=None),
            DESIRED,
            "none",
            "PEC 5.4.37 is installed here",
            "5.4.37",
            id="a stopped database is no reason",
        ),
        pytest.param(
            INSTALLED,
            Desired("5.5.28", True, HERE),
            "update",
            "PEC 5.4.37 is installed here, 5.5.28 is newer",
            "5.4.37",
            id="allowed update",
        ),
        pytest.param(
            replace(INSTALLED, version=None),
            Desired("5.5.28", True, HERE),
            "update",
            "PEC 5.4.37 is installed here, 5.5.28 is newer",
            "5.4.37",
            id="only the database knows the version",
        ),
        pytest.param(
            BROKEN, DESIRED, "repair", "the installation here is not complete: standalone.sh is missing", "5.4.37", id="not complete"
        ),
        pytest.param(
            Current("installed", (), None, HERE, None),
            DESIRED,
            "repair",
            "neither PEC's files nor its database have a version, so an earlier installation broke off",
            None,
            id="killed before anything was recorded",
        ),
        pytest.param(
            replace(INSTALLED, database_version="5.3.28"),
            replace(DESIRED, update=True),
            "migrate",
            "the database belongs to PEC 5.3.28, the application to 5.4.37",
            "5.4.37",
            id="an older backup was restored",
        ),
        pytest.param(
            replace(BROKEN, connection=None),
            replace(DESIRED, database=replace(HERE, port=5433)),
            "repair",
            "the installation here is not complete: standalone.sh is missing",
            "5.4.37",
            id="a broken one may get another database",
        ),
    ],
)
def test_plan(current: Current, desired: Desired, action: str, reason: str, from_version: str | None) -> None:
    planned = plan(current, desired)
    assert (planned.action, planned.reason, planned.from_version) == (action, reason, from_version)
    assert planned.needed == (action != "none")
    after = Current("installed", (), desired.version, desired.database or current.connection, desired.version)
    assert not plan(after, desired).needed, "a second run must not need the installer"


@pytest.mark.parametrize(
    ("current", "desired", "text"),
    [
        pytest.param(
            INSTALLED,
            Desired("5.5.28", False, HERE),
            "the installation belongs to PEC 5.4.37, and the installer to 5.5.28; an update changes the database and cannot be undone: "
            "make a backup, rehearse its restore, then set update: true (role: pec_install_update)",
            id="update that nobody allowed",
        ),
        pytest.param(
            BROKEN,
            Desired("5.5.28", False, HERE),
            "the installation belongs to PEC 5.4.37, and the installer to 5.5.28; an update changes the database and cannot be undone: "
            "make a backup, rehearse its restore, then set update: true (role: pec_install_update)",
            id="repair by update that nobody allowed",
        ),
        pytest.param(
            INSTALLED,
            Desired("5.3.28", True, HERE),
            "PEC 5.4.37 is newer than the installer, 5.3.28, and PEC cannot be downgraded: "
            "use an installer of 5.4.37 or newer, or restore a backup made with 5.3.28",
            id="downgrade",
        ),
        pytest.param(
            replace(INSTALLED, database_version="5.10.1"),
            Desired("5.9.9", True, HERE),
            "the database of PEC 5.10.1 is newer than the installer, 5.9.9, and PEC cannot be downgraded: "
            "use an installer of 5.10.1 or newer, or restore a backup made with 5.9.9",
            id="downgrade of the database, compared as versions",
        ),
        pytest.param(
            INSTALLED,
            replace(DESIRED, database=replace(HERE, host="db.example", database="pec")),
            "PEC uses the database 'esus' on 127.0.0.1:5432, but 'pec' on db.example:5432 is requested; the installer does not move data: "
            "request the database in use, or transfer it first",
            id="another database",
        ),
        pytest.param(
            replace(INSTALLED, version="5.3.28"),
            Desired("5.4.37", True, replace(HERE, port=5433)),
            "PEC uses the database 'esus' on 127.0.0.1:5432, but 'esus' on 127.0.0.1:5433 is requested; the installer does not move data: "
            "request the database in use, or transfer it first",
            id="an allowed update does not allow another database",
        ),
        pytest.param(
            replace(INSTALLED, custom_database=True),
            replace(DESIRED, database=None),
            "PEC uses the database 'esus' on 127.0.0.1:5432, but the installer's own PostgreSQL is requested; the installer does not move "
            "data: request the database in use, or transfer it first",
            id="bundled instead of the one in use",
        ),
        pytest.param(
            INSTALLED,
            replace(DESIRED, database=replace(HERE, sslmode="require")),
            "PEC connects to the database 'esus' on 127.0.0.1:5432 with sslmode prefer, but require or another sslrootcert is requested; "
            "set them in the URL in its application.properties (esus.pec.properties), and restart PEC",
            id="protection that PEC does not use",
        ),
        pytest.param(
            INSTALLED,
            replace(DESIRED, database=replace(HERE, password="another-secret")),
            "PEC connects to the database 'esus' on 127.0.0.1:5432 as 'esus', but another role or password is requested; "
            "request those in its application.properties, or change them there and in PostgreSQL first",
            id="another password",
        ),
        pytest.param(
            replace(ABSENT, database_version="5.3.28"),
            DESIRED,
            "the requested database belongs to PEC 5.3.28, and the installer to 5.4.37; an update changes the database and cannot be "
            "undone: make a backup, rehearse its restore, then set update: true (role: pec_install_update)",
            id="a new server on an older database",
        ),
        pytest.param(
            replace(INSTALLED, database_version="5.3.28"),
            DESIRED,
            "PEC's database belongs to PEC 5.3.28, and the installer to 5.4.37; an update changes the database and cannot be "
            "undone: make a backup, rehearse its restore, then set update: true (role: pec_install_update)",
            id="an older backup was restored",
        ),
    ],
)
def test_refusals(current: Current, desired: Desired, text: str) -> None:
    with pytest.raises(PecError) as caught:
        plan(current, desired)
    assert str(caught.value) == text


SERVED = CertmgrHttps("a.br", 443)
NEWER = Desired("5.5.28", True, HERE)


@pytest.mark.parametrize(
    ("current", "desired", "here", "wanted", "expected"),
    [
        pytest.param(INSTALLED, DESIRED, None, SERVED, ("certificate", False), id="the first certificate"),
        pytest.param(INSTALLED, DESIRED, SERVED, SERVED, ("none", False), id="a second run is still"),
        pytest.param(INSTALLED, DESIRED, SERVED, CertmgrHttps("A.br", 443), ("none", False), id="names have no case"),
        pytest.param(INSTALLED, DESIRED, SERVED, CertmgrHttps("b.br", 443), ("certificate", True), id="another domain"),
        pytest.param(INSTALLED, DESIRED, SERVED, CertmgrHttps("a.br", 8443), ("certificate", True), id="another port"),
        pytest.param(INSTALLED, DESIRED, CertmgrHttps(None, 443), SERVED, ("none", False), id="what is not known is no reason"),
        pytest.param(INSTALLED, DESIRED, CertmgrHttps("a.br", None), SERVED, ("none", False), id="a port that is not known"),
        pytest.param(INSTALLED, DESIRED, SERVED, None, ("none", False), id="not this run's business"),
        pytest.param(ABSENT, DESIRED, None, SERVED, ("install", False), id="with the installation"),
        pytest.param(INSTALLED, NEWER, SERVED, CertmgrHttps("b.br", 443), ("update", True), id="with an update"),
        pytest.param(INSTALLED, NEWER, SERVED, SERVED, ("update", False), id="an update keeps it"),
        pytest.param(BROKEN, DESIRED, SERVED, CertmgrHttps("b.br", 443), ("repair", True), id="with a repair"),
    ],
)
def test_certificate(
    current: Current, desired: Desired, here: CertmgrHttps | None, wanted: CertmgrHttps | None, expected: tuple[str, bool]
) -> None:
    planned = plan(replace(current, certificate=here), replace(desired, certificate=wanted))
    assert (planned.action, planned.replaces_certificate) == expected


def test_the_reason_names_both_domains() -> None:
    planned = plan(replace(INSTALLED, certificate=SERVED), replace(DESIRED, certificate=CertmgrHttps("b.br", 443)))
    assert planned.reason == "PEC 5.4.37 is installed here; it has HTTPS for a.br, port 443, but b.br, port 443, is requested"
    first = plan(INSTALLED, replace(DESIRED, certificate=SERVED))
    assert first.reason == "PEC 5.4.37 is installed here; it has no HTTPS by certmgr, but a.br, port 443, is requested"


def test_no_secret_in_reprs() -> None:
    assert "secret" not in repr((INSTALLED, DESIRED))


def test_an_update_keeps_the_protection_of_the_database_in_use() -> None:
    protected = replace(HERE, sslmode="verify-full", sslrootcert="/etc/ssl/db.crt")
    current = replace(INSTALLED, connection=protected)
    assert plan(current, DESIRED).action == "none"
    assert keep_protection(current, DESIRED).database == protected
    asked = replace(DESIRED, database=replace(HERE, sslmode="require"))
    assert keep_protection(current, asked).database == replace(protected, sslmode="require")
    assert keep_protection(ABSENT, asked) == asked
    assert keep_protection(current, replace(DESIRED, database=None)).database is None
    with pytest.raises(PecError, match="has sslcert, which the installer would drop"):
        keep_protection(replace(INSTALLED, connection=replace(HERE, unsupported=("sslcert",))), DESIRED)
