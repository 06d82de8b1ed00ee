# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of a whole transfer by the playbook: nothing is lost, PEC serves again on the old server, and another run finishes.

Faults of the way of the database alone are in test_transfer_database.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pec_host import PecHost
from whole_transfer import NEW, OLD, OTHER, PASSWORD, PEC, Run, Transfer, until

KEY = "co_config_sistema = 'CONFIGURACAOPROCESSAMENTORELATORIOS'"
WRITE = f"update tb_config_sistema set ds_texto = 'Depois' where {KEY} returning ds_texto"
ROW = f"select ds_texto from tb_config_sistema where {KEY}"
SUCCESS = "failed=0"
STOPPED = ("inactive", "failed")  # Java ends with 143
DROP_IN = f"/run/systemd/system/{PEC}.service.d"
DATABASES = "select string_agg(datname, ' ' order by datname) from pg_database"


@pytest.fixture(scope="module")
def servers(start_server: Any, jar: Any) -> Transfer:
    installer = jar("5.4.37")
    variables = {
        "ansible_python_interpreter": "/usr/bin/python3",
        "pec_install_jar_file": str(installer),
        "pec_database_password": PASSWORD,
        "pec_prerequisites_hosts_entry": True,
        "pec_municipio": "Água Clara",
        "pec_domain": "pec.example",
    }
    made = Transfer(PecHost(start_server(OLD)), PecHost(start_server(NEW)), variables)
    made.set_up(installer)
    return made


@pytest.fixture
def transfer(servers: Transfer) -> Iterator[Transfer]:
    yield servers
    servers.as_before()


def require_back(transfer: Transfer, before: tuple[str, str]) -> None:
    """PEC serves on the old server with all of its data, starts with it, and does not run on the new one."""
    transfer.old.wait()
    assert transfer.data(transfer.old) == before
    assert transfer.old.unit(PEC, "UnitFileState") == "enabled"
    assert transfer.mark() == {}
    assert transfer.new.unit(PEC, "ActiveState") in STOPPED
    assert not transfer.serves(transfer.new)


def require_finished(transfer: Transfer, said: str) -> None:
    """PEC serves on the new server with the data of the old one, which is whole and starts no more."""
    assert SUCCESS in said, said
    transfer.new.wait()
    assert transfer.new.unit(PEC, "UnitFileState") == "enabled"
    assert transfer.phases()[-1] == "cutover"
    assert transfer.data(transfer.new) == transfer.data(transfer.old)
    assert transfer.mark()["state"] == "retired"
    assert transfer.old.unit(PEC, "ActiveState") in STOPPED
    assert transfer.old.unit(PEC, "UnitFileState") == "disabled"


def test_what_is_refused_while_pec_works(transfer: Transfer) -> None:
    before, process = transfer.data(transfer.old), transfer.old.unit(PEC, "MainPID")
    keys = "/etc/ssh/ssh_host_*_key.pub"
    transfer.old.sh(f"mkdir /root/keys; cp {keys} /root/keys; ssh-keygen -q -t ed25519 -N '' -f /root/keys/other")
    try:
        transfer.old.sh(f"for file in {keys}; do cp /root/keys/other.pub $file; done")
        said = transfer.transfer().said()
    finally:
        transfer.old.sh("cp /root/keys/ssh_host_* /etc/ssh; rm -r /root/keys")
    assert "the host key of" in said, said
    assert transfer.phases() == ["prepare"]
    assert transfer.old.unit(PEC, "MainPID") == process
    require_back(transfer, before)

    transfer.old.run("mkdir", "-p", DROP_IN)
    transfer.old.server.put("[Unit]\nRefuseManualStop=yes\n", f"{DROP_IN}/stop.conf")
    transfer.old.run("systemctl", "daemon-reload")
    try:
        said = transfer.transfer().said()
    finally:
        transfer.old.sh(f"rm -r {DROP_IN}; systemctl daemon-reload")
    assert "failed in the phase freeze" in said, said
    assert "PEC was not frozen" in said
    assert transfer.old.unit(PEC, "MainPID") == process
    require_back(transfer, before)


def test_the_controller_is_killed(transfer: Transfer) -> None:
    before = transfer.data(transfer.old)
    with transfer.held() as run:
        until(lambda: transfer.mark().get("last_transaction") is not None, run)
        run.kill()
        assert not transfer.serves(transfer.old)
        assert transfer.old.unit(PEC, "UnitFileState") == "enabled"  # it serves after a restart of the server
        assert "move" not in transfer.phases()
    until(lambda: not transfer.at_work())
    said = transfer.start(playbook="transfer_rollback").said()
    assert SUCCESS in said, said
    require_back(transfer, before)
    transfer.as_before()

    with transfer.held() as run:
        transfer.until_moving(run)
        transfer.signal("STOP")
    said = transfer.transfer().said()
    assert "is at work on this host" in said, said
    assert run.process.poll() is None
    assert transfer.mark()["target"] == NEW
    run.kill()
    assert "move" not in transfer.phases()
    transfer.signal("CONT")
    until(lambda: not transfer.at_work())
    require_finished(transfer, transfer.transfer().said())
    assert transfer.data(transfer.new) == before

    transfer.new.sh("rm /var/lib/esus-pec/transfer/state.json")
    said = transfer.start("--tags", "preflight", host=OTHER).said()
    assert f"retired to the target '{NEW}'" in said, said
    assert transfer.data(transfer.new) == before
    assert transfer.serves(transfer.new)


def test_one_fault_after_the_other(transfer: Transfer) -> None:
    """Each run is also the one that goes on after the fault of the one before."""
    before, databases = transfer.data(transfer.old), transfer.admin(transfer.new, DATABASES)
    cut = ("nsenter", "--target", transfer.new.server.pid, "--net", "iptables", "-w")
    rule = ("OUTPUT", "-p", "tcp", "--dport", "22", "-j", "REJECT", "--reject-with", "tcp-reset")
    with transfer.held() as run:
        transfer.until_moving(run)
        transfer.local(*cut, "-I", *rule)
    try:
        said = run.said()
    finally:
        transfer.local(*cut, "-D", *rule)
    assert "failed in the phase move" in said, said
    require_back(transfer, before)
    assert transfer.admin(transfer.new, DATABASES) == databases

    transfer.new.command(server__start="never")
    run = transfer.transfer()
    until_settling(transfer, run)
    assert transfer.admin(transfer.old, WRITE) == "Depois"
    transfer.new.command()
    transfer.new.restart()
    said = run.said()
    assert "failed in the phase cutover" in said, said
    assert "was written after PEC was stopped there" in said
    require_back(transfer, before)

    transfer.new.command(server__start="never")
    said = transfer.transfer(pec_health_timeout=5).said()
    assert "failed in the phase settle" in said, said
    require_back(transfer, before)

    killed = transfer.transfer()
    until_settling(transfer, killed)
    killed.kill()
    first = transfer.transfer(pec_health_timeout=600)
    until_settling(transfer, first)
    owner = transfer.owner()
    second = transfer.transfer(pec_health_timeout=600)
    until(lambda: transfer.owner() != owner, second)
    until_settling(transfer, second)
    transfer.new.command()
    transfer.new.restart()
    require_finished(transfer, second.said())
    said = first.said()
    assert "took this transfer over" in said, said
    require_finished(transfer, SUCCESS)  # still
    assert transfer.admin(transfer.new, ROW) == "Depois"


def until_settling(transfer: Transfer, run: Run) -> None:
    """Wait until the run waits for PEC on the new server."""
    until(lambda: run.shows("Wait until PEC answers") and transfer.new.unit(PEC, "ActiveState") == "active", run)
