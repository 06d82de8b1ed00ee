# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.installer.output import describe_end, find_cause, last_lines
from ansible_collections.esus.pec.plugins.module_utils.redact import Redactor

GOLDEN = Path(__file__).parent / "output"
SECRET = "Senha-do-banco-1"


def golden(name: str) -> str:
    return (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "code", "quoted"),
    [
        pytest.param(
            "migration",
            "changeset",
            'db/5.4/5.4.37.yaml::50437-2::esus: liquibase.exception.DatabaseException: ERROR: relation "tb_x" already exists',
            id="a change set failed",
        ),
        pytest.param(
            "checksum",
            "checksum",
            "db/base/nucleo.yaml::nucleo-1::esus was: 8:00 but is now: 8:3f1a",
            id="a checksum differs",
        ),
        pytest.param(
            "heap",
            "heap",
            '(Exception in thread "main" java.lang.OutOfMemoryError: Java heap space)',
            id="the cause stands before the closing words",
        ),
        pytest.param(
            "scram",
            "scram",
            "(O tipo de autenticação 10 não é suportado. Verifique se você configurou o arquivo pg_hba.conf.)",
            id="SCRAM in Portuguese",
        ),
        pytest.param(
            "scram_english",
            "scram",
            "(org.postgresql.util.PSQLException: "
            "The authentication type 10 is not supported. Check that you have configured the pg_hba.conf file)",
            id="SCRAM in English",
        ),
        pytest.param(
            "semaphores",
            "semaphores",
            "(FATAL:  semctl(4, 3, SETVAL, 0) failed: Invalid argument)",
            id="RemoveIPC",
        ),
        pytest.param(
            "not_root",
            "not_root",
            "(Esta ferramenta necessita executar com privilégios de administrador.)",
            id="not root",
        ),
        pytest.param(
            "directory",
            "directory",
            '(java.io.IOException: Cannot run program "/bin/sh" (in directory ""): error=2, No such file or directory)',
            id="run from /, which surfaces as not root",
        ),
        pytest.param(
            "not_systemd",
            "not_systemd",
            "(Essa ferramenta suporta apenas distribuições com systemd.)",
            id="process 1 is not systemd (approximate text)",
        ),
        pytest.param(
            "os_family",
            "os_family",
            "(Esta ferramenta suporta apenas sistemas operacionais das famílias Windows e Linux.)",
            id="another system",
        ),
        pytest.param(
            "unreachable",
            "database_unreachable",
            "(NÃO FOI POSSÍVEL CONECTAR AO BANCO DE DADOS)",
            id="unreachable (approximate text, any case)",
        ),
        pytest.param(
            "version",
            "database_version",
            "(Não foi possível obter a versão do banco de dados. Não é possível prosseguir.)",
            id="a foreign database (approximate text)",
        ),
        pytest.param("disk", "disk_full", "(java.io.IOException: No space left on device)", id="disk full"),
        pytest.param(
            "locked",
            "migration_locked",
            "(Could not acquire change log lock. Currently locked by pec (10.0.0.5) since 22/11/26 19:00)",
            id="a killed migration's lock",
        ),
        pytest.param(
            "java",
            "java_too_old",
            "(java.lang.UnsupportedClassVersionError: br/gov/saude/esus/installers/installer/Main "
            "has been compiled by a more recent version of the Java Runtime)",
            id="Java too old",
        ),
    ],
)
def test_causes(name: str, code: str, quoted: str) -> None:
    cause = find_cause(golden(name))
    assert cause is not None
    assert cause.code == code
    assert quoted in cause.message
    assert cause.remedy, "a cause comes with what to do"


def test_closing_words_alone() -> None:
    cause = find_cause("ERROR 22/11/26 20:06:09 Main: Falha ao migrar o Banco de Dados.\n")
    assert cause is not None and cause.code == "migration"
    assert str(cause) == "the migration of the database failed (Falha ao migrar o Banco de Dados.); see the lines above it in the log"


@pytest.mark.parametrize("text", [golden("success"), "", "something else\n"], ids=["success", "silence", "unknown"])
def test_no_cause(text: str) -> None:
    assert find_cause(text) is None


@pytest.mark.parametrize(
    "name",
    [
        "not-root", "no-directory", "os-family", "migration-failed", "out-of-memory", "changeset-failed", "checksum", "scram",
        "scram-english", "semaphores",
    ],
)  # fmt: skip
def test_every_real_text_of_the_installer_is_understood(name: str) -> None:
    text = next(belief.value for belief in beliefs.BELIEFS if belief.id == f"text-{name}")
    whole = {"changeset-failed": f"ChangeSet a.yaml::1::b {text}. why", "checksum": f"a::1::b was: 8:1 {text} 8:2"}
    assert find_cause(whole.get(name, text)) is not None


def test_golden_outputs_lose_their_secrets() -> None:
    for path in GOLDEN.iterdir():
        assert SECRET not in Redactor()(path.read_text(encoding="utf-8"))


def test_last_lines_leave_stack_frames_out() -> None:
    assert last_lines(golden("migration").splitlines(), 2) == [
        'liquibase.exception.DatabaseException: ERROR: relation "tb_x" already exists',
        "ERROR 22/11/26 20:06:09 Main: Falha ao migrar o Banco de Dados.",
    ]


@pytest.mark.parametrize(
    ("returncode", "said"),
    [
        (0, "ended with exit code 0"),
        (1, "ended with exit code 1"),
        (255, "ended with exit code 255"),
        (-15, "was killed by signal 15"),
        (-9, "was killed by signal 9; journalctl -k shows whether the host ran out of memory"),
        (
            137,
            "ended with exit code 137, which means that signal 9 killed it; journalctl -k shows whether the host ran out of memory",
        ),
    ],
)
def test_ends(returncode: int, said: str) -> None:
    assert describe_end(returncode) == said


def test_end_of_time() -> None:
    said = "did not end within 5 seconds and was stopped; give it more time with timeout (role: pec_install_timeout)"
    assert describe_end(-9, timed_out=True, timeout=5) == said
