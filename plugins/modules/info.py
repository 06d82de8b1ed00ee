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

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.info_picture import picture


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
