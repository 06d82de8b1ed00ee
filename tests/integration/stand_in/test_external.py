# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in on a database of the distribution, and its failures on command.

The server goes from a role with SCRAM through failed installations to an update. A fixture brings it where a test begins unless it is
there already, so that each test runs alone, and all of them quickly in their order.
"""

from __future__ import annotations

import json

import pytest
from pec_host import NOTICE, SAMPLE_CITIZENS, PecHost

VERSION = "select ds_texto from tb_config_sistema where co_config_sistema = 'VERSAOBANCODADOS'"


def as_postgres(host: PecHost, statement: str, database: str = "esus") -> str:
    return host.run("runuser", "-u", "postgres", "--", "psql", "-XAtqc", statement, database).stdout.strip()


def exists(host: PecHost, path: str) -> bool:
    return host.run("test", "-e", path, check=False).returncode == 0


def config(host: PecHost) -> dict[str, object]:
    return json.loads(host.sh("cat /etc/pec.config"))


@pytest.fixture
def md5(external: PecHost) -> PecHost:
    """PEC's role has a password that PEC's driver can use."""
    if as_postgres(external, "show password_encryption") != "md5":
        as_postgres(external, "alter system set password_encryption = md5")
        external.sh("sed -i 's/scram-sha-256/md5/' /etc/postgresql/*/main/pg_hba.conf; systemctl reload postgresql")
        as_postgres(external, "alter role esus password 's3nha-do-banco'")
    return external


@pytest.fixture
def installed(md5: PecHost) -> PecHost:
    """PEC 5.4.37 or newer is installed, at first without its unit."""
    if not exists(md5, "/opt/e-SUS/webserver/standalone.sh"):
        md5.command(installer__unit="omit")
        assert md5.install("5.4.37").returncode == 0
    md5.command()
    return md5


@pytest.fixture
def updated(installed: PecHost) -> PecHost:
    """It is 5.5.28, and answers."""
    if as_postgres(installed, VERSION) != "5.5.28":
        assert installed.install("5.5.28").returncode == 0
        installed.wait()
    return installed


def test_ends_well_without_effect(external: PecHost) -> None:
    """Contract 1, Exit codes: zero is not proof."""
    external.command(installer__outcome="nothing")
    assert external.install("5.4.37").returncode == 0
    assert not exists(external, "/etc/pec.config") and not exists(external, "/opt/e-SUS/webserver")


def test_refuses_scram(external: PecHost) -> None:
    """Contract 6.2: the driver's own text, in the language of the environment."""
    external.command()
    english = external.install("5.4.37")
    assert english.returncode != 0 and "The authentication type 10 is not supported." in english.stdout
    portuguese = external.install("5.4.37", environment=("LC_ALL=pt_BR.UTF-8",))
    assert portuguese.returncode != 0 and "O tipo de autenticação 10 não é suportado" in portuguese.stdout
    assert "Um Banco de Dados foi configurado manualmente" in english.stdout
    assert not exists(external, "/etc/pec.config")


def test_checksum_failure(external: PecHost) -> None:
    """Contract 1, Migration subprocess: `was: X but is now: Y`. That it gets there with SCRAM is the command's doing."""
    external.command(driver__scram="accept", installer__migration="checksum")
    run = external.install("5.4.37")
    assert run.returncode != 0 and "Falha ao migrar o Banco de Dados." in run.stdout
    assert " was: " in run.stdout and " but is now: " in run.stdout
    assert config(external)["success"] is False


def test_out_of_memory(md5: PecHost) -> None:
    """Contract 1, Migration subprocess: the heap is too small, and JAVA_TOOL_OPTIONS=-Xmx2g repairs it."""
    md5.command(installer__migration="out_of_memory")
    run = md5.install("5.4.37")
    assert run.returncode != 0 and "java.lang.OutOfMemoryError: Java heap space" in run.stdout
    md5.command(installer__migration="out_of_memory", installer__outcome="killed")
    run = md5.install("5.4.37", environment=("LC_ALL=C.UTF-8", "JAVA_TOOL_OPTIONS=-Xmx2g"))
    assert "OutOfMemoryError" not in run.stdout


def test_killed_half_way(md5: PecHost) -> None:
    """Some changesets are in the database, and no programs are in place."""
    md5.command(installer__outcome="killed")
    assert md5.install("5.4.37").returncode == 137
    assert 0 < int(as_postgres(md5, "select count(*) from tb_migracao")) < 39
    assert as_postgres(md5, VERSION) == ""
    assert config(md5)["success"] is False and not exists(md5, "/opt/e-SUS/webserver/standalone.sh")


def test_migration_failure(md5: PecHost) -> None:
    """Contract 1, Migration subprocess: ChangeSet db/...yaml::id::author encountered an exception."""
    md5.command(installer__migration="fail")
    run = md5.install("5.4.37")
    assert run.returncode != 0 and "Falha ao migrar o Banco de Dados." in run.stdout
    assert "ChangeSet db/5.4/5.4.37.yaml::50437-2::esus encountered an exception" in run.stdout


def test_converges_without_a_unit(md5: PecHost) -> None:
    """Contract 2, Units, and 6.19: with an external database the unit may be absent; its template is in webserver."""
    md5.command(installer__unit="omit")
    run = md5.install("5.4.37")
    assert run.returncode == 0, run.stdout
    assert as_postgres(md5, VERSION) == "5.4.37"
    assert not exists(md5, "/lib/systemd/system/e-SUS-PEC.service")
    assert exists(md5, "/opt/e-SUS/webserver/e-SUS-PEC.service")


def test_same_jar_again(installed: PecHost) -> None:
    """Contract 1, Already installed, and Output: `já está atualizado`; passwords are in the output; it now brings the unit."""
    run = installed.install("5.4.37")
    assert run.returncode == 0 and "já está atualizado" in run.stdout
    assert "-password=s3nha-do-banco" in run.stdout and "INFO  " in run.stdout
    assert installed.wait().status == 200
    assert installed.unit("e-SUS-PEC.service", "ActiveState") == "active"
    assert installed.unit("e-SUS-AB-PostgreSQL.service", "LoadState") == "not-found"
    assert NOTICE in installed.sh("journalctl -u e-SUS-PEC -o cat")


def test_pec_config(installed: PecHost) -> None:
    """Contract 2, /etc/pec.config with an external database: all keys, in their order, the password in clear text."""
    keys = "success directory version production customDatabase databaseUrl databaseUsername databasePassword"
    assert " ".join(config(installed)) == f"{keys} jreVersion jreDirectory webserverVersion webserverDirectory"
    assert '"databasePassword" : "s3nha-do-banco"' in installed.sh("cat /etc/pec.config")
    assert not exists(installed, "/opt/e-SUS/webserver/config/credenciais.txt")


def test_update_keeps_the_database_of_the_last_time(installed: PecHost) -> None:
    """Contract 1, Already installed: a newer jar updates; here without -url, from what pec.config says [I]."""
    run = installed.java("5.5.28", "-console", "-continue")
    assert run.returncode == 0, run.stdout
    assert as_postgres(installed, VERSION) == "5.5.28"
    assert installed.wait().status == 200 and installed.get("/api/public/info").json["versao"] == "5.5.28"
    assert as_postgres(installed, "select count(*) from pg_tables where tablename like 'tb_novidade_50528_%'") == "3"
    assert installed.load_sample_data() == SAMPLE_CITIZENS


def test_downgrade_is_refused(updated: PecHost) -> None:
    """Contract 6.18, and 1, Output: `não é possível prosseguir`; what runs goes on running."""
    run = updated.install("5.3.28")
    assert run.returncode != 0 and "Não é possível prosseguir" in run.stdout
    assert as_postgres(updated, VERSION) == "5.5.28" and updated.get("/").status == 200


def test_databases_that_cannot_be_used(updated: PecHost) -> None:
    """Contract 1, Output: `não foi possível conectar`, `não foi possível obter a versão`, for no server and another's tables."""
    database = updated.database
    updated.database = ["-url=jdbc:postgresql://127.0.0.1:5999/esus", *database[1:]]
    assert "Não foi possível conectar ao banco de dados" in updated.install("5.5.28").stdout
    as_postgres(updated, "create table de_outro_programa (a int)", "outro")
    updated.database = ["-url=jdbc:postgresql://127.0.0.1:5432/outro", *database[1:]]
    run = updated.install("5.5.28")
    assert run.returncode != 0 and "Não foi possível obter a versão do banco de dados" in run.stdout
    assert as_postgres(updated, "select count(*) from pg_tables where schemaname = 'public'", "outro") == "1"
    updated.database = database
    assert updated.install("5.5.28").returncode == 0


def test_server_on_command(updated: PecHost) -> None:
    """Contract 1, Already installed: the first 200 comes late. Then a server that never answers, and one that answers 500."""
    updated.command(server__start_seconds="2")
    updated.restart()
    assert updated.sh("curl -s localhost:8080 || true") == ""
    assert updated.wait().status == 200
    updated.command(server__status="500")
    assert updated.get("/").status == 500
    updated.command(server__start="never")
    updated.restart()
    updated.sh("until grep -q 'server.start = never' /opt/e-SUS/webserver/logs/pec.log; do sleep 0.1; done")
    assert updated.unit("e-SUS-PEC.service", "ActiveState") == "active" and ":8080" not in updated.sh("ss -Hltn")
