# SPDX-License-Identifier: GPL-3.0-or-later
"""Attacks by an account of this host that listens on PEC's port while PEC is stopped."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.api.client import Client, PecUnreachableError, Server
from ansible_collections.esus.pec.plugins.module_utils.api.session import Account, LoginError, Session
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres import peer, psql
from ansible_collections.esus.pec.plugins.module_utils.system import listening, remembered, systemd

UNIT = beliefs.PEC_UNIT
MALLORY = 65533
PASSWORD = "Segredo2026"
# Listens as another account, announces its port, and writes down whatever it is sent.
LISTENER = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
server = socket.create_server((sys.argv[1], 0), family=family, dualstack_ipv6=sys.argv[1] == "::")
print(server.getsockname()[1], flush=True)
while True:
    link, address = server.accept()
    link.settimeout(5)
    try:
        print("heard", link.recv(65536), flush=True)
    except OSError:
        pass
    link.close()
"""
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can listen as another account")


class Fake:
    def __init__(self, program: subprocess.Popen[str], address: str) -> None:
        self.program, self.address = program, address
        assert program.stdout is not None
        self.port = int(program.stdout.readline())

    def heard(self) -> str:
        """Everything that it was sent until now. The last thing is sent by us, so that silence is not only slowness."""
        with socket.create_connection((self.address, self.port)) as link:
            link.sendall(b"the end")
        assert self.program.stdout is not None
        lines = []
        for line in self.program.stdout:
            if "the end" in line:
                break
            lines.append(line)
        return "".join(lines).replace("heard b''\n", "")


@contextmanager
def fake(address: str = "127.0.0.1", uid: int = MALLORY) -> Iterator[Fake]:
    argv = ["setpriv", "--reuid", str(uid), "--clear-groups", sys.executable, "-c", LISTENER, address]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd="/") as program:
        try:
            yield Fake(program, address)
        finally:
            program.kill()


@pytest.mark.parametrize(("address", "host"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "localhost"), ("::", "127.0.0.1"), ("::1", "[::1]")])
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("own_port", [True, False])
def test_a_listener_of_another_account_receives_nothing(
    scheme: str, address: str, host: str, own_port: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "REFUSED", str(tmp_path / "refused.json"))
    with fake(address) as stranger:
        server = Server(f"{scheme}://{host}:{stranger.port}", 5, validate_certs=False, ports=(stranger.port,) if own_port else ())
        with Session(Client(server, patience=0), Account("52998224725", PASSWORD)) as session, pytest.raises(PecUnreachableError) as caught:
            session.open()
        assert f"the account {MALLORY} (process {stranger.program.pid}, " in str(caught.value)
        assert caught.value.final and caught.value.not_done
        assert stranger.heard() == ""
    assert not isinstance(caught.value, LoginError)
    assert remembered.find(remembered.REFUSED, "instalador", Account("52998224725", PASSWORD).secret, "") is None


def test_the_fake_can_hear_and_root_may_listen(tmp_path: Path) -> None:
    with fake(uid=0) as own:
        client = Client(Server(f"http://127.0.0.1:{own.port}", 5, ports=(own.port,)), patience=0)
        with pytest.raises(PecUnreachableError, match="does not answer"):
            client.first_run_done()
        assert "POST /api/graphql" in own.heard()


def test_a_clear_text_password_is_not_for_a_stranger_on_postgresql_s_port(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(peer, "authentication_method", lambda *_, **__: asked.append(1) or "password")
    peer._refuse_clear_text.cache_clear()
    with fake() as stranger, pytest.raises(PecError, match="in clear text"):
        psql.environment(psql.Connection("127.0.0.1", stranger.port, "esus", "esus", PASSWORD))
    with fake(uid=0) as own:
        asked.clear()
        assert "PGREQUIREAUTH" not in psql.environment(psql.Connection("127.0.0.1", own.port, "esus", "esus", PASSWORD))
        assert asked == []


def test_who_stopped_listening_after_it_accepted_receives_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the service itself listens by the time that it is looked at."""
    script = (
        LISTENER.partition("while True")[0]
        + """
link, address = server.accept()
print("accepted", flush=True)
sys.stdin.readline()
server.close()
print("closed", flush=True)
sys.stdin.readline()
"""
    )
    argv = ["setpriv", "--reuid", str(MALLORY), "--clear-groups", sys.executable, "-c", script, "127.0.0.1"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True, cwd="/", bufsize=1) as program:
        assert program.stdout and program.stdin
        port = int(program.stdout.readline())
        with socket.create_connection(("127.0.0.1", port)) as link:
            assert program.stdout.readline() == "accepted\n"
            program.stdin.write("\n")
            assert program.stdout.readline() == "closed\n"
            with socket.socket() as service:
                service.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                service.bind(("127.0.0.1", port))
                service.listen()  # root's, so it is fine
                with pytest.raises(listening.StrangerError, match=f"the account {MALLORY} "):
                    listening.require_service(link, UNIT, [port])
        program.kill()


class Link:
    """A connection from port 40000 to 127.0.0.1:8080, or to another address."""

    def __init__(self, address: str = "127.0.0.1", port: int = 8080) -> None:
        self.ends = ((address, port), (address, 40000))

    def getpeername(self) -> tuple[str, int]:
        return self.ends[0]

    def getsockname(self) -> tuple[str, int]:
        return self.ends[1]


HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
LOCAL, ANY, LAN = "0100007F", "00000000", "0501A8C0"  # 127.0.0.1, 0.0.0.0, 192.168.1.5


def proc(root: Path, rows: Sequence[tuple[str, int, int, str]], *, first: str = "0::/init.scope", established: str = "") -> str:
    """Sockets that listen: address, port, account, and the control group of the process that has it."""
    text = HEAD
    for index, (address, port, uid, group) in enumerate(rows, start=1):
        text += f" {index}: {address}:{port:04X} {ANY}:0000 0A 0:0 0:0 0 {uid} 0 {100 + index} 1\n"
        place = root / f"proc/{100 + index}"
        (place / "fd").mkdir(parents=True)
        (place / "fd/7").symlink_to(f"socket:[{100 + index}]")
        (place / "comm").write_text("any\n", encoding="utf-8")
        (place / "cgroup").write_text(group + "\n", encoding="utf-8")
    if established:
        text += f" 9: {established}:1F90 {established}:9C40 01 0:0 0:0 0 0 0 0 1\n"
    for path, content in (("net/tcp", text), ("1/cgroup", first + "\n")):
        (root / "proc" / path).parent.mkdir(parents=True, exist_ok=True)
        (root / "proc" / path).write_text(content, encoding="utf-8")
    return str(root)


PEC = f"0::/system.slice/{UNIT}"
USERS = {UNIT: "1001", "caddy.service": "1002", "cron.service": None, "user@1000.service": "1000"}


@pytest.fixture(autouse=True)
def units(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Which account each unit runs as."""
    unknown = systemd.units
    found = {name: systemd.Unit(name, "loaded", "active", True, None, user) for name, user in USERS.items()}
    monkeypatch.setattr(systemd, "units", lambda names: {**unknown(names), **{name: found[name] for name in names if name in found}})


@pytest.mark.parametrize(
    ("rows", "ports", "trusted"),
    [
        pytest.param([(ANY, 8080, 1001, PEC)], [8080], True, id="PEC as an account of its own"),
        pytest.param([(ANY, 8080, 1001, f"{PEC}/worker")], [8080], True, id="PEC, a group below its own"),
        pytest.param([(ANY, 8080, 1001, f"0::/pec.slice/{UNIT}")], [8080], True, id="PEC in another slice"),
        pytest.param([(ANY, 8080, 1001, f"1:name=systemd:/system.slice/{UNIT}\n0::/")], [8080], True, id="control groups of version 1"),
        pytest.param([(ANY, 8080, 1001, "0::/user.slice/user-1001.slice/session-3.scope")], [8080], False, id="its account, elsewhere"),
        pytest.param([(ANY, 8080, 1000, f"0::/user.slice/user-1000.slice/user@1000.service/{UNIT}")], [8080], False, id="a forged name"),
        pytest.param([(ANY, 8080, 1000, "0::/user.slice/user-1000.slice/user@1000.service/a")], [], False, id="a user's own service"),
        pytest.param([(ANY, 8080, 1000, "0::/system.slice/cron.service")], [], False, id="a user's job of cron"),
        pytest.param([(ANY, 8080, 1002, "0::/system.slice/caddy.service")], [], True, id="a proxy on another port than PEC's"),
        pytest.param([(ANY, 8080, 1002, "0::/system.slice/caddy.service")], [8080], False, id="a proxy on PEC's port"),
        pytest.param([(ANY, 8080, 0, "0::/system.slice/nginx.service")], [8080], True, id="root"),
        pytest.param([(LOCAL, 8080, 1001, PEC), (ANY, 8080, 1000, "0::/")], [8080], False, id="one of two sockets"),
        pytest.param([(ANY, 8080, 1001, PEC), (LAN, 8080, 1000, "0::/")], [8080], True, id="a stranger on another address"),
        pytest.param([(ANY, 8080, 1001, PEC), (ANY, 8081, 1000, "0::/")], [8080], True, id="a stranger on another port"),
        pytest.param([(ANY, 8080, 1000, "")], [8080], False, id="no control group"),
        pytest.param([], [8080], False, id="nobody any more"),
    ],
)
def test_who_may_listen(rows: list[tuple[str, int, int, str]], ports: list[int], trusted: bool, tmp_path: Path) -> None:
    root = proc(tmp_path, rows)
    if trusted:
        listening.require_service(Link(), UNIT, ports, root)
    else:
        with pytest.raises(listening.StrangerError, match="nothing was sent to port 8080 of this host"):
            listening.require_service(Link(), UNIT, ports, root)


@pytest.mark.parametrize(
    ("groups", "trusted"),
    [
        pytest.param([PEC, PEC], True, id="all of the account's processes are PEC's"),
        pytest.param([PEC, "0::/user.slice/user-1001.slice/session-3.scope"], False, id="one of them is not"),
        pytest.param([], False, id="it has none"),
    ],
)
def test_who_may_listen_if_root_may_not_look_into_processes(groups: list[str], trusted: bool, tmp_path: Path) -> None:
    root = proc(tmp_path, [(ANY, 8080, 1001, "")])
    shutil.rmtree(tmp_path / "proc/101")
    (tmp_path / "proc/self").mkdir()
    (tmp_path / "proc/self/status").write_text("CapEff:\t000001fffff7ffff\n", encoding="utf-8")
    for pid, group in enumerate(groups, start=200):
        (tmp_path / f"proc/{pid}").mkdir()
        for name, text in (("status", "Uid:\t1001\t1001\t1001\t1001\n"), ("comm", "java\n"), ("cgroup", f"{group}\n")):
            (tmp_path / f"proc/{pid}/{name}").write_text(text, encoding="utf-8")
    if trusted:
        listening.require_service(Link(), UNIT, [8080], root)
    else:
        with pytest.raises(listening.StrangerError, match="the account 1001"):
            listening.require_service(Link(), UNIT, [8080], root)


@pytest.mark.parametrize(
    ("behind", "trusted"), [([(ANY, 8080, 1001, PEC)], True), ([], True), ([(LOCAL, 8080, 1000, "0::/user.slice/a.scope")], False)]
)
def test_a_proxy_of_this_host_leads_to_pec_s_port(behind: list[tuple[str, int, int, str]], trusted: bool, tmp_path: Path) -> None:
    """It hands on what it is sent to whoever listens there."""
    root = proc(tmp_path, [(ANY, 443, 0, "0::/system.slice/nginx.service"), *behind])
    if trusted:
        listening.require_service(Link(port=443), UNIT, [8080], root)
    else:
        with pytest.raises(listening.StrangerError, match=r"port 8080 of this host, because the account .*1000.* \(process 102, 'any'\)"):
            listening.require_service(Link(port=443), UNIT, [8080], root)


def test_inside_a_container_the_units_are_below_its_own_place(tmp_path: Path) -> None:
    nested = f"0::/docker/x/system.slice/{UNIT}"
    listening.require_service(Link(), UNIT, [8080], proc(tmp_path / "a", [(ANY, 8080, 1001, nested)], first="0::/docker/x/init.scope"))
    with pytest.raises(listening.StrangerError):
        listening.require_service(Link(), UNIT, [8080], proc(tmp_path / "b", [(ANY, 8080, 1000, PEC)], first="0::/docker/x/init.scope"))


def test_another_address_of_this_host_is_this_host_and_another_host_is_not_looked_at(tmp_path: Path) -> None:
    stranger = [(ANY, 8080, 1000, "0::/user.slice/a.scope")]
    with pytest.raises(listening.StrangerError):
        listening.require_service(Link("192.168.1.5"), UNIT, [8080], proc(tmp_path / "here", stranger, established=LAN))
    listening.require_service(Link("192.168.1.5"), UNIT, [8080], proc(tmp_path / "there", stranger))


def test_without_root_the_account_of_the_socket_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pec, mallory = (proc(tmp_path / str(uid), [(ANY, 8080, uid, "")]) for uid in (1001, 1000))
    for root in (pec, mallory):
        (Path(root) / "proc/101/fd/7").unlink()  # as if it could not be read
    monkeypatch.setattr(os, "geteuid", lambda: 1005)
    listening.require_service(Link(), UNIT, [8080], pec)
    with pytest.raises(listening.StrangerError):
        listening.require_service(Link(), UNIT, [8080], mallory)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(listening.StrangerError):
        listening.require_service(Link(), UNIT, [8080], pec)  # root sees every process, so a hidden one is nobody's service
