# SPDX-License-Identifier: GPL-3.0-or-later
"""The export kit's script for Windows: wine's CMD and the Windows pg_dump 15, against a PostgreSQL 10 on this machine.

wine is not Windows, and there is no PowerShell. Its certutil prints nothing, and it has no tar.exe: bsdtar of this machine, which is the
same program, stands in for it behind a launcher from pip.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import socket
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pip._vendor import distlib

from ansible_collections.esus.pec.plugins.module_utils.archive import reading
from ansible_collections.esus.pec.plugins.module_utils.archive.opening import open_dump
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.export_kit import kit
from ansible_collections.esus.pec.plugins.module_utils.export_kit.kit import Kit

ROOT = Path(__file__).resolve().parents[2]
LAB = ROOT / "tests" / "lab"
BUILD = Path(os.environ.get("LAB_BUILD_DIR", ROOT / ".build"))
# What CMD takes for its own, at both ends too.
PASSWORD = """;a!b&c|d^e%f"g h'(i)=<j>%PATH%"""
CREDENTIALS = """\
Url de conexão: jdbc:postgresql://localhost:{port}/esus?sslmode=disable

Usuário com acesso completo ao banco
usuário: postgres
senha: {password}

Usuário com acesso de leitura
usuário: esus_leitura
senha: outra
"""
KEY = "certificado São & João (1)!.pfx"
SUM = "ab" * 32
CERTUTIL = 'certutil -hashfile "%~1" SHA256'
WAITING = """@echo off
shift
if exist C:\\lab\\done del C:\\lab\\done
C:\\lab\\unix.exe %1 %2 %3 %4 %5 %6 %7 %8 %9
:wait
if not exist C:\\lab\\done goto :wait
for /f %%c in (C:\\lab\\done) do exit /b %%c
"""
UNIX = """#!/bin/sh
# wine does not wait for a program of Unix.
n=$#
while [ $n -gt 0 ]; do a=$1; shift; set -- "$@" "$(printf %s "$a" | tr '\\\\' /)"; n=$((n - 1)); done
bsdtar "$@"; echo $? >{lab}/ended; mv {lab}/ended {lab}/done
"""


@dataclass(frozen=True)
class Windows:
    """A prefix of wine with a PEC and its database."""

    prefix: Path
    port: int

    @property
    def pec(self) -> Path:
        return self.prefix / "drive_c/Program Files/e-SUS"

    @property
    def tar(self) -> Path:
        return self.prefix / "drive_c/windows/system32/tar.exe"

    def credentials(self, encoding: str = "utf-8", end: str = "\r\n", **values: object) -> None:
        text = CREDENTIALS.format(**{"port": self.port, "password": PASSWORD, **values}).replace("\n", end)
        (self.pec / "webserver/config/credenciais.txt").write_bytes(text.encode(encoding))

    def run(self, directory: Path, *arguments: str, change: Callable[[str], str] = str) -> tuple[int, str]:
        with zipfile.ZipFile(io.BytesIO(kit.build(Kit("Água & Clara", "https://nuvem.example.org/?a=1&b=%20", "TI")))) as packed:
            packed.extractall(directory)
        script = directory / "exportar-pec.cmd"
        script.write_bytes(change(script.read_bytes().decode()).encode())
        ended = subprocess.run(
            ["wine", "cmd", "/c", script.name, *arguments],
            cwd=directory,
            env=environment(self.prefix),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
            check=False,
        )
        return ended.returncode, ended.stdout.decode("utf-8", "replace")


def environment(prefix: Path) -> dict[str, str]:
    return {**os.environ, "WINEPREFIX": str(prefix), "WINEDEBUG": "-all", "WINEDLLOVERRIDES": "mscoree=;mshtml=", "LC_ALL": "C.UTF-8"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a PostgreSQL of an account without rights, as it does not run as root."""
    tree = subprocess.run([LAB / "postgresql", "10"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    # Neither the build directory nor pytest's can be entered by that account.
    with contextlib.ExitStack() as stack:
        place = Path(
            subprocess.run(["mktemp", "-d", "/tmp/esus-pec-windows.XXXXXX"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        )
        stack.callback(subprocess.run, ["rm", "-rf", str(place)], check=True)
        subprocess.run(["cp", "-r", tree, place / "tree"], check=True)
        (place / "password").write_text(PASSWORD, encoding="utf-8")
        subprocess.run(["chown", "-R", "nobody", place], check=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = int(free.getsockname()[1])
        account, data = ["runuser", "-u", "nobody", "--"], place / "data"
        init = ["--username=postgres", f"--pwfile={place}/password", "--auth=md5", "--encoding=UTF8", "--locale=C.UTF-8"]
        subprocess.run([*account, place / "tree/bin/initdb", "-D", data, *init], stdout=subprocess.DEVNULL, check=True)
        control = [*account, place / "tree/bin/pg_ctl", "-D", data, "-w"]
        subprocess.run([*control, "-o", f"-p {port} -k {place}", "-l", place / "log", "start"], stdout=subprocess.DEVNULL, check=True)
        stack.callback(subprocess.run, [*control, "-m", "immediate", "stop"], stdout=subprocess.DEVNULL, check=True)
        for database, sql in (
            ("postgres", "create database esus"),
            ("esus", "create table tb_config_sistema as select n, repeat('é', 100) as t from generate_series(1, 1000) n"),
        ):
            login = {**os.environ, "PGPASSWORD": PASSWORD}
            subprocess.run(
                ["psql", "-Xq", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "-d", database, "-c", sql], env=login, check=True
            )
        yield port


@pytest.fixture(scope="module")
def windows(server: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Windows]:
    made = Windows(tmp_path_factory.mktemp("wine") / "prefix", server)
    try:
        subprocess.run(["wine", "cmd", "/c", "exit"], env=environment(made.prefix), stderr=subprocess.DEVNULL, timeout=120, check=True)
        tree = subprocess.run([LAB / "postgresql", "windows"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        for directory in ("config", "certmgr/config", "chaves", "logs"):
            (made.pec / "webserver" / directory).mkdir(parents=True)
        (made.pec / "database/postgresql-9.6.13-4-windows-x64").mkdir(parents=True)
        (made.pec / "database/postgresql-9.6.13-4-windows-x64/bin").symlink_to(f"{tree}/bin")
        for name in (
            "config/application.properties",
            "config/esusaps.p12",
            f"chaves/{KEY}",
            "certmgr/config/ssl.properties",
            "logs/pec.log",
        ):
            (made.pec / "webserver" / name).write_text(name, encoding="utf-8")
        lab = made.prefix / "drive_c/lab"
        lab.mkdir()
        (lab / "tar.cmd").write_text(WAITING, encoding="utf-8", newline="\r\n")
        (lab / "unix.exe").write_text(UNIX.format(lab=lab), encoding="utf-8")
        (lab / "unix.exe").chmod(0o755)
        yield made
    finally:
        subprocess.run(["wineserver", "-k"], env=environment(made.prefix), check=False)


@pytest.fixture
def tar(windows: Windows) -> Iterator[None]:
    launcher, packed = (Path(distlib.__file__).parent / "t64.exe").read_bytes(), io.BytesIO()
    zipfile.ZipFile(packed, "w").writestr("__main__.py", "")
    windows.tar.write_bytes(launcher + b"#!C:\\windows\\system32\\cmd.exe /c C:\\lab\\tar.cmd\r\n" + packed.getvalue())
    yield
    windows.tar.unlink()


def exported(directory: Path) -> list[str]:
    """What the script left beside the kit, with the time replaced."""
    names = (str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())
    return sorted(re.sub(r"\d{14}", "TIME", name) for name in names if name not in ("LEIA-ME.txt", "exportar-pec.cmd", "exportar-pec.sh"))


def test_one_zip_that_the_restore_reads(windows: Windows, tmp_path: Path, tar: None) -> None:
    windows.credentials()
    directory = tmp_path / "pasta & kit (1)!"
    directory.mkdir()
    code, output = windows.run(directory)
    assert (code, exported(directory)) == (0, ["agua-clara-esus-TIME.zip"]), output
    assert "Para onde enviar: https://nuvem.example.org/?a=1&b=%20" in output
    archive = next(iter(directory.glob("*.zip")))
    with zipfile.ZipFile(archive) as packed:
        names = [re.sub(r"\d{14}", "TIME", name) for name in packed.namelist() if not name.endswith("/")]
        kept = {"application.properties", "esusaps.p12", f"chaves/{KEY}", "certmgr/ssl.properties"}
        assert (names[0], set(names[1:])) == ("agua-clara-esus-TIME.dump", {f"configuracao-pec/{name}" for name in kept})
        assert packed.read(f"configuracao-pec/chaves/{KEY}").decode() == f"chaves/{KEY}"
    with open_dump(str(archive)) as dump:
        found = reading.inspect(dump, reading.Identity())
        with reading.PlainStream(dump, found.layers, reading.Identity()) as plain:
            content = b"".join(iter(lambda: plain.read(1 << 20), b""))
    assert (found.kind, found.layers, found.summed) == ("custom", ("zip",), False)
    (tmp_path / "x.dump").write_bytes(content)
    restored = ["pg_restore", "--data-only", "-f", "-", tmp_path / "x.dump"]
    assert subprocess.run(restored, stdout=subprocess.PIPE, text=True, check=True).stdout.count("é" * 100) == 1000


def test_the_sum_of_the_dump_is_listed_where_certutil_works(windows: Windows, tmp_path: Path, tar: None) -> None:
    """In the words of certutil, with the blanks of older ones; a wrong sum, so that the restore must refuse the dump."""
    windows.credentials("latin-1", "\n")
    (tmp_path / "certutil.txt").write_text(f"SHA256 hash of x:\n{' '.join(re.findall('..', SUM))}\nCertUtil: ok\n", newline="\r\n")
    code, output = windows.run(tmp_path, change=lambda text: text.replace(CERTUTIL, "type certutil.txt"))
    (tmp_path / "certutil.txt").unlink()
    assert (code, exported(tmp_path)) == (0, ["agua-clara-esus-TIME.zip", "agua-clara-esus-TIME.zip.sha256.txt"]), output
    archive = next(iter(tmp_path.glob("*.zip")))
    with zipfile.ZipFile(archive) as packed:
        assert packed.namelist()[0] == "SHA256SUMS.txt"
        assert packed.read("SHA256SUMS.txt").decode() == f"{SUM}  {archive.stem}.dump\r\n"
    with open_dump(str(archive)) as dump, reading.PlainStream(dump, ("zip",), reading.Identity()) as plain, pytest.raises(
        PecError, match="SHA-256"
    ):
        list(iter(lambda: plain.read(1 << 20), b""))


def test_without_tar_a_folder(windows: Windows, tmp_path: Path) -> None:
    windows.credentials()
    code, output = windows.run(tmp_path, "C:\\Program Files\\e-SUS")
    names = [name.partition("/")[2] for name in exported(tmp_path)]
    assert (code, names[0], len(names)) == (0, "agua-clara-esus-TIME.dump", 5), output
    assert "Pasta compactada" in output


@pytest.mark.parametrize(
    ("values", "arguments", "change", "said"),
    [
        pytest.param({"password": "errada"}, [], None, "recusou a senha", id="password"),
        pytest.param({"port": 1}, [], None, "recusou a senha", id="server"),
        pytest.param({}, [], ("jdbc:postgresql:", "jdbc:oracle:thin"), "formato conhecido", id="credentials"),
        pytest.param({}, ["C:\\nowhere"], None, "nao tem o e-SUS PEC", id="home"),
        pytest.param({}, [], ("pg_dump.exe", "pg_missing.exe"), "nao foi encontrado na pasta do PEC", id="no pg_dump"),
        pytest.param({}, [], ("-Fc -w", "-Fc -w --schema=nada"), "A copia do banco falhou", id="pg_dump fails"),
        pytest.param({}, [], ("/ 2", "* 999999"), "Falta espaco", id="room"),
        pytest.param({}, [], ("LEIA-ME", "NAO-HA"), "extraia o kit", id="not extracted"),
    ],
)
def test_a_failure_leaves_nothing(
    windows: Windows, tmp_path: Path, values: dict[str, object], arguments: list[str], change: tuple[str, str] | None, said: str
) -> None:
    windows.credentials(**values)
    code, output = windows.run(tmp_path, *arguments, change=lambda text: text.replace(*change) if change else text)
    assert (code, exported(tmp_path)) == (1, []), output
    assert said in output and "A EXPORTACAO NAO FOI FEITA. Duvidas: TI" in output
    assert PASSWORD not in output
