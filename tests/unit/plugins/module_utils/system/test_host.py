# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import confinement, host, process, systemd

GIB = 1 << 30


def write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        pytest.param({}, 8 * GIB, id="no control group"),
        pytest.param({"memory.max": "max"}, 8 * GIB, id="version 2 without a limit"),
        pytest.param({"memory.max": str(4 * GIB)}, 4 * GIB, id="version 2 with a limit"),
        pytest.param({"memory/memory.limit_in_bytes": "9223372036854771712"}, 8 * GIB, id="version 1 without a limit"),
        pytest.param({"memory/memory.limit_in_bytes": str(2 * GIB)}, 2 * GIB, id="version 1 with a limit"),
    ],
)
def test_memory_is_what_the_system_may_use(tmp_path: Path, limit: dict[str, str], expected: int) -> None:
    write(tmp_path / "proc/meminfo", f"MemTotal:        {8 * GIB // 1024} kB\nMemFree: 1 kB\n")
    for name, text in limit.items():
        write(tmp_path / "sys/fs/cgroup" / name, text + "\n")
    assert host.memory_bytes(str(tmp_path)) == expected


def test_memory_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    assert host.memory_bytes(str(tmp_path)) is None


def test_the_disk_of_a_directory_that_is_not_there_yet(tmp_path: Path) -> None:
    there, not_yet = host.disk_usage(str(tmp_path)), host.disk_usage(str(tmp_path / "opt/e-SUS"))
    assert not_yet.path == str(tmp_path / "opt/e-SUS")
    assert not_yet.total_bytes == there.total_bytes > not_yet.free_bytes > 0


def test_listeners(tmp_path: Path) -> None:
    head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    rest = "00000000:00000000 00:00000000 00000000     0        0"
    write(
        tmp_path / "proc/net/tcp",
        f"{head}   0: 0100007F:1539 00000000:0000 0A {rest} 111 1\n"
        f"   1: 0100007F:1539 0100007F:AAAA 01 {rest} 112 1\n"
        f"   2: 00000000:1F90 00000000:0000 0A {rest} 222 1\n",
    )
    write(
        tmp_path / "proc/net/tcp6",
        f"{head}   0: 00000000000000000000000001000000:1539 {'0' * 32}:0000 0A {rest} 333 1\n"
        f"   1: 0000000000000000FFFF00000100007F:1F90 {'0' * 32}:0000 0A {rest} 444 1\n",
    )
    (tmp_path / "proc/77/fd").mkdir(parents=True)
    (tmp_path / "proc/77/fd/3").symlink_to("socket:[444]")
    (tmp_path / "proc/77/fd/4").symlink_to("/dev/null")
    write(tmp_path / "proc/77/comm", "java\n")
    assert host.listeners(str(tmp_path)) == {
        5433: host.Listener("", ("127.0.0.1", "::1")),
        8080: host.Listener("java", ("0.0.0.0", "127.0.0.1")),
    }


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        pytest.param("000001fffff7ffff", host.Listener("postgres", ("127.0.0.1",), ("postgres",), "65533"), id="without CAP_SYS_PTRACE"),
        pytest.param("000001ffffffffff", host.Listener("", ("127.0.0.1",)), id="gone meanwhile"),
    ],
)
def test_a_listener_that_root_may_not_see_is_known_by_its_account(tmp_path: Path, capabilities: str, expected: host.Listener) -> None:
    write(tmp_path / "proc/net/tcp", "head\n 0: 0100007F:1538 00000000:0000 0A 0:0 0:0 0 65533 0 111 1\n")
    write(tmp_path / "proc/self/status", f"Name:\tpython\nCapEff:\t{capabilities}\n")
    for pid, uid, name in ((10, 65533, "postgres"), (11, 65533, "postgres"), (12, 0, "java")):
        write(tmp_path / f"proc/{pid}/status", f"Name:\t{name}\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n")
        write(tmp_path / f"proc/{pid}/comm", f"{name}\n")
    assert host.listeners(str(tmp_path)) == {5432: expected}
    write(tmp_path / "proc/11/comm", "bash\n")
    several = host.listeners(str(tmp_path))[5432]
    assert (several.process, several.possible) == ("", ("bash", "postgres") if expected.possible else ())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up a capability")
def test_root_without_the_right_to_look_into_other_processes_names_a_listener() -> None:
    listen = "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); time.sleep(600)"
    tests = str(Path(host.__file__).parents[3] / "tests")
    look = "import conftest; from ansible_collections.esus.pec.plugins.module_utils.system import host as h; "
    uid = str(100000 + os.getpid())  # nobody else's
    account = ["setpriv", "--reuid", uid, "--clear-groups", "--"]
    blind = ["setpriv", "--bounding-set", "-sys_ptrace", "--inh-caps", "-sys_ptrace", "--"]
    with subprocess.Popen([*account, sys.executable, "-c", listen], stdout=subprocess.PIPE, text=True, cwd="/") as program:
        try:
            assert program.stdout is not None
            look += f"print(h.sees_sockets(), h.listeners()[{int(program.stdout.readline())}])"
            path = {**os.environ, "PYTHONPATH": os.pathsep.join([tests, *sys.path])}
            seen = subprocess.run([*blind, sys.executable, "-c", look], env=path, capture_output=True, text=True, check=True).stdout
        finally:
            program.kill()
    assert seen.startswith("False Listener(process='python") and f"account='{uid}'" in seen


def test_addresses_of_ipv6(tmp_path: Path) -> None:
    assert host.ipv6_addresses(str(tmp_path)) == ()
    write(tmp_path / "proc/net/if_inet6", "20010db8000000000000000000000007 02 40 00 80     eth0\n")
    assert host.ipv6_addresses(str(tmp_path)) == ("2001:db8::7",)


SYSTEMCTL = """LoadState=loaded
ActiveState=active
FragmentPath=/usr/lib/systemd/system/e-SUS-PEC.service
UnitFileState=enabled

LoadState=not-found
ActiveState=inactive
FragmentPath=
UnitFileState=
"""


def test_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "run", lambda _argv: process.Completed(0, SYSTEMCTL, ""))
    assert systemd.units(["e-SUS-PEC.service", "none.service"]) == {
        "e-SUS-PEC.service": systemd.Unit("e-SUS-PEC.service", "loaded", "active", True, "/usr/lib/systemd/system/e-SUS-PEC.service"),
        "none.service": systemd.Unit("none.service", "not-found", "inactive", None, None),
    }


@pytest.mark.parametrize("answer", [process.Completed(1, "", "System has not been booted with systemd"), process.Completed(0, "", "")])
def test_units_of_a_host_without_systemd_are_unknown(monkeypatch: pytest.MonkeyPatch, answer: process.Completed) -> None:
    monkeypatch.setattr(process, "run", lambda _argv: answer)
    assert systemd.units(["a.service", "b.service"])["b.service"] == systemd.Unit("b.service", None, None, None, None)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("ActiveState=active\nActiveEnterTimestampMonotonic={}\n", 100),
        ("ActiveState=inactive\nActiveEnterTimestampMonotonic={}\n", None),
        ("ActiveState=active\nActiveEnterTimestampMonotonic=\n", None),
        ("", None),
    ],
)
def test_for_how_long_a_unit_has_been_active(monkeypatch: pytest.MonkeyPatch, said: str, seconds: int | None) -> None:
    since = int((time.monotonic() - 100) * 1_000_000)
    monkeypatch.setattr(process, "run", lambda _argv: process.Completed(0, said.format(since), ""))
    assert systemd.active_seconds("pec.service") == (None if seconds is None else pytest.approx(seconds, abs=5))


def test_programs_that_are_missing_leave_facts_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_argv: list[str]) -> process.Completed:
        raise PecError("the program is not on this host")

    monkeypatch.setattr(process, "run", missing)
    assert systemd.units(["a.service"])["a.service"].load_state is None
    assert host.locales() == ()
    assert host.init_name() is None


@pytest.mark.parametrize(
    ("link", "text", "expected"),
    [
        ("/usr/share/zoneinfo/America/Sao_Paulo", None, "America/Sao_Paulo"),
        ("../usr/share/zoneinfo/America/Rio_Branco", "America/Manaus\n", "America/Rio_Branco"),
        (None, "America/Manaus\n", "America/Manaus"),
        (None, None, None),
    ],
)
def test_timezone(tmp_path: Path, link: str | None, text: str | None, expected: str | None) -> None:
    (tmp_path / "etc").mkdir()
    if link:
        (tmp_path / "etc/localtime").symlink_to(link)
    if text:
        write(tmp_path / "etc/timezone", text)
    assert host.timezone(str(tmp_path)) == expected


def test_os_release(tmp_path: Path) -> None:
    assert host.os_release(str(tmp_path)) == {}
    write(tmp_path / "usr/lib/os-release", "# system\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID='12'\n")
    assert host.os_release(str(tmp_path)) == {"PRETTY_NAME": "Debian GNU/Linux 12 (bookworm)", "ID": "debian", "VERSION_ID": "12"}


def test_each_java_is_found_once_newest_first(tmp_path: Path) -> None:
    say = "#!/bin/sh\necho '{0} version \"{1}\" 2025-01-01' >&2\n"
    write(tmp_path / "usr/lib/jvm/java-17/bin/java", say.format("openjdk", "not asked"), 0o755)
    write(tmp_path / "usr/lib/jvm/java-17/release", 'IMPLEMENTOR="Debian"\nJAVA_VERSION="17.0.15"\n')
    (tmp_path / "usr/lib/jvm/default-java").symlink_to("java-17")
    write(tmp_path / "usr/lib/jvm/java-8/bin/java", say.format("openjdk", "1.8.0_402"), 0o755)
    write(tmp_path / "usr/lib/jvm/broken/bin/java", "#!/bin/sh\nexit 1\n", 0o755)
    write(tmp_path / "opt/e-SUS/jre/17.0.13-linux_x64/bin/java", say.format("openjdk", "17.0.13"), 0o755)
    (tmp_path / "opt/e-SUS/jre/current").symlink_to("17.0.13-linux_x64")
    found = host.java(str(tmp_path))
    assert [(java.version, java.major) for java in found] == [("17.0.15", 17), ("17.0.13", 17), ("1.8.0_402", 8)]
    assert all(os.access(java.path, os.X_OK) for java in found)


@pytest.mark.parametrize(
    ("confs", "expected"),
    [
        pytest.param({}, True, id="nothing said"),
        pytest.param({"etc/systemd/logind.conf": "[Login]\n#RemoveIPC=no\n"}, True, id="only a comment"),
        pytest.param({"etc/systemd/logind.conf": "[Login]\nRemoveIPC = no\n"}, False, id="main file"),
        pytest.param({"etc/systemd/logind.conf": "[Other]\nRemoveIPC=no\n"}, True, id="another section"),
        pytest.param(
            {"etc/systemd/logind.conf": "[Login]\nRemoveIPC=yes\n", "etc/systemd/logind.conf.d/esus.conf": "[Login]\nRemoveIPC=no\n"},
            False,
            id="a drop-in wins",
        ),
        pytest.param(
            {
                "etc/systemd/logind.conf.d/a.conf": "[Login]\nRemoveIPC=no\n",
                "usr/lib/systemd/logind.conf.d/b.conf": "[Login]\nRemoveIPC=1\n",
            },
            True,
            id="the later name wins, wherever it lies",
        ),
        pytest.param(
            {
                "etc/systemd/logind.conf.d/a.conf": "[Login]\nRemoveIPC=no\n",
                "usr/lib/systemd/logind.conf.d/a.conf": "[Login]\nRemoveIPC=1\n",
            },
            False,
            id="the administrator's namesake replaces the vendor's",
        ),
        pytest.param({"etc/systemd/logind.conf": "[Login]\nRemoveIPC=no\nRemoveIPC=\n"}, True, id="empty is the default again"),
    ],
)
def test_remove_ipc(tmp_path: Path, confs: dict[str, str], expected: bool) -> None:
    for name, text in confs.items():
        write(tmp_path / name, text)
    assert host.remove_ipc(str(tmp_path)) is expected


@pytest.mark.confined
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account")
def test_the_version_of_a_java_is_asked_by_an_account_without_rights() -> None:
    with tempfile.TemporaryDirectory() as directory:  # under /tmp, where every account gets to
        launcher = Path(directory) / "usr/lib/jvm/theirs/bin/java"
        write(launcher, '#!/bin/sh\necho \'openjdk version "17.0.1"\' >&2\nid -u >>"${0%/*}/asked"\n', 0o755)
        write(launcher.parent / "asked", "", 0o666)
        os.chmod(directory, 0o755)
        for path in (launcher, launcher.parent):
            os.chown(path, 65533, 65533)
        assert [java.version for java in host.java(directory)] == ["17.0.1"]
        assert (launcher.parent / "asked").read_text(encoding="utf-8") == f"{confinement.uid()}\n"


FIB_TRIE = """\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     |-- 192.0.2.0
        /24 link UNICAST
     |-- 192.0.2.5
        /32 host LOCAL
     |-- 192.0.2.255
        /32 link BROADCAST
"""


def test_the_addresses_of_the_interfaces(tmp_path: Path) -> None:
    (tmp_path / "proc/net").mkdir(parents=True)
    (tmp_path / "proc/net/fib_trie").write_text(FIB_TRIE)
    (tmp_path / "proc/net/if_inet6").write_text("20010db8000000000000000000000005 02 40 00 80 eth0\n\nbroken\n")
    assert host.own_addresses(str(tmp_path)) == {"192.0.2.5", "2001:db8::5"}
    assert host.own_addresses(str(tmp_path / "nothing")) == frozenset()
    assert "127.0.0.1" in host.own_addresses()
