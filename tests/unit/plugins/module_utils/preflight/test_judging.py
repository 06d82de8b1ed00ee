# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.esus.pec.plugins.module_utils.preflight.host import GB, OFFICIAL_SIZES, official_size
from ansible_collections.esus.pec.plugins.module_utils.preflight.judging import BEFORE_INSTALLING, describe, judge
from ansible_collections.esus.pec.plugins.module_utils.preflight.model import (
    DatabaseSeen,
    DatabaseWanted,
    Facts,
    FirstRun,
    Https,
    Place,
    Wishes,
)

HERE = Facts(
    uid=0,
    architecture="x86_64",
    distribution="debian",
    distribution_version="12",
    init_name="systemd",
    memory_bytes=8 * GB,
    processors=4,
    places=(Place("home", "/opt/e-SUS", 1, 120 * GB, 90 * GB), Place("database", "/var/lib", 1, 120 * GB, 90 * GB)),
)
ANA = FirstRun("Município", "", "PRONTUARIO", "Ana Souza", "529.982.247-25", "Segredo-2026")
WANTED = Wishes(
    checks=BEFORE_INSTALLING,
    database=DatabaseWanted("managed", password="s"),
    jars=("/srv/eSUS-AB-PEC-5.4.37-Linux64.jar",),
    domain="esus.a.br",
    first_run=ANA,
)
WAYS = "set one of pec_install_jar_url (with pec_install_jar_sha256), pec_install_jar_file or pec_install_jar_path"


ACTIVE = {"active_units": ("e-SUS-PEC.service",)}


def found(facts: dict[str, Any], wishes: dict[str, Any]) -> list[str]:
    return [f"{finding.severity} {finding}" for finding in judge(replace(HERE, **facts), replace(WANTED, **wishes))]


def test_a_good_server_gives_nothing_to_say() -> None:
    assert found({}, {}) == []


def port_taken(port: int, program: str) -> str:
    remedy = "stop and disable it, or give it another port; e-SUS-PEC.service requires this one"
    return f"error [port_taken] port {port} is taken by {program}. What to do: {remedy}."


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        pytest.param(
            {"uid": 1000},
            "error [not_root] this runs as the user with ID 1000, and PEC's installer requires root. "
            "What to do: set become: true for the play.",
            id="not root",
        ),
        pytest.param(
            {"architecture": "aarch64"},
            "error [architecture] the processor is aarch64; PEC supports x86_64 only. What to do: use a 64-bit Intel or AMD host.",
            id="another processor",
        ),
        pytest.param(
            {"init_name": "sh"},
            "error [no_systemd] process 1 is 'sh'; PEC's installer requires systemd. "
            "What to do: use a virtual or physical machine, or a container that runs systemd.",
            id="no systemd",
        ),
        pytest.param(
            {"distribution": "rocky", "distribution_version": "9.4"},
            "warning [untested_system] rocky 9.4 belongs to a family on which this collection is untested. "
            "What to do: try it on a spare host first.",
            id="untested system",
        ),
        pytest.param(
            {"distribution": "debian", "distribution_version": "11"},
            "warning [unknown_system] debian 11 is not among the supported systems. "
            "What to do: prefer Debian 12 or 13, or Ubuntu 22.04 or 24.04.",
            id="unknown system",
        ),
        pytest.param(
            {"memory_bytes": 2 * GB},
            "error [memory] this host has 2 GB of memory; below 4 GB PEC's migrations die. What to do: give it 8 GB.",
            id="far too little memory",
        ),
        pytest.param(
            {"memory_bytes": int(4.1 * GB)},
            "warning [memory] this host has 4.1 GB of memory; for 40 simultaneous users the official table requires 8 GB. "
            "What to do: give it more memory.",
            id="less memory than official",
        ),
        pytest.param(
            {"processors": 1},
            "warning [processors] this host has 1 core; for 40 simultaneous users the official table requires 4. "
            "What to do: give it more cores.",
            id="fewer cores than official",
        ),
        pytest.param(
            {"places": (Place("home", "/opt/e-SUS", 1, 120 * GB, 3 * GB), Place("temporary", "/tmp", 1, 120 * GB, 3 * GB))},
            "error [disk] only 3 GB are free on the filesystem of /opt/e-SUS and /tmp, and installing PEC requires at least 7 GB there. "
            "What to do: free space or enlarge it.",
            id="3 GB free disk",
        ),
        pytest.param(
            {"places": (Place("home", "/opt/e-SUS", 1, 120 * GB, 90 * GB), Place("temporary", "/tmp", 2, 2 * GB, GB // 2))},
            "error [disk] only 0.5 GB are free on the filesystem of /tmp, and installing PEC requires at least 1 GB there. "
            "What to do: free space or enlarge it.",
            id="small temporary filesystem",
        ),
        pytest.param(
            {"places": (Place("home", "/opt/e-SUS", 1, 50 * GB, 40 * GB),)},
            "warning [disk] the filesystem of /opt/e-SUS has 50 GB; for 40 simultaneous users the official table requires 100 GB. "
            "What to do: enlarge it before it is needed.",
            id="less disk than official",
        ),
        pytest.param({"listeners": {8080: "nginx"}}, port_taken(8080, "nginx"), id="port 8080 taken by another"),
        pytest.param({"listeners": {8080: ""}}, port_taken(8080, "a process that cannot be named"), id="port 8080 taken by a stranger"),
        pytest.param({"listeners": {8080: "java"}}, port_taken(8080, "java"), id="port 8080 taken by another Java, PEC is stopped"),
        pytest.param(
            {"listeners": {8080: "nginx"}, "active_units": ("e-SUS-PEC.service",)},
            port_taken(8080, "nginx"),
            id="port 8080 taken though PEC's unit is active",
        ),
        pytest.param(
            {"listeners": {5432: "mysqld"}},
            "error [port_taken] port 5432 is taken by mysqld. "
            "What to do: stop it, or set pec_database_port to the port of this host's PostgreSQL.",
            id="the database's port taken",
        ),
        pytest.param(
            {"listeners": {5432: ""}, "possible_listeners": {5432: ("bash", "mysqld")}, "accounts": {5432: "mysql"}},
            "error [port_taken] port 5432 is taken by a process of the account mysql that cannot be named. "
            "What to do: stop it, or set pec_database_port to the port of this host's PostgreSQL.",
            id="the database's port taken by another account",
        ),
        pytest.param(
            {"listeners": {5432: ""}, "installed_state": "installed", "installed_connection": WANTED.database.connection},
            "warning [port_unknown] port 5432 is taken by a process that cannot be named, which is believed to be the database of the PEC "
            "on this host. What to do: check it by: ss -ltnp sport = :5432.",
            id="the database in use, which cannot be named",
        ),
        pytest.param(
            {"listeners": {8080: ""}, "accounts": {8080: "root"}, "possible_listeners": {8080: ("java", "sshd")}, **ACTIVE},
            "warning [port_unknown] port 8080 is taken by a process of the account root that cannot be named, which is believed to be "
            "e-SUS-PEC.service. What to do: check it by: ss -ltnp sport = :8080.",
            id="PEC, which cannot be named",
        ),
        pytest.param(
            {"listeners": {8080: ""}, "accounts": {8080: "www"}, "possible_listeners": {8080: ("nginx", "sh")}, **ACTIVE},
            port_taken(8080, "a process of the account www that cannot be named"),
            id="another account, which has no Java",
        ),
        pytest.param(
            {"another_run": "another run holds the lock"},
            "error [another_run] another run holds the lock. "
            "What to do: let it finish; two installations at once would destroy each other.",
            id="two runs at once",
        ),
    ],
)
def test_host(facts: dict[str, Any], text: str) -> None:
    assert found(facts, {}) == [text]


@pytest.mark.parametrize(
    ("facts", "wishes"),
    [
        pytest.param({"listeners": {8080: "java"}, "active_units": ("e-SUS-PEC.service",)}, {}, id="PEC itself has port 8080"),
        pytest.param({"listeners": {5432: "postgres"}}, {}, id="PostgreSQL is here already"),
        pytest.param({"listeners": {5432: ""}, "possible_listeners": {5432: ("bash", "postgres")}}, {}, id="its account runs PostgreSQL"),
        pytest.param({"listeners": {5432: ""}, "database": DatabaseSeen(authentication="md5")}, {}, id="it answers as PostgreSQL does"),
        pytest.param({"listeners": {80: "nginx", 443: "nginx", 5433: "x"}}, {}, id="ports that only certmgr and the bundled database need"),
        pytest.param(
            {"listeners": {5433: "postgres"}, "active_units": ("e-SUS-AB-PostgreSQL.service",)},
            {"database": DatabaseWanted("bundled")},
            id="the bundled database runs",
        ),
        pytest.param(
            {"installed_state": "installed", "installed_version": "5.4.37", "places": (Place("home", "/opt/e-SUS", 1, 120 * GB, GB),)},
            {},
            id="little room, but nothing will be installed",
        ),
    ],
)
def test_host_is_fine(facts: dict[str, Any], wishes: dict[str, Any]) -> None:
    assert found(facts, wishes) == []


def test_ports_of_certmgr_and_of_the_bundled_database() -> None:
    wishes = {"certificate_port": 443, "database": DatabaseWanted("bundled")}
    codes = found({"listeners": {80: "nginx", 443: "nginx", 5433: "postgres"}}, wishes)
    assert codes[:2] == [port_taken(80, "nginx"), port_taken(443, "nginx")]
    assert codes[2].startswith("error [port_taken] port 5433 is taken by postgres")


@pytest.mark.parametrize(
    ("users", "line"),
    [(1, 40), (40, 40), (41, 100), (100, 100), (1000, 1000), (2500, 2500), (2501, 4000), (9999, 4000)],
)
def test_line_of_the_official_table(users: int, line: int) -> None:
    assert official_size(users).users == line


def test_the_official_table_grows() -> None:
    assert list(OFFICIAL_SIZES) == sorted(OFFICIAL_SIZES, key=lambda size: (size.users, size.database_memory_gb, size.database_disk_gb))


def test_many_users_want_a_second_host() -> None:
    codes = [text.split("]")[0] for text in found({}, {"simultaneous_users": 5000})]
    assert codes == [f"warning [{code}" for code in ("beyond_table", "one_host", "memory", "processors", "disk")]
    external = found({"places": HERE.places[:1]}, {"simultaneous_users": 100, "database": DatabaseWanted("external", password="s")})
    assert external == [], "with its own host for the database, 8 GB and 100 GB are enough for 100 users"


@pytest.mark.parametrize(
    ("facts", "wishes", "text"),
    [
        pytest.param({}, {"jars": ()}, f"error [no_jar] no installer is named. What to do: {WAYS}.", id="no jar"),
        pytest.param(
            {},
            {"jars": ("/a.jar", "/b.jar")},
            f"error [many_jars] 2 installers are named: /a.jar, /b.jar. What to do: {WAYS.replace('one', 'exactly one')}.",
            id="two jars",
        ),
        pytest.param(
            {},
            {"jars": ("C/eSUS-AB-PEC-5.4.37-Win64.jar",)},
            "error [windows_jar] eSUS-AB-PEC-5.4.37-Win64.jar is the installer for Windows. "
            "What to do: use the one whose name ends in -Linux64.jar.",
            id="Windows jar on Linux",
        ),
        pytest.param(
            {},
            {"jars": ("C/eSUS-AB-PEC-5.4.37-Win64.jar",), "jar_problem": "eSUS-AB-PEC-5.4.37-Win64.jar is the installer for Windows; x"},
            "error [windows_jar] eSUS-AB-PEC-5.4.37-Win64.jar is the installer for Windows. "
            "What to do: use the one whose name ends in -Linux64.jar.",
            id="Windows jar on the controller is told once",
        ),
        pytest.param(
            {},
            {"jar_file": "C/a.jar", "jar_problem": "C/a.jar is not a jar; download it again"},
            "error [jar] jar_file: C/a.jar is not a jar. What to do: download it again.",
            id="another file on the controller",
        ),
        pytest.param(
            {"download_problem": ("https://a.br/a.jar is answered with 404 (Not Found)", "correct pec_install_jar_url")},
            {},
            "error [jar_url] https://a.br/a.jar is answered with 404 (Not Found). What to do: correct pec_install_jar_url.",
            id="no download",
        ),
        pytest.param(
            {},
            {"jars": ("https://a.br/eSUS-AB-PEC-5.4.37-Linux64.jar",), "jar_sha256": "sha256:" + "0" * 57},
            f"error [sha256] 'sha256:{'0' * 57}' is not a SHA-256; it has 64 hexadecimal digits. "
            "What to do: correct pec_install_jar_sha256 from a source that you trust.",
            id="no SHA-256",
        ),
        pytest.param(
            {},
            {"jars": ("https://a.br/eSUS-AB-PEC-5.4.37-Linux64.jar?x=1",)},
            "error [no_sha256] eSUS-AB-PEC-5.4.37-Linux64.jar is downloaded, but its SHA-256 is not known. "
            "What to do: set pec_install_jar_sha256 from a source that you trust.",
            id="download without its SHA-256",
        ),
        pytest.param(
            {},
            {"version": "5.4"},
            "error [version] '5.4' is not a version of PEC. What to do: set pec_install_version to three numbers, such as 5.4.37.",
            id="half a version",
        ),
        pytest.param(
            {"installed_state": "installed", "installed_version": "5.5.28"},
            {},
            "error [downgrade] PEC 5.5.28 is installed here and the requested 5.4.37 is older; PEC cannot be downgraded. "
            "What to do: request 5.5.28 or newer, or restore a backup that was made with 5.4.37.",
            id="downgrade, by the jar's name",
        ),
        pytest.param(
            {"installed_state": "installed", "installed_version": "5.4.9"},
            {"version": "5.4.37", "jars": None},
            "error [update_not_allowed] PEC 5.4.9 is installed here and 5.4.37 is requested; an update changes the database and cannot be "
            "undone. What to do: make a backup and try to restore it, then set pec_install_update: true.",
            id="update without leave; 9 is older than 37",
        ),
        pytest.param(
            {"installed_state": "broken", "installed_reasons": ("no standalone.sh", "no unit")},
            {},
            "warning [installation_broken] PEC's installation on this host is not complete: no standalone.sh; no unit. "
            "What to do: the installation goes on from there; if it fails, these are the first things to look at.",
            id="a broken installation does not stop its repair",
        ),
    ],
)
def test_installation(facts: dict[str, Any], wishes: dict[str, Any], text: str) -> None:
    assert found(facts, wishes) == [text]


@pytest.mark.parametrize(
    ("facts", "wishes"),
    [
        pytest.param({"installed_state": "installed", "installed_version": "5.4.37"}, {}, id="the same version"),
        pytest.param({"installed_state": "installed", "installed_version": "5.4.9"}, {"update": True}, id="update with leave"),
        pytest.param({"installed_state": "installed", "installed_version": "5.5.28"}, {"jars": ("/srv/pec.jar",)}, id="renamed jar"),
        pytest.param({}, {"jars": ("https://a.br/x.jar",), "jar_sha256": "0" * 64}, id="download with its SHA-256"),
        pytest.param({}, {"jars": None}, id="the installer is not this run's business"),
    ],
)
def test_installation_is_fine(facts: dict[str, Any], wishes: dict[str, Any]) -> None:
    assert found(facts, wishes) == []


@pytest.mark.parametrize(
    ("wishes", "text"),
    [
        pytest.param(
            {"domain": "https://esus.a.br"},
            "error [domain] the domain 'https://esus.a.br' is not a plain domain name: it starts with the scheme 'https://'; "
            "write esus.a.br. What to do: correct pec_domain.",
            id="domain with https://",
        ),
        pytest.param(
            {"domain": "", "first_run": None, "certificate_port": 443},
            "error [domain] the domain is empty; give the name under which people open PEC, such as esus.municipio.uf.gov.br. "
            "What to do: correct pec_domain.",
            id="certificate without a domain",
        ),
        pytest.param(
            {"first_run": replace(ANA, instalador_cpf="529.982.247-24")},
            "error [instalador_cpf] the CPF ***.982.247-** has wrong check digits; compare all 11 digits with the person's document. "
            "What to do: correct pec_instalador_cpf.",
            id="CPF with wrong digits",
        ),
        pytest.param(
            {"first_run": replace(ANA, instalador_password="segredo-secreto")},
            "error [instalador_password] the instalador's password has no digit; PEC requires at least one. "
            "What to do: choose a pec_instalador_password that PEC accepts.",
            id="weak instalador password",
        ),
        pytest.param(
            {"first_run": replace(ANA, name=" ")},
            "error [first_run_name] the name of the installation is empty. "
            "What to do: set pec_first_run_name, such as the município's name.",
            id="no name",
        ),
        pytest.param(
            {"domain": ""},
            "error [first_run_link] there is no link under which people open PEC. What to do: set pec_domain, or pec_first_run_link.",
            id="no link",
        ),
        pytest.param(
            {"first_run": replace(ANA, type="HOSPITAL")},
            "error [first_run_type] PEC has no installation of the type 'HOSPITAL'. "
            "What to do: set pec_first_run_type to PRONTUARIO or CENTRALIZADORA.",
            id="no such type",
        ),
        pytest.param(
            {"first_run": replace(ANA, instalador_name="")},
            "error [instalador_name] the name of the instalador is empty. "
            "What to do: set pec_first_run_instalador_name to the person's full name.",
            id="no instalador",
        ),
    ],
)
def test_site(wishes: dict[str, Any], text: str) -> None:
    assert found({}, wishes) == [text]


def test_a_domain_that_this_host_does_not_find() -> None:
    assert found({"domain_resolves": False}, {}) == [
        "warning [domain_unresolved] this host cannot resolve esus.a.br, and PEC rejects a link that it cannot open itself. "
        "What to do: correct the DNS, or set pec_prerequisites_hosts_entry: true."
    ]
    assert found({"domain_resolves": False}, {"hosts_entry": True}) == []
    assert found({"domain_resolves": True}, {}) == []


WITH_HTTPS = "set pec_https_mode, so that esus.pec.configure provides HTTPS and then changes the link, or "


@pytest.mark.parametrize(
    ("link", "https", "state", "text"),
    [
        pytest.param(
            "",
            None,
            "unanswered",
            "error [link_unanswered] nothing answers at https://esus.a.br, and PEC rejects a link that it cannot open itself. "
            f"What to do: {WITH_HTTPS}set pec_first_run_link to http://esus.a.br:8080.",
            id="nobody provides HTTPS",
        ),
        pytest.param(
            "https://esus.a.br",
            Https("esus.a.br", 8443),
            "unanswered",
            "error [link_unanswered] nothing answers at https://esus.a.br, and PEC rejects a link that it cannot open itself. "
            "What to do: set pec_first_run_link to https://esus.a.br:8443.",
            id="HTTPS on another port",
        ),
        pytest.param(
            "http://esus.a.br/",
            None,
            "unanswered",
            "error [link_unanswered] nothing answers at http://esus.a.br, and PEC rejects a link that it cannot open itself. "
            "What to do: set pec_first_run_link to http://esus.a.br:8080.",
            id="a port on which PEC does not listen",
        ),
        pytest.param(
            "https://outro.a.br",
            Https("esus.a.br"),
            "unresolved",
            "error [link_unresolved] this host cannot resolve outro.a.br, and PEC rejects a link that it cannot open itself. "
            "What to do: correct the DNS, or set pec_prerequisites_hosts_entry: true, which is for pec_domain.",
            id="another name",
        ),
        pytest.param(
            "http://esus.a.br:8080",
            Https("esus.a.br"),
            "",
            "warning [link_without_https] the link is http://esus.a.br:8080, and HTTPS will be at https://esus.a.br. "
            "What to do: set pec_first_run_link to https://esus.a.br; until HTTPS is there, the first run uses a link with http.",
            id="a link that HTTPS makes wrong",
        ),
    ],
)
def test_a_link_that_pec_cannot_open(link: str, https: Https | None, state: str, text: str) -> None:
    assert found(
        {"link_state": state, "domain_resolves": state != "unresolved"}, {"first_run": replace(ANA, link=link), "https": https}
    ) == [text]


@pytest.mark.parametrize("link", ["", "https://esus.a.br", "https://ESUS.a.br:443/"])
def test_a_link_whose_https_comes_later(link: str) -> None:
    assert found({}, {"first_run": replace(ANA, link=link), "https": Https("esus.a.br")}) == []


@pytest.mark.parametrize("link", ["https://", "https://:443", "https://esus.a.br:x", "https://[::1", "http://esus a.br"])
def test_a_link_that_leads_nowhere(link: str) -> None:
    assert [text.partition("]")[0] for text in found({}, {"first_run": replace(ANA, link=link)})] == ["error [first_run_link"]


def test_only_the_chosen_checks_speak() -> None:
    facts = {"uid": 7, "init_name": "sh"}
    assert found(facts, {"checks": ("site",)}) == []
    assert len(found(facts, {"checks": ("host",), "jars": ()})) == 2


def test_everything_at_once_errors_first() -> None:
    facts = replace(HERE, uid=1000, processors=1, installed_state="installed", installed_version="5.5.28")
    wishes = replace(WANTED, domain="x", first_run=replace(ANA, instalador_cpf="1", instalador_password=""))
    text = describe(judge(facts, wishes))
    lines = text.splitlines()
    assert lines[0] == "This host is not ready for PEC: 5 errors, 1 warning. Correct every error, then run again."
    assert [line.split()[0] for line in lines[1:]] == ["ERROR"] * 5 + ["WARNING"]
    assert all("What to do: " in line for line in lines[1:])


def test_an_accepted_error_becomes_a_warning() -> None:
    assert found({"memory_bytes": GB}, {"accepted": ("memory",)}) == [
        "warning [memory] this host has 1 GB of memory; below 4 GB PEC's migrations die (accepted). What to do: give it 8 GB."
    ]


def test_secrets_stay_out_of_representations() -> None:
    wishes = replace(WANTED, database=DatabaseWanted("external", password="only-for-psql"))
    assert "only-for-psql" not in repr(wishes)
    assert ANA.instalador_password not in repr(wishes)
    assert ANA.instalador_cpf not in repr(wishes)
