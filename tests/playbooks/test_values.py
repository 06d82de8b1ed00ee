# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles write to files line by line, and the units that result: the real roles, in check mode on this machine."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
LINES = {
    "pec_backup": [
        "pec_backup_on_failure",
        "pec_backup_schedule",
        "pec_backup_randomized_delay",
        "pec_backup_directory",
        "pec_backup_extra_paths",
    ],
    "pec_install": [
        "pec_install_java_options",
        "pec_install_service_after",
        "pec_install_installer_java_options",
        "pec_install_cache_directory",
    ],
    "pec_prerequisites": ["pec_domain", "pec_timezone", "pec_prerequisites_locale", "pec_prerequisites_hosts_address"],
    "pec_database": ["pec_database_name", "pec_database_username", "pec_database_settings"],
    "pec_https": ["pec_https_domain", "pec_https_upload_limit", "pec_https_renew_on_failure", "pec_https_certificate_path"],
    "pec_restore": [
        "pec_restore_path",
        "pec_restore_directory",
        "pec_restore_url_directory",
        "pec_restore_identity_path",
        "pec_restore_update_jar",
    ],
}
PATHS = {
    "pec_backup": ["pec_backup_directory", "pec_backup_extra_paths"],
    "pec_install": ["pec_install_jar_path", "pec_install_cache_directory", "pec_install_log_directory", "pec_install_installer_java"],
    "pec_https": ["pec_https_jar_path", "pec_https_keystore_path", "pec_https_certificate_path", "pec_https_key_path"],
    "pec_restore": [
        "pec_restore_path",
        "pec_restore_directory",
        "pec_restore_url_directory",
        "pec_restore_identity_path",
        "pec_restore_update_jar",
    ],
}
GIVEN = {
    "pec_install": {"pec_install_jar_path": "/srv/pec.jar"},
    "pec_https": {"pec_https_mode": "proxy"},
    "pec_restore": {"pec_restore_path": "/srv/a.dump"},
}
LISTS = ("_options", "_after", "_failure", "_paths")


class Ansible:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        collection = directory / "collections/ansible_collections/esus"
        collection.mkdir(parents=True)
        (collection / "pec").symlink_to(ROOT)

    def run(self, tasks: list[dict[str, Any]], **variables: Any) -> subprocess.CompletedProcess[str]:
        play = self.directory / "play.yml"
        play.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")
        given = {"ansible_python_interpreter": sys.executable, "ansible_facts": {"os_family": "Debian", "pkg_mgr": "apt"}, **variables}
        argv = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", "-c", "local", "--check", str(play)]
        environment = {
            **os.environ,
            "ANSIBLE_NOCOLOR": "true",
            "ANSIBLE_HOME": str(self.directory / "home"),
            "ANSIBLE_COLLECTIONS_PATH": str(self.directory / "collections"),
        }
        return subprocess.run([*argv, "-e", json.dumps(given)], capture_output=True, text=True, env=environment, timeout=120, check=False)

    def template(self, source: Path, role: str, **variables: Any) -> str:
        """Render a template with a role's variables."""
        variables = {**defaults("pec"), **constants("pec"), **defaults(role), **constants(role), **variables}
        target = self.directory / "rendered"
        target.unlink(missing_ok=True)
        task = {"ansible.builtin.template": {"src": str(source), "dest": str(target)}, "check_mode": False, "vars": variables}
        ended = self.run([task])
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return target.read_text(encoding="utf-8")


def defaults(role: str) -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / f"roles/{role}/defaults/main.yml").read_text(encoding="utf-8")))


def constants(role: str) -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / f"roles/{role}/vars/main.yml").read_text(encoding="utf-8")))


@pytest.fixture
def ansible(tmp_path: Path) -> Ansible:
    return Ansible(tmp_path)


def shaped(name: str, value: str) -> Any:
    return {"name": value} if name.endswith("_settings") else [value] if name.endswith(LISTS) else value


def answers(ansible: Ansible, role: str, names: list[str], values: list[str]) -> dict[tuple[str, str], str]:
    """What the role answers to one value of each variable and to each value of one: blocks that go on, so that one run is enough."""
    tasks: list[dict[str, Any]] = []
    cases = [*((name, values[0]) for name in names), *((names[0], value) for value in values[1:])]
    for number, (name, value) in enumerate(cases):
        include = {"name": f"esus.pec.{role}", "tasks_from": "main" if role == "pec_prerequisites" else "preflight"}
        tasks.append(
            {
                "block": [{"include_role": include, "vars": {**GIVEN.get(role, {}), name: shaped(name, value)}}],
                "rescue": [{"debug": {"msg": f"<{number}> {{{{ (ansible_failed_result.results | selectattr('failed') | first).msg }}}}"}}],
            }
        )
    said = dict(re.findall(r'"<(\d+)> (.*)"', ansible.run(tasks).stdout))
    return {case: said.get(str(number), "") for number, case in enumerate(cases)}


@pytest.mark.parametrize("role", LINES)
def test_a_value_that_would_write_lines_of_its_own(ansible: Ansible, role: str) -> None:
    values = ["/a\n[Service]\nExecStartPre=/bin/evil", "/a\n", "/a\rUser=root", "/a\0b"]
    for (name, _value), answer in answers(ansible, role, LINES[role], values).items():
        assert answer.startswith(f"{name} has a line break or another control character in it; ")


@pytest.mark.parametrize("role", PATHS)
def test_a_path_that_would_mean_something_else(ansible: Ansible, role: str) -> None:
    values = ["$HOME/x", "/srv/$HOME", "/srv/${HOME}/x", "~/x", "~root/x", "relative"]
    for (name, value), answer in answers(ansible, role, PATHS[role], values).items():
        assert answer.startswith(f"{name} is ") and value in answer and "set it to an absolute path that is written out" in answer


SECRETS = [
    ("pec_certificate", "preflight", "pec_certificate_password", {"pec_certificate_path": "/srv/a.pfx"}),
    ("pec_https", "preflight_keystore", "pec_https_keystore_password", {}),
    ("pec_govbr", "preflight", "pec_govbr_client_secret", {}),
    ("pec_govbr", "configure", "pec_govbr_client_secret", {}),
    ("pec_first_run", "main", "pec_instalador_password", {"pec_first_run_enabled": True}),
    ("pec_database", "preflight", "pec_database_password", {}),
    ("pec_database", "preflight", "pec_database_read_only_password", {}),
    ("pec_preflight", "main", "pec_database_password", {}),
    ("pec_preflight", "main", "pec_instalador_password", {"pec_first_run_enabled": True}),
    ("pec_install", "preflight", "pec_database_password", {}),
    ("pec_restore", "preflight", "pec_restore_admin.password", {}),
    ("pec_restore", "preflight", "pec_restore_database.password", {}),
    ("pec_restore", "preflight", "pec_restore_url", {}),
    ("pec_backup", "preflight", "pec_backup_database.password", {}),
    ("pec_delivery", "preflight", "pec_delivery_config", {}),
    ("pec_backup", "rehearse", "pec_backup_rehearse_admin.password", {}),
    ("pec_services", "preflight", "pec_instalador_password", {"pec_services_settings": {"horus": True}}),
    ("pec_services", "main", "pec_services_new_password", {}),
    ("pec_services", "preflight", "pec_smtp_password", {"pec_smtp_host": "mail.example"}),
    ("pec_transfer", "values", "pec_transfer_admin.password", {}),
    ("pec_contra_chave", "preflight", "contra_chave", {}),
    ("pec_contra_chave", "configure", "chave", {}),
]


# Base64, private keys, files of several lines, and a word that begins with letters, which are never a number.
NEVER_NUMBERS = {"pec_certificate_content", "pec_restore_identity", "pec_backup_rehearse_identity", "pec_backup_proof"}
NEVER_NUMBERS |= {"pec_transfer_identity", "pec_transfer_source_ssh.key", "pec_transfer_rclone_config", "pec_restore_rclone_config"}


def secrets(options: dict[str, Any], inside: str = "") -> set[str]:
    found = {inside + name for name, spec in options.items() if spec.get("no_log")}
    return found.union(*(secrets(spec.get("options", {}), f"{name}.") for name, spec in options.items()))


def test_every_secret_of_a_role_is_tried() -> None:
    documented: set[str] = set()
    for path in ROOT.glob("roles/*/meta/argument_specs.yml"):
        for entry in yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"].values():
            documented |= {name.replace("pec_contra_chave_values.", "") for name in secrets(entry.get("options", {}))}
    assert len(documented) > 12
    assert documented - NEVER_NUMBERS == {name for _role, _entry, name, _given in SECRETS}


def test_a_secret_that_yaml_read_as_a_number(ansible: Ansible) -> None:
    """Every secret of every role, before anything uses it, and whatever versions of Ansible make of it on the way to a module."""
    tasks: list[dict[str, Any]] = []
    for number, (role, entry, name, given) in enumerate(SECRETS):
        variable, _dot, inner = name.partition(".")
        variables = {**given, variable: {"username": "x", inner: 342391} if inner else 342391}
        if role == "pec_contra_chave":
            entries = [{"purpose": "agendamento", "contra_chave": "A"}, {"purpose": "instalacao", "contra_chave": "A", name: 342391}]
            variables = {"pec_ibge_code": "2927408", "pec_contra_chave_values": entries}
        include = {"include_role": {"name": f"esus.pec.{role}", "tasks_from": entry}, "vars": variables}
        tasks.append({"block": [include], "rescue": [{"debug": {"msg": f"<{number}> {{{{ ansible_failed_result.msg }}}}"}}]})
    ended = ansible.run(tasks)
    said = dict(re.findall(r'"<(\d+)> (.*)"', ended.stdout))
    for number, (role, _entry, name, _given) in enumerate(SECRETS):
        answer = said.get(str(number), "")
        assert (name in answer and "without quotes" in answer) or f"{name}: the value has no quotes" in answer, (role, name, answer)
        assert "in quotes" in answer
    assert "342391" not in ended.stdout + ended.stderr


def test_a_secret_whose_variable_of_the_vault_is_missing(ansible: Ansible) -> None:
    """It is told as undefined, whatever uses it first, and never taken for an empty one."""
    tasks: list[dict[str, Any]] = []
    for number, (role, entry, name, given) in enumerate(SECRETS):
        variable, _dot, inner = name.partition(".")
        missing = "{{ vault_missing }}"
        variables = {**given, variable: {"username": "x", inner: missing} if inner else missing}
        if role == "pec_contra_chave":
            entries = [{"purpose": "instalacao", "contra_chave": "A", "ibge_code": "2927408"}, {"purpose": "agendamento", name: missing}]
            variables = {"pec_ibge_code": "2927408", "pec_contra_chave_values": entries}
        include = {"include_role": {"name": f"esus.pec.{role}", "tasks_from": entry}, "vars": variables}
        failed = "ansible_failed_result.results | default([ansible_failed_result]) | selectattr('failed', 'true') | first"
        tasks.append({"block": [include], "rescue": [{"debug": {"msg": f"<{number}> {{{{ ({failed}).msg }}}}"}}]})
    said = dict(re.findall(r'"<(\d+)> (.*)"', ansible.run(tasks).stdout))
    for number, (role, _entry, name, _given) in enumerate(SECRETS):
        assert "'vault_missing' is undefined" in said.get(str(number), ""), (role, name, said.get(str(number)))


def test_a_secret_in_quotes(ansible: Ansible) -> None:
    names = {"a": "01234567", "b": {"password": "01234567"}, "c": {"username": "x"}, "d": {}, "e": "", "f": None}
    include = {"include_role": {"name": "esus.pec.pec", "tasks_from": "secrets"}, "vars": {"pec_secrets_names": list(names), **names}}
    ended = ansible.run([include])
    assert ended.returncode == 0, ended.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
@pytest.mark.parametrize("kind", ["root's", "account", "everybody", "group"])
def test_a_directory_of_installers_that_another_account_could_lead_elsewhere(ansible: Ansible, kind: str) -> None:
    """Its owner would put a link to one of root's there, which the role would open to everybody."""
    with tempfile.TemporaryDirectory(dir="/var/cache") as above:
        place = Path(above)
        place.chmod({"everybody": 0o777, "group": 0o775}.get(kind, 0o755))
        os.chown(place, 4711 if kind == "account" else 0, 4711 if kind == "group" else 0)
        (place / "b").symlink_to("/root")
        cache = str(place / "b") if kind != "root's" else str(place / "c/d")
        roles = [{"name": "esus.pec.pec_install", "tasks_from": entry} for entry in ("values", "install")]
        variables = {"pec_install_cache_directory": cache, "pec_install_jar_url": "http://127.0.0.1:1/eSUS-AB-PEC-5.4.37-Linux64.jar"}
        said = ansible.run([{"include_role": role, "vars": variables} for role in roles]).stdout
        assert (f"Another account than root can change {place}; set pec_install_cache_directory to " in said) == (kind != "root's"), said
        assert ("TASK [esus.pec.pec_install : Make the directory of installers]" in said) == (kind == "root's"), said


def test_a_path_that_means_itself(ansible: Ansible) -> None:
    paths = ['/srv/it\'s "50%" \\\\x $(touch a) $ ç', "/srv/a~b"]
    tasks = [
        {
            "include_role": {"name": "esus.pec.pec", "tasks_from": "values"},
            "vars": {"pec_values_lines": {}, "pec_values_paths": {"a": paths}},
        }
    ]
    ended = ansible.run(tasks)
    assert ended.returncode == 0, ended.stdout


def unit(ansible: Ansible, program: str, role: str, **changes: Any) -> str:
    includes = {
        "backup": ROOT / "roles/pec_backup/tasks/service.yml",
        "renewal": ROOT / "roles/pec_https/tasks/configure_certmgr.yml",
    }
    tasks = yaml.safe_load(includes[program].read_text(encoding="utf-8"))
    variables = next(task["vars"] for task in tasks if task.get("ansible.builtin.include_role", {}).get("tasks_from") == "timer")
    info = {"pec": {"services": {"database": {"name": "e-SUS-AB-PostgreSQL.service"}}}}
    return ansible.template(
        ROOT / "roles/pec/templates/program.service.j2",
        role,
        **{"__pec_backup_info": info, "ansible_check_mode": False, **variables, **changes},
    )


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd on this machine")
@pytest.mark.parametrize(("program", "role", "exposure"), [("backup", "pec_backup", 28), ("renewal", "pec_https", 21)])
def test_the_services_have_no_more_power_than_they_need(ansible: Ansible, program: str, role: str, exposure: int) -> None:
    path = ansible.directory / f"esus-pec-{program}.service"
    path.write_text(unit(ansible, program, role), encoding="utf-8")
    argv = ["systemd-analyze", "security", "--offline=true", f"--threshold={exposure}", "--no-pager", str(path)]
    ended = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    argv[3] = f"--threshold={exposure - 1}"
    assert subprocess.run(argv, capture_output=True, check=False).returncode != 0, "the threshold is not what it is measured to be"


@pytest.mark.parametrize(
    ("changes", "private"),
    [
        ({}, "yes"),
        ({"pec_backup_directory": "/tmp/backups"}, "no"),
        ({"pec_backup_extra_paths": ["/srv/a", "/var/tmp"]}, "no"),
        ({"pec_backup_database": {"host": "/tmp"}}, "no"),
        ({"pec_backup_database": {"host": "db.tmp"}}, "yes"),
    ],
)
def test_a_backup_sees_the_tmp_that_it_is_told_to_use(ansible: Ansible, changes: dict[str, Any], private: str) -> None:
    assert f"\nPrivateTmp={private}\n" in unit(ansible, "backup", "pec_backup", **changes)


def test_what_java_gets_is_what_was_set(ansible: Ansible) -> None:
    options = ['-Da="b c"', "-Dd=\\e", "-Df=%i$HOME"]
    text = ansible.template(ROOT / "roles/pec_install/templates/esus-pec.conf.j2", "pec_install", pec_install_java_options=options)
    assert 'Environment="JAVA_TOOL_OPTIONS=-Da=\\"b c\\" -Dd=\\\\e -Df=%%i$HOME"\n' in text


@pytest.fixture
def pec(tmp_path: Path) -> dict[str, Any]:
    """What the module info returns of a PEC whose installer left its unit aside."""
    webserver = tmp_path / "e-SUS/webserver"
    (webserver / "config").mkdir(parents=True)
    paths = {"webserver": webserver, "config_directory": webserver / "config"}
    for name, file in (("standalone", "standalone.sh"), ("unit_template", "e-SUS-PEC.service")):
        paths[name] = webserver / file
        paths[name].touch(0o755)
    return {
        "services": {"pec": {"name": "x.service", "present": False, "user": None}},
        "paths": {name: str(path) for name, path in paths.items()},
    }


PLACES = ["", "webserver", "webserver/config", "webserver/standalone.sh"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("place", PLACES)
def test_a_unit_of_root_starts_nothing_that_another_account_can_change(
    ansible: Ansible, tmp_path: Path, pec: dict[str, Any], place: str
) -> None:
    os.chown(tmp_path / "e-SUS" / place, 65533, 65533)
    output = seen(ansible, pec)
    assert "<65533 False>" in output
    assert f"chown root {tmp_path / 'e-SUS' / place}".rstrip("/") + ";" in refusal(output)
    variables = {"__pec_install_info": {"pec": pec}, "_pec_install_account": 65533}
    assert "\nUser=65533\n" in ansible.template(ROOT / "roles/pec_install/templates/pec.service.j2", "pec_install", **variables)


@pytest.mark.parametrize("place", PLACES)
def test_a_pec_that_every_account_can_change_is_closed(ansible: Ansible, tmp_path: Path, pec: dict[str, Any], place: str) -> None:
    output = seen(ansible, pec)
    assert "<root True>" in output and refusal(output) == ""
    path = tmp_path / "e-SUS" / place
    mode = path.stat().st_mode & 0o777
    path.chmod(mode | 0o022)
    output = seen(ansible, pec)
    assert f"<root {place == 'webserver/standalone.sh'}>" in output and refusal(output) == ""
    assert path.stat().st_mode & 0o777 == mode


def seen(ansible: Ansible, pec: dict[str, Any]) -> str:
    """The output of the service's first tasks: the account, whether the unit that was left aside is used, and the refusal."""
    tasks = yaml.safe_load((ROOT / "roles/pec_install/tasks/service.yml").read_text(encoding="utf-8"))
    first = next(index for index, task in enumerate(tasks) if task.get("register") == "__pec_install_places")
    report = {"debug": {"msg": "<{{ _pec_install_account }} {{ _pec_install_template_is_ours }}>"}}
    service = {**pec["services"]["pec"], "present": True}
    variables = {**constants("pec_install"), "__pec_install_info": {"pec": {**pec, "services": {"pec": service}}}}
    return ansible.run(
        [tasks[first], report, *({**task, "check_mode": False} for task in tasks[first + 1 : first + 3])], **variables
    ).stdout


def refusal(output: str) -> str:
    return next((line for line in output.splitlines() if "runs as root, but another account" in line), "")
