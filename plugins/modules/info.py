#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: info
short_description: Read everything about the e-SUS PEC of a host
version_added: 0.1.0
author: ["esus.pec contributors (@esus-pec)"]
description:
  - Reads in one round trip whether e-SUS PEC is installed on the host, how, and in which condition it is.
  - Nothing is changed, and no password is ever in the result.
  - A fact that cannot be read is null, never a guess.
options:
  database:
    description: Whether to ask the database, with the login that PEC itself uses.
    type: bool
    default: true
  health:
    description: Whether to ask PEC's own web server. Takes as long as the server takes to answer, at most 15 seconds.
    type: bool
    default: true
extends_documentation_fragment:
  - esus.pec.attributes
  - esus.pec.attributes.read_only
seealso:
  - module: esus.pec.preflight
"""

EXAMPLES = r"""
- name: Read what is on the server
  esus.pec.info:
  become: true
  register: server

- name: Say which version runs here
  ansible.builtin.debug:
    msg: "{{ server.pec.state }} {{ server.pec.database.version | default('', true) }}"

- name: Read only what the files say, while PEC and its database are stopped
  esus.pec.info:
    database: false
    health: false
  become: true
"""

RETURN = r"""
pec:
  description: The picture of the host.
  returned: success
  type: dict
  contains:
    state:
      description: V(absent) when nothing of PEC is here, V(broken) when what is here cannot work, else V(installed).
      type: str
      sample: installed
    reasons:
      description: Why it is broken and what to do about it; on an installed PEC, what deserves attention.
      type: list
      elements: str
      sample: []
    home: {description: The directory of the installation., type: str, sample: /opt/e-SUS}
    version: {description: The version that the installer recorded., type: str, sample: 5.4.37}
    production: {description: Whether the installer recorded a production build., type: bool, sample: true}
    training: {description: Whether this is a training installation; asked from the database., type: bool, sample: false}
    custom_database: {description: Whether PEC was installed with a database of its administrator's., type: bool, sample: true}
    jre:
      description: The Java that PEC brought along.
      type: dict
      contains:
        directory: {description: Its directory., type: str, sample: /opt/e-SUS/jre/17.0.13-linux_x64}
        version: {description: Its version., type: str, sample: 17.0.13-linux_x64}
    connection:
      description: The database that PEC uses, without the password.
      type: dict
      contains:
        jdbc_url: {description: The address as Java writes it., type: str, sample: "jdbc:postgresql://127.0.0.1:5432/esus"}
        host: {description: Name or address of the server., type: str, sample: 127.0.0.1}
        port: {description: TCP port of the server., type: int, sample: 5432}
        database: {description: Name of the database., type: str, sample: esus}
        username: {description: The role that PEC logs in with., type: str, sample: esus}
    database:
      description: What the database says. All null unless O(database=true) and a connection is known.
      type: dict
      contains:
        reachable: {description: Whether it could be asked., type: bool, sample: true}
        error: {description: Why it could not be asked., type: str, sample: null}
        server_version: {description: Version of PostgreSQL., type: str, sample: "15.18"}
        version: {description: Version of PEC that the database was migrated to., type: str, sample: 5.4.37}
        size_bytes: {description: Size of the database in bytes., type: int, sample: 19327352832}
        encoding: {description: Character encoding of the database., type: str, sample: UTF8}
        collation: {description: Sorting order of the database., type: str, sample: pt_BR.UTF-8}
        table_count: {description: Number of tables in the schema public., type: int, sample: 1101}
    services:
      description: The systemd units C(pec) (the application) and C(postgresql) (the bundled database).
      type: dict
      contains:
        pec: &unit
          description: The unit of this service.
          type: dict
          contains:
            name: {description: Name of the unit., type: str, sample: e-SUS-PEC.service}
            present: {description: Whether systemd knows it; null when systemd cannot be asked., type: bool, sample: true}
            active: {description: Whether it runs., type: bool, sample: true}
            enabled: {description: Whether it starts with the system., type: bool, sample: true}
            user: {description: The user that it runs as., type: str, sample: root}
        postgresql: *unit
    ports:
      description: TCP ports of this host.
      type: dict
      contains:
        http: {description: The port that PEC is configured to listen on., type: int, sample: 8080}
        listening:
          description: Ports that some process listens on, in ascending order.
          type: list
          elements: dict
          contains:
            port: {description: The port., type: int, sample: 8080}
            process: {description: Name of the process., type: str, sample: java}
    health:
      description: What PEC's web server answered. All null unless O(health=true) and PEC is on the host.
      type: dict
      contains:
        url: {description: The address that was asked., type: str, sample: "http://127.0.0.1:8080"}
        healthy: {description: Whether the answers are those of a working PEC., type: bool, sample: true}
        root_status: {description: HTTP status of C(/)., type: int, sample: 200}
        esus_status: {description: HTTP status of C(/esus/) without a session., type: int, sample: 401}
        version: {description: The version that the server says it has., type: str, sample: 5.4.37}
        error: {description: Why it is not healthy., type: str, sample: null}
    https:
      description: How PEC serves HTTPS by itself; a proxy before it is not seen.
      type: dict
      contains:
        mode: {description: "V(none), V(certmgr) (renewed by PEC) or V(keystore).", type: str, sample: certmgr}
        domain: {description: The domain that certmgr was given., type: str, sample: esus.municipio.uf.gov.br}
        port: {description: TCP port of HTTPS., type: int, sample: 443}
        keystore: {description: Path of the keystore., type: str, sample: /opt/e-SUS/webserver/config/esusaps.p12}
    certificates:
      description: Paths of the keystores and certificates in PEC's directories.
      type: list
      elements: str
      sample: [/opt/e-SUS/webserver/chaves/municipio.p12]
    secret_files:
      description: Paths of PEC's files that hold the password of the database.
      type: list
      elements: str
      sample: [/etc/pec.config, /opt/e-SUS/webserver/config/application.properties]
    disk:
      description: Room for the installation, for temporary files and, when it is there, for the system's PostgreSQL.
      type: list
      elements: dict
      contains:
        path: {description: What the room is for., type: str, sample: /opt/e-SUS}
        total_bytes: {description: Size of its filesystem in bytes., type: int, sample: 107374182400}
        free_bytes: {description: Free space in bytes., type: int, sample: 53687091200}
    memory_bytes: {description: Memory in bytes that the system can use., type: int, sample: 8589934592}
    processors: {description: Processors that the system can use., type: int, sample: 4}
    java:
      description: Every Java on the host, newest first.
      type: list
      elements: dict
      contains:
        path: {description: The launcher., type: str, sample: /usr/bin/java}
        version: {description: The version., type: str, sample: 17.0.15}
        major: {description: The feature release., type: int, sample: 17}
    timezone: {description: Timezone of the system., type: str, sample: America/Sao_Paulo}
    utc_offset_minutes: {description: Minutes that the local clock is now ahead of UTC., type: int, sample: -180}
    locales: {description: Locales that exist on the host., type: list, elements: str, sample: [C.utf8, pt_BR.utf8]}
    installation:
      description: What the municipality told PEC about itself; asked from the database.
      type: dict
      contains:
        name: {description: Name of the installation., type: str, sample: Município de Exemplo}
        link: {description: Public address., type: str, sample: "https://esus.municipio.uf.gov.br"}
        type: {description: "V(PRONTUARIO) or V(CENTRALIZADORA).", type: str, sample: PRONTUARIO}
"""

import os
import tempfile
from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.esus.pec.plugins.module_utils import health, host, installation, jdbc, postgres
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

_DATABASE = ("reachable", "error", "server_version", "version", "size_bytes", "encoding", "collation", "table_count")
_HEALTH = ("url", "healthy", "root_status", "esus_status", "version", "error")
_POSTGRESQL_DATA = ("/var/lib/postgresql", "/var/lib/pgsql")


def picture(root: str, ask_database: bool, ask_health: bool) -> dict[str, object]:
    """Everything the module returns; PEC's own files are looked for below C(root)."""
    found = installation.discover(root)
    facts, failure = read_database(found.connection) if ask_database and found.connection else (None, None)
    return {
        "state": found.state,
        "reasons": list(found.reasons),
        "home": found.home,
        "version": found.version,
        "production": found.production,
        "training": facts.training if facts else None,
        "custom_database": found.custom_database,
        "jre": {"directory": found.jre_directory, "version": found.jre_version},
        "connection": describe_connection(found.connection),
        "database": describe_database(facts, failure),
        "services": describe_services(),
        "ports": {"http": found.http_port, "listening": [{"port": port, "process": name} for port, name in host.listeners().items()]},
        "health": describe_health(found) if ask_health and found.state != "absent" else dict.fromkeys(_HEALTH),
        "https": asdict(found.https),
        "certificates": list(found.certificates),
        "secret_files": secret_files(found),
        "disk": [asdict(host.disk_usage(path)) for path in disk_paths(found)],
        "memory_bytes": host.memory_bytes(),
        "processors": host.processors(),
        "java": [asdict(java) for java in host.java()],
        "timezone": host.timezone(),
        "utc_offset_minutes": host.utc_offset_minutes(),
        "locales": list(host.locales()),
        "installation": {
            "name": facts.installation_name if facts else None,
            "link": facts.installation_link if facts else None,
            "type": facts.installation_type if facts else None,
        },
    }


def read_database(connection: postgres.Connection) -> tuple[postgres.DatabaseFacts | None, str | None]:
    """The facts, or why there are none: a database that does not answer is a finding, not a failure of this module."""
    try:
        return postgres.read_facts(connection), None
    except PecError as error:
        return None, str(error)


def describe_connection(connection: postgres.Connection | None) -> dict[str, object]:
    if connection is None:
        return dict.fromkeys(("jdbc_url", "host", "port", "database", "username"))
    return {
        "jdbc_url": jdbc.build(connection.host, connection.port, connection.database),
        "host": connection.host,
        "port": connection.port,
        "database": connection.database,
        "username": connection.username,
    }


def describe_database(facts: postgres.DatabaseFacts | None, failure: str | None) -> dict[str, object]:
    if facts is None:
        return {**dict.fromkeys(_DATABASE), "reachable": None if failure is None else False, "error": failure}
    return {
        "reachable": True,
        "error": None,
        "server_version": facts.server_version,
        "version": facts.pec_version,
        "size_bytes": facts.size_bytes,
        "encoding": facts.encoding,
        "collation": facts.collation,
        "table_count": facts.table_count,
    }


def describe_services() -> dict[str, dict[str, object]]:
    names = {"pec": installation.PEC_UNIT, "postgresql": installation.DATABASE_UNIT}
    units = host.units(list(names.values()))
    return {service: describe_unit(units[name]) for service, name in names.items()}


def describe_unit(unit: host.Unit) -> dict[str, object]:
    known = unit.load_state is not None
    present = unit.load_state != "not-found" if known else None
    return {
        "name": unit.name,
        "present": present,
        "active": unit.active_state == "active" if known else None,
        "enabled": bool(unit.enabled) if present is False else unit.enabled,
        "user": (unit.user or "root") if present else None,
    }


def describe_health(found: installation.Installation) -> dict[str, object]:
    """The first local address that answers counts; none of them can match the name in a certificate, so that is not checked."""
    answers = []
    for url in found.urls:
        answers.append(health.probe(url, verify=False))
        if answers[-1].reachable:
            break
    best = next((answer for answer in answers if answer.reachable), answers[0])
    return {key: value for key, value in asdict(best).items() if key in _HEALTH}


def secret_files(found: installation.Installation) -> list[str]:
    places = (found.config_file, found.application_properties, found.credentials_file)
    return [place for place in places if place and os.path.exists(place)]


def disk_paths(found: installation.Installation) -> list[str]:
    home = found.home or installation.HOMES[0]
    return [home, tempfile.gettempdir(), *(path for path in _POSTGRESQL_DATA if os.path.isdir(path))]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "database": {"type": "bool", "default": True},
            "health": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    if os.geteuid() != 0:
        module.fail_json(msg="esus.pec.info must run as root, because only root can read PEC's files; use become: true")
    try:
        pec = picture("/", module.params["database"], module.params["health"])
    except PecError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, pec=pec)


if __name__ == "__main__":
    main()
