# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import os
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import process
from ansible_collections.esus.pec.plugins.module_utils.system.pipeline import Pipeline, Stage
from ansible_collections.esus.pec.plugins.module_utils.transfer import link

# An ssh that does what a file says: it forwards, and what it "forwards" answers as PostgreSQL does; or complains and ends.
FAKE = """#!{python}
import os, pathlib, socket, sys, time
here = pathlib.Path({place!r})
banner = here / "banner"
if banner.exists():
    sys.stderr.write(banner.read_text())
    sys.stderr.flush()
(here / "argv").write_text("\\n".join(sys.argv[1:]))
said = here / "says"
if said.exists():
    sys.stderr.write(said.read_text())
    sys.exit(255)
if "-W" in sys.argv and (here / "forbids").exists():
    sys.exit("channel 0: open failed: administratively prohibited: open failed")
if "-W" in sys.argv:
    os.write(1, os.read(0, 100).upper())
    sys.exit(0)
listener = socket.socket(socket.AF_UNIX)
os.umask(0o111)
listener.bind(sys.argv[sys.argv.index("-L") + 1].rsplit(":", 2)[0])
listener.listen()
while True:
    one, _ = listener.accept()
    one.recv(8)
    if (here / "late").exists():
        one.close()
        time.sleep(0.3)
    if (here / "forbids").exists():
        sys.stderr.write("channel 2: open failed: administratively prohibited: open failed\\n")
        sys.stderr.flush()
    elif (here / "closed").exists():
        sys.stderr.write("channel 2: open failed: connect failed: Connection refused\\n")
        sys.stderr.flush()
    elif (here / "dies").exists():
        sys.stderr.write("Timeout, server not responding.\\n")
        sys.exit(255)
    else:
        one.send(b"N")
    one.close()
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    program = tmp_path / "bin/ssh"
    program.parent.mkdir()
    program.write_text(FAKE.format(python=sys.executable, place=str(tmp_path)))
    program.chmod(0o755)
    for name in ("key", "known"):
        (tmp_path / name).write_text("x")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    with tempfile.TemporaryDirectory(dir="/tmp") as short:  # pytest's own is too long for a socket
        os.chmod(short, 0o711)
        monkeypatch.setattr(link, "SOCKETS", f"{short}/s")
        monkeypatch.setenv("TMPDIR", short)
        yield tmp_path


def login(place: Path, **changes: Any) -> link.Ssh:
    found = link.ssh_from(
        {"host": "old.example", "port": 22, "user": "x", "key_path": f"{place}/key", "known_hosts_path": f"{place}/known", **changes}
    )
    assert found
    return found


@pytest.mark.parametrize("host", ["10.0.0.1", "fe80::1%eth0", "[2001:db8::1]", "antigo.municipio.gov.br", "servidor_1"])
@pytest.mark.parametrize("user", ["esus-pec-transfer", "Administrador", "DOMINIO\\suporte", "João Silva"])
def test_hosts_and_accounts(place: Path, host: str, user: str) -> None:
    assert login(place, host=host, user=user).host == host.strip("[]")
    assert link.ssh_from(None) is None


@pytest.mark.parametrize("host", ["-oProxyCommand=x", "", "a b", "a;b", "a/b", "%h", "a\nb"])
def test_what_is_no_host(place: Path, host: str) -> None:
    with pytest.raises(PecError, match="is no name or address of a host"):
        login(place, host=host)


@pytest.mark.parametrize("user", ["-l", "", "a\nb", "a$(id)", "a@b", "a`id`"])
def test_what_is_no_account(place: Path, user: str) -> None:
    with pytest.raises(PecError, match="is no name of an account"):
        login(place, user=user)


@pytest.mark.parametrize("port", [0, 65536])
def test_what_is_no_port(place: Path, port: int) -> None:
    with pytest.raises(PecError, match="is no port"):
        login(place, port=port)


def test_the_tunnel_is_reached_by_its_directory_alone(place: Path) -> None:
    with link.Tunnel(login(place), 5433) as tunnel:
        path = Path(tunnel.socket_directory) / ".s.PGSQL.5432"
        assert stat.S_ISSOCK(path.stat().st_mode)
        assert tunnel.socket_directory not in Path("/proc/net/unix").read_text()
        assert stat.S_IMODE(path.parent.parent.stat().st_mode) == 0o711  # nobody else can list it
        tunnel.require_alive()
        argv = (place / "argv").read_text().splitlines()
        assert argv[argv.index("-L") + 1].endswith(":127.0.0.1:5433")
    assert list(path.parent.parent.iterdir()) == []


@pytest.mark.parametrize(("host", "asked"), [("localhost", "127.0.0.1"), ("127.0.0.1", "127.0.0.1"), ("banco", "banco")])
def test_the_source_is_asked_for_an_address_that_it_allows(place: Path, host: str, asked: str) -> None:
    with link.Tunnel(login(place), 5433, host):
        argv = (place / "argv").read_text().splitlines()
        assert argv[argv.index("-L") + 1].endswith(f":{asked}:5433")


@pytest.mark.confined
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("secret", [False, True])
def test_programs_without_rights_reach_it(place: Path, secret: bool) -> None:
    ask = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.send(b'12345678'); print(s.recv(1))"
    with link.Tunnel(login(place), 5433) as tunnel:
        argv = ["/usr/bin/python3", "-c", ask, f"{tunnel.socket_directory}/.s.PGSQL.5432"]
        with Pipeline([Stage(argv, secret=secret)], collect=True) as running:
            assert running.output.read() == b"b'N'\n"
        listing = process.run(["ls", link.SOCKETS], confined=True)
        assert "Permission denied" in listing.stderr


def test_what_a_killed_run_left_is_removed(place: Path) -> None:
    with link.Tunnel(login(place), 5433) as tunnel:
        base = Path(tunnel.socket_directory).parent
        left = base / "4194305-abc"  # above the highest number of a process
        left.mkdir()
        with link.Tunnel(login(place), 5433) as other:
            assert not left.exists()
            assert os.path.exists(tunnel.socket_directory) and os.path.exists(other.socket_directory)


def test_an_ssh_that_ends_is_noticed(place: Path) -> None:
    with link.Tunnel(login(place), 5433) as tunnel:
        (place / "dies").touch()
        with socket.socket(socket.AF_UNIX) as one, contextlib.suppress(OSError):  # it may have ended already
            one.connect(f"{tunnel.socket_directory}/.s.PGSQL.5432")
            one.send(b"12345678")
            one.recv(1)
        program = tunnel._program
        assert program
        program._children[0].wait()
        with pytest.raises(PecError, match=r"the tunnel to the source ended: .*is not reached"):
            tunnel.require_alive()


@pytest.mark.parametrize(
    ("says", "means"),
    [
        ("@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\nHost key verification failed.\n", "is not the one in"),
        ("No ED25519 host key is known for h and you have requested strict checking.\nHost key verification failed.\n", "no host key of"),
        ("x@h: Permission denied (publickey,password).\n", "refused the key"),
        ("ssh: connect to host h port 22: Connection refused\n", "is not reached"),
        ("ssh: Could not resolve hostname h: Name or service not known\n", "is not reached"),
        ("kex_exchange_identification: Connection closed by remote host\n", "is not reached"),
        ('Load key "/k": invalid format\nx@h: Permission denied (publickey).\n', "cannot use the private key"),
        ("subsystem request failed on channel 0\n", "offers x no SFTP"),
        ("something else\n", "something else; check the SSH server"),
        ("", "ssh said nothing"),
    ],
)
def test_errors_of_ssh(place: Path, says: str, means: str) -> None:
    (place / "says").write_text(says)
    with pytest.raises(PecError, match=means), link.Tunnel(login(place), 5433):
        pass
    assert list(Path(os.environ["TMPDIR"]).glob("*/*")) == []


@pytest.mark.parametrize(("file", "means"), [("forbids", "does not allow x to forward"), ("closed", "nothing answers at 127.0.0.1:5433")])
def test_a_forwarding_that_leads_nowhere(place: Path, file: str, means: str) -> None:
    (place / file).touch()
    with pytest.raises(PecError, match=means), link.Tunnel(login(place), 5433):
        pass


def test_what_a_server_greets_with_is_no_reason(place: Path) -> None:
    (place / "banner").write_text("Acesso restrito.\nUso monitorado.\n")
    with link.Tunnel(login(place), 5433) as tunnel:
        tunnel.require_alive()
    with link.joined(login(place), 8730, os.getuid()) as connection:
        assert connection.reason() == ""
    for file in ("late", "forbids"):
        (place / file).touch()
    with pytest.raises(PecError, match="does not allow x to forward"), link.Tunnel(login(place), 5433):
        pass
    with link.joined(login(place), 8730, os.getuid()) as connection:
        assert "does not allow x to forward" in connection.reason()


@pytest.mark.skipif(os.geteuid() != 0, reason="another account's file is root's matter")
def test_a_key_that_another_account_can_replace(place: Path) -> None:
    os.chown(place / "key", 65534, 65534)
    with pytest.raises(PecError, match="the key for the source"), link.Tunnel(login(place), 5433):
        pass


def test_one_connection_for_a_program(place: Path) -> None:
    """The program has a socket for both directions, as rsync gives it, and notices that the source's side ended."""
    with link.joined(login(place), 8730, os.getuid()) as connection:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            argv = ["sh", "-c", connection.connect_program]
            with subprocess.Popen(argv, stdin=theirs, stdout=theirs, pass_fds=connection.descriptors):
                theirs.close()
                ours.settimeout(60)
                ours.send(b"hello")
                assert (ours.recv(100), ours.recv(100)) == (b"HELLO", b"")
    assert (place / "argv").read_text().splitlines()[-4:] == ["-W", "127.0.0.1:8730", "--", "old.example"]


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("", True),
        ("channel 0: open failed: connect failed: Connection refused\nstdio forwarding failed\n", False),
        ("channel 0: open failed: administratively prohibited: open failed\nstdio forwarding failed\n", None),
    ],
)
def test_whether_a_port_of_the_source_is_open(place: Path, said: str, answer: bool | None) -> None:
    if said:
        (place / "says").write_text(said)
    assert link.listens(login(place), 8080) is answer
    assert "127.0.0.1:8080" in (place / "argv").read_text().splitlines()


def test_a_port_of_a_source_that_is_not_reached_is_neither_open_nor_closed(place: Path) -> None:
    (place / "says").write_text("Connection timed out\n")
    with pytest.raises(PecError, match="is not reached"):
        link.listens(login(place), 8080)
