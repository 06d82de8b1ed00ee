# SPDX-License-Identifier: GPL-3.0-or-later
"""From what was seen to the lines of the report."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from doctor_example import ABSENT, GB, HERE, PATHS, SETTINGS, VALUES

from ansible_collections.esus.pec.plugins.module_utils.beliefs import BELIEFS, PEC_UNIT
from ansible_collections.esus.pec.plugins.module_utils.doctor import examining
from ansible_collections.esus.pec.plugins.module_utils.doctor.facts import (
    CredentialsSeen,
    DatabaseSeen,
    Facts,
    JarSeen,
    Keys,
    WebSeen,
)
from ansible_collections.esus.pec.plugins.module_utils.doctor.model import BELIEF_ENTRIES, QUESTIONS, RULES, Line
from ansible_collections.esus.pec.plugins.module_utils.pec.installation import Https, Installation
from ansible_collections.esus.pec.plugins.module_utils.system.host import Disk, Listener
from ansible_collections.esus.pec.plugins.module_utils.system.systemd import Unit


def examine(facts: Facts) -> dict[str, Line]:
    return {f"{line.section}/{line.id}": line for line in examining.examine(facts)}


def changed(part: str, **fields: Any) -> Facts:
    """The healthy server with one part seen differently; part is a field of Facts, or empty for Facts itself."""
    return replace(HERE, **fields) if not part else replace(HERE, **{part: replace(getattr(HERE, part), **fields)})


def with_path(name: str, **fields: Any) -> Facts:
    return changed("files", paths={**PATHS, name: replace(PATHS[name], **fields)})


def test_every_belief_has_an_entry_and_nothing_else_has() -> None:
    assert sorted(BELIEF_ENTRIES) == sorted(belief.id for belief in BELIEFS)


def test_ids_are_unique_and_rules_name_beliefs_that_exist() -> None:
    lines = [entry.blank for entry in (*RULES, *QUESTIONS)]
    names = Counter([*BELIEF_ENTRIES, *(line.id for line in lines)])
    assert [name for name, count in names.items() if count > 1] == []
    touched = {belief for line in lines for belief in line.beliefs}
    assert touched - set(VALUES) == set()


def test_a_healthy_server_diverges_nowhere() -> None:
    lines = examining.examine(HERE)
    assert [(line.id, line.found) for line in lines if line.status == "diverges"] == []
    assert examining.summarize(lines)["total"] == len(lines) == len(BELIEFS) + len(RULES) + len(QUESTIONS)
    assert all(line.expected and line.found and line.title for line in lines)
    assert [line.id for line in lines if "{" in line.title + line.expected] == []


def test_every_rule_has_a_remedy_which_is_told_only_when_needed() -> None:
    assert all(rule.blank.remedy for rule in RULES)
    assert all(not line.remedy for line in examining.examine(HERE))
    assert examine(changed("host", remove_ipc=True))["rule/semaphores"].remedy.startswith("defina RemoveIPC=no")


def test_without_pec_the_machine_is_examined_and_the_rest_says_why_not() -> None:
    lines = examine(ABSENT)
    assert lines["belief/init-name"].status == "ok"
    assert lines["rule/memory"].status == "ok"
    assert lines["belief/http-port"].status == lines["rule/health"].status == lines["discovery/size"].status == "not_applicable"
    assert lines["belief/http-port"].found == "não há PEC neste servidor"
    assert [line.id for line in examining.examine(ABSENT) if line.status == "diverges"] == []


def test_a_server_of_which_nothing_is_seen_agrees_with_nothing() -> None:
    """A check that cannot look must never answer OK."""
    blind = Facts(Installation("broken"), database=DatabaseSeen(error="psql não existe"))
    agreed = [line.id for line in examining.examine(blind) if line.status == "ok"]
    # What is absent is itself seen: no ssl.properties with no HTTPS, no keys directory, no file of which others could read.
    assert agreed == ["keys-directory", "ssl-properties"]


@pytest.mark.parametrize(
    ("facts", "line", "status", "found"),
    [
        pytest.param(with_path("config-file", kind="absent"), "belief/config-file", "diverges", "ausente", id="no pec.config"),
        pytest.param(changed("files", config=Keys(problem="não é JSON")), "belief/config-file", "diverges", "não é JSON", id="not JSON"),
        pytest.param(
            changed("files", config=Keys(("success", "novo"))), "belief/config-keys", "diverges", "a mais: novo", id="another key"
        ),
        pytest.param(changed("installation", home="/srv/pec"), "belief/homes", "diverges", "/srv/pec", id="another home"),
        pytest.param(with_path("standalone", mode=0o644), "belief/standalone", "diverges", "0644", id="script not executable"),
        pytest.param(with_path("credentials-file", mode=0o644), "belief/credentials-file", "diverges", "0644", id="open credentials"),
        pytest.param(
            changed("files", credentials=CredentialsSeen(("URL", "acesso completo"))),
            "belief/credentials-file",
            "diverges",
            "na ordem URL, acesso completo",
            id="no read login",
        ),
        pytest.param(
            changed("files", application=Keys(("spring.datasource.url",))),
            "belief/datasource-keys",
            "diverges",
            "faltam: spring",
            id="keys",
        ),
        pytest.param(
            replace(with_path("credentials-file", kind="absent"), installation=replace(HERE.installation, custom_database=True)),
            "belief/credentials-file",
            "not_verifiable",
            "com banco próprio",
            id="no credentials beside an external database",
        ),
        pytest.param(
            replace(changed("database", roles={}), installation=replace(HERE.installation, custom_database=True)),
            "belief/read-only-role",
            "not_verifiable",
            "com banco próprio",
            id="no esus_leitura in an external database",
        ),
        pytest.param(
            changed("installation", state="broken", reasons=("x is missing",)),
            "rule/installation",
            "diverges",
            "incompleta (x is missing)",
            id="broken installation",
        ),
        pytest.param(HERE, "belief/govbr-keys", "not_applicable", "não está configurado", id="no Gov.br"),
        pytest.param(
            changed("files", application=Keys(tuple(VALUES["govbr-keys"].split()))), "belief/govbr-keys", "ok", "client-secret", id="Gov.br"
        ),
        pytest.param(
            changed("files", application=Keys(("a.govbr.client-id",))),
            "belief/govbr-keys",
            "diverges",
            "a.govbr.client-id",
            id="half of Gov.br",
        ),
        pytest.param(HERE, "belief/govbr-redirects", "not_verifiable", "um login de verdade", id="registered with Gov.br"),
        pytest.param(HERE, "belief/server-keys", "not_applicable", "nem porta própria", id="no HTTPS by keystore"),
        pytest.param(HERE, "belief/keystore-keys", "not_applicable", "sem HTTPS por keystore", id="no keystore"),
        pytest.param(
            changed("files", application=Keys(("server.port", "server.ssl.key-store", "server.ssl.key-alias"))),
            "belief/keystore-keys",
            "ok",
            "server.ssl.key-alias",
            id="a keystore",
        ),
        pytest.param(
            changed("files", application=Keys(("server.ssl.key-alias", "server.ssl.x"))),
            "belief/keystore-keys",
            "diverges",
            "server.ssl.x",
            id="a key of a keystore that is not known",
        ),
        pytest.param(HERE, "belief/certmgr-since", "ok", "PEC 5.4.37, com certmgr.jar", id="certmgr in a new version"),
        pytest.param(
            replace(HERE, installation=replace(HERE.installation, version="5.2.28")),
            "belief/certmgr-since",
            "diverges",
            "PEC 5.2.28, com certmgr.jar",
            id="certmgr in an old version",
        ),
        pytest.param(
            replace(HERE, installation=replace(HERE.installation, version=None)),
            "belief/certmgr-since",
            "not_verifiable",
            "não é conhecida",
            id="certmgr in no version",
        ),
        pytest.param(
            replace(changed("files", application=Keys(("server.port",))), installation=replace(HERE.installation, http_port=None)),
            "belief/server-keys",
            "diverges",
            "não é uma porta",
            id="a port that is none",
        ),
        pytest.param(
            changed("files", config=Keys(tuple(key for key in VALUES["config-keys"].split() if "database" not in key))),
            "belief/config-keys",
            "ok",
            "9 chaves",
            id="bundled database without its keys",
        ),
        pytest.param(HERE, "belief/ssl-domain-key", "not_applicable", "não há ssl.properties", id="no certmgr"),
        pytest.param(changed("files", ssl=Keys(("certmgr.domain",))), "belief/ssl-domain-key", "ok", "certmgr.domain", id="domain key"),
        pytest.param(
            changed("files", ssl=Keys(("dominio",))), "belief/ssl-domain-key", "diverges", "dominio", id="domain key of another name"
        ),
        pytest.param(changed("files", certmgr_jar=False), "belief/certmgr", "diverges", "sem certmgr.jar", id="certmgr without jar"),
        pytest.param(changed("files", jre_java=""), "belief/jre-current", "diverges", "sem bin/java", id="no Java"),
        pytest.param(changed("files", jre_java="1.8.0_402"), "belief/java-major", "diverges", "1.8.0_402", id="Java 8"),
        pytest.param(
            changed("installation", custom_database=True), "belief/bundled-port", "not_applicable", "próprio", id="external database"
        ),
        pytest.param(changed("host", units={}), "belief/pec-unit", "not_verifiable", "systemd não respondeu", id="no systemd"),
        pytest.param(changed("installation", http_port=8443), "belief/http-port", "not_applicable", "8443", id="another port"),
        pytest.param(
            changed("host", listeners={8080: Listener("nginx", ("0.0.0.0",))}),
            "belief/http-port",
            "diverges",
            "nginx",
            id="another program",
        ),
        pytest.param(
            changed("host", listeners={5433: Listener("postgres", ("0.0.0.0",))}),
            "belief/bundled-port",
            "diverges",
            "0.0.0.0",
            id="open database",
        ),
        pytest.param(changed("host", init_name="tini"), "belief/init-name", "diverges", "tini", id="no systemd as process 1"),
        pytest.param(changed("host", file_of_init=None), "belief/file-program", "diverges", "instale o pacote file", id="no file"),
        pytest.param(HERE, "belief/jar-name", "not_verifiable", "pec_doctor_jar", id="no jar"),
        pytest.param(changed("", jar=JarSeen("/root/pec.jar", "x.Main")), "belief/jar-main-class", "diverges", "x.Main", id="main class"),
        pytest.param(changed("", jar=JarSeen("/root/pec.jar", "x.Main")), "belief/jar-name", "diverges", "pec.jar", id="renamed jar"),
        pytest.param(
            changed("", jar=JarSeen("/j", constants=frozenset(["options"]))), "belief/options", "ok", "classes", id="options in classes"
        ),
        pytest.param(HERE, "belief/exit-code-zero", "not_verifiable", "durante a execução do instalador", id="honest about the installer"),
        pytest.param(HERE, "belief/remove-ipc", "not_verifiable", "RemoveIPC=no", id="a setting proves no failure"),
        pytest.param(changed("", said={"text-semaphores": "/l"}), "belief/remove-ipc", "ok", "/l", id="the failure itself proves it"),
        pytest.param(changed("database", roles={}), "belief/read-only-role", "diverges", "não existe", id="no esus_leitura"),
        pytest.param(changed("database", columns={}), "belief/settings-table", "diverges", "não existe", id="no settings"),
        pytest.param(changed("database", tables=()), "belief/migrations-table", "diverges", "não existe", id="no migrations"),
        pytest.param(
            changed("database", settings={**SETTINGS, "NOMEINSTALACAO": ("ds_binario",)}),
            "belief/name-key",
            "diverges",
            "em ds_binario",
            id="another column",
        ),
        pytest.param(changed("database", settings={}), "belief/link-key", "not_verifiable", "primeira execução", id="before the first run"),
        pytest.param(changed("database", settings={}), "belief/version-key", "diverges", "não está no banco", id="no version"),
        pytest.param(
            changed("database", authentication="scram-sha-256"), "belief/password-encryption", "diverges", "já o conhece", id="SCRAM works"
        ),
        pytest.param(
            replace(changed("database", authentication="scram-sha-256"), web=WebSeen()),
            "belief/password-encryption",
            "not_verifiable",
            "não responde",
            id="SCRAM and PEC is down",
        ),
        pytest.param(changed("database", error="recusou"), "belief/settings-table", "not_verifiable", "recusou", id="no database"),
        pytest.param(changed("", web=WebSeen(url="http://x")), "belief/root-path", "not_verifiable", "não responde", id="PEC is down"),
        pytest.param(changed("web", statuses={"esus-path": 200}), "belief/esus-path", "diverges", "responde 200", id="open area"),
        pytest.param(changed("web", info_keys=None), "belief/info-path", "diverges", "sem JSON", id="no JSON"),
        pytest.param(
            changed("web", info_keys={"version": "texto"}), "belief/info-version-key", "diverges", "campos: version", id="another name"
        ),
        pytest.param(HERE, "belief/text-scram", "not_verifiable", "1 registro(s)", id="not said"),
        pytest.param(changed("", said={"text-scram": "/l/pec.log"}), "belief/text-scram", "ok", "/l/pec.log", id="said"),
        # Rules
        pytest.param(
            changed("database", facts=replace(HERE.database.facts, pec_version="5.4.36")),
            "rule/version-mismatch",
            "diverges",
            "aplicação: 5.4.37; banco: 5.4.36",
            id="versions",
        ),
        pytest.param(changed("database", authentication="scram-sha-256"), "rule/scram", "diverges", "scram", id="SCRAM"),
        pytest.param(changed("host", remove_ipc=True), "rule/semaphores", "diverges", "RemoveIPC=yes", id="RemoveIPC"),
        pytest.param(changed("host", locales=("C",)), "rule/brazilian-locale", "diverges", "nenhum", id="locale"),
        pytest.param(changed("host", dump_clients=((9, 5, 2),)), "rule/client-older", "diverges", "9.5.2", id="client"),
        pytest.param(changed("host", memory_bytes=4 * GB), "rule/memory", "diverges", "4,0 GB", id="memory"),
        pytest.param(changed("host", fonts=None), "rule/fonts", "diverges", "fontconfig", id="fonts"),
        pytest.param(changed("web", timezone_offset=0), "rule/timezone", "diverges", "PEC: 0 min", id="timezone of PEC"),
        pytest.param(changed("host", utc_offset_minutes=0), "rule/timezone", "diverges", "não é um fuso do Brasil", id="timezone"),
        pytest.param(
            changed("files", application=Keys(("a.govbr.client-secret",), blank_at_end=("a.govbr.client-secret",))),
            "rule/govbr-secret",
            "diverges",
            "termina em espaço: a.govbr.client-secret",
            id="blank in secret",
        ),
        pytest.param(changed("web", link_resolves=False), "rule/link", "diverges", "não resolve", id="link"),
        pytest.param(HERE, "rule/certificate", "not_applicable", "sem HTTPS", id="no certificate"),
        pytest.param(
            replace(changed("installation", https=Https("certmgr", "a.br", 443, None)), web=replace(HERE.web, certificate_days=9)),
            "rule/certificate",
            "diverges",
            "vence em 9 dia(s)",
            id="certificate",
        ),
        pytest.param(
            replace(
                changed("installation", https=Https("certmgr", "a.br", 443, None)),
                host=replace(HERE.host, listeners={80: Listener("nginx", ("0.0.0.0",))}),
            ),
            "rule/certmgr-ports",
            "diverges",
            "porta 80: nginx",
            id="port 80",
        ),
        pytest.param(changed("host", disks=(Disk("/", 50 * GB, 13 * GB),)), "rule/disk", "diverges", "13,0 GB", id="disk"),
        pytest.param(with_path("standalone", kind="absent"), "rule/stale-units", "diverges", "não está no lugar", id="stale units"),
        pytest.param(
            changed("host", units={PEC_UNIT: Unit(PEC_UNIT, "not-found", "inactive", None, None)}),
            "rule/unit-absent",
            "diverges",
            "not-found",
            id="unit",
        ),
        pytest.param(changed("files", temporary_owners=("postgres",)), "rule/temporary-files", "diverges", "de postgres", id="/tmp/PEC-*"),
        pytest.param(
            changed("files", application=Keys(("server.port",), commented=("server.port",))),
            "rule/inline-comments",
            "diverges",
            "server.port",
            id="comment",
        ),
        pytest.param(with_path("config-file", mode=0o644), "rule/secret-files", "diverges", "/etc/pec.config", id="open secrets"),
        pytest.param(changed("database", read_only_reads=False), "rule/read-only-grants", "diverges", "não lê", id="grants"),
        pytest.param(changed("database", migration_locked=True), "rule/migration-lock", "diverges", "presa", id="lock"),
        pytest.param(changed("", said={"text-scram": "/l"}), "rule/log-failures", "diverges", "autenticação 10", id="log"),
        pytest.param(changed("web", reachable=False), "rule/health", "diverges", "não responde", id="health"),
        # Open questions
        pytest.param(HERE, "discovery/size", "to_discover", "20 a 50 GB, 1101 tabelas", id="size"),
        pytest.param(HERE, "discovery/info-keys", "to_discover", "versao (texto)", id="info"),
        pytest.param(HERE, "discovery/installation-type", "to_discover", "PRONTUARIO", id="type"),
        pytest.param(HERE, "discovery/config-keys-bundled", "to_discover", "jreVersion", id="bundled keys"),
        pytest.param(changed("database", error="recusou"), "discovery/extensions", "not_verifiable", "recusou", id="no extensions"),
    ],
)
def test_line(facts: Facts, line: str, status: str, found: str) -> None:
    seen = examine(facts)[line]
    assert (seen.status, found in seen.found) == (status, True), seen


def test_a_line_as_data_has_english_keys_and_a_portuguese_verdict() -> None:
    line = examine(HERE)["belief/http-port"].as_dict()
    assert line == {
        "section": "belief",
        "id": "http-port",
        "title": "Porta HTTP",
        "expected": "8080, em todos os endereços, pelo processo java",
        "found": "porta 8080 em 0.0.0.0, processo java",
        "status": "ok",
        "evidence": "C",
        "source": "V DM M",
        "beliefs": ["http-port"],
        "remedy": "",
        "verdict": "OK",
    }
