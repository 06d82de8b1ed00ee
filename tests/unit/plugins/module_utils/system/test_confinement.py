# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import pwd
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import confinement, process
from ansible_collections.esus.pec.plugins.module_utils.system.pipeline import Pipeline, Stage

pytestmark = [pytest.mark.confined, pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")]

FACTS = "id -u; id -G; grep -E '^(CapPrm|CapEff|CapInh|NoNewPrivs):' /proc/self/status; env | cut -d= -f1 | sort; ulimit -d; pwd"


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that every account may enter and write into, as pytest's own is not."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        os.chmod(name, 0o777)
        yield Path(name)


def test_a_program_has_no_rights() -> None:
    with Pipeline([Stage(["sh", "-c", FACTS], {"PGPASSWORD": "x"})], collect=True) as running:
        said = running.output.read().decode().splitlines()
    number = str(confinement.uid())
    assert said[:2] == [number, number]
    assert [line.split()[1] for line in said[2:6]] == ["0" * 16] * 3 + ["1"]
    assert said[6:-2] == ["HOME", "LC_ALL", "PATH", "PGPASSWORD", "PWD"]
    assert said[-2:] == [str(1 << 20), "/"]


def test_it_reads_no_file_of_roots(place: Path) -> None:
    """Neither by name nor as its own descriptor's name; a descriptor that it inherits it does."""
    secret = place / "secret"
    secret.write_text("secret\n")
    secret.chmod(0o600)
    assert subprocess.run(["cat", secret], capture_output=True, check=True).stdout == b"secret\n"
    with open(secret, "rb") as file:
        for argv in (["cat", str(secret)], ["cat", f"/dev/fd/{file.fileno()}"], ["cat", "/etc/shadow"]):
            with pytest.raises(PecError, match="Permission denied"), Pipeline([Stage(argv, pass_fds=[file.fileno()])]):
                pass
            assert process.run(argv, confined=True).returncode != 0
        with Pipeline([Stage(["cat"])], stdin=file.fileno(), collect=True) as running:
            assert running.output.read() == b"secret\n"


def test_what_only_reads_writes_nothing(place: Path) -> None:
    write = ["sh", "-c", f"echo x > {place}/x"]
    with Pipeline([Stage(write)]):
        pass
    assert (place / "x").read_bytes() == b"x\n"
    with pytest.raises(PecError), Pipeline([Stage(write, limits={"fsize": 0})]):
        pass
    assert (place / "x").read_bytes() == b""


def test_what_is_lent_it_opens_by_name() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"lent")
    os.close(writer)
    stage = Stage(["cat", f"/dev/fd/{reader}"], pass_fds=[reader])
    with pytest.raises(PecError, match="Permission denied"), Pipeline([stage]):
        pass
    confinement.lend(reader)
    with Pipeline([stage], collect=True) as running:
        assert running.output.read() == b"lent"
    os.close(reader)


def test_a_program_that_reads_does_not_see_into_one_that_holds_a_secret() -> None:
    with Pipeline([Stage(["sleep", "60"], {"PGPASSWORD": "segredo"}, secret=True)]) as holder:
        pid = holder._children[0].pid
        look = ["sh", "-c", f"until [ -r /proc/{pid}/stat ] && grep -q sleep /proc/{pid}/comm; do :; done; cat /proc/{pid}/environ"]
        with pytest.raises(PecError, match="Permission denied"), Pipeline([Stage(look)]):
            pass
        with Pipeline([Stage(look, secret=True)], collect=True) as same:
            assert b"PGPASSWORD=segredo" in same.output.read()
        holder.kill()
        holder._waited = True


def test_its_number_is_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    number = confinement.uid()
    with pytest.raises(KeyError):
        pwd.getpwuid(number)
    confinement._free.cache_clear()
    sleeper = subprocess.Popen(["setpriv", "--reuid", str(number), "--clear-groups", "--regid", str(number), "sleep", "60"])
    try:
        while os.stat(f"/proc/{sleeper.pid}").st_uid != number:
            pass
        assert confinement.uid() != number
    finally:
        sleeper.kill()
        sleeper.wait()
        confinement._free.cache_clear()


def test_another_account_that_runs_us_keeps_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert not confinement.active()
    assert confinement.owner() == 1000
