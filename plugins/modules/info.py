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
    description:
      - Whether to ask PEC's own web server, and the part of its API that needs no login. Takes as long as the server takes to answer.
        One that does not answer costs at most 20 seconds.
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
    api:
      description:
        - What PEC's API tells to everybody, without a login; the names are those of PEC. All null unless O(health=true) and PEC answers.
        - Null is also what this version of PEC does not tell.
      type: dict
      contains:
        error: {description: Why it could not be asked., type: str, sample: null}
        ativado: {description: Whether PEC says of itself that it is active. What makes it so is not known., type: bool, sample: true}
        linkInstalacaoConfigurado: {description: Whether it has its link., type: bool, sample: true}
        smtpConfigurado: {description: Whether it can send e-mail., type: bool, sample: false}
        internetHabilitada: {description: Whether the use of the internet is switched on in PEC., type: bool, sample: true}
        govBREnabled: {description: Whether people can log in with Gov.br., type: bool, sample: false}
        serverTimezoneOffset: {description: Minutes that PEC's clock is ahead of UTC; -180 in Brasília., type: int, sample: -180}
        version: {description: The version that it says it has., type: str, sample: 5.4.37}
        training: {description: Whether it says that it is a training installation., type: bool, sample: false}
    https:
      description: How PEC serves HTTPS by itself; a proxy before it is not seen.
      type: dict
      contains:
        mode: {description: "V(none), V(certmgr) (renewed by PEC) or V(keystore).", type: str, sample: certmgr}
        domain: {description: The domain that certmgr was given., type: str, sample: esus.municipio.uf.gov.br}
        port: {description: TCP port of HTTPS., type: int, sample: 443}
        keystore: {description: Path of the keystore., type: str, sample: /opt/e-SUS/webserver/config/esusaps.p12}
        certificate:
          description: The certificate that PEC shows on that port. All null unless O(health=true) and PEC serves HTTPS.
          type: dict
          contains:
            served: {description: Whether one was shown., type: bool, sample: true}
            error: {description: Why none was shown., type: str, sample: null}
            domain: {description: The name that was asked for., type: str, sample: esus.municipio.uf.gov.br}
            matches_domain: {description: Whether it is made out to that name., type: bool, sample: true}
            trusted: {description: Whether a browser with this host's authorities would accept it., type: bool, sample: true}
            trust_error: {description: Why it would not., type: str, sample: null}
            subject: {description: Whose it is., type: str, sample: CN=esus.municipio.uf.gov.br}
            issuer: {description: Who signed it., type: str, sample: "CN=R11,O=Let's Encrypt,C=US"}
            dns_names: {description: Names that it is made out to., type: list, elements: str, sample: [esus.municipio.uf.gov.br]}
            not_before: {description: From when it is valid., type: str, sample: "2026-11-01T00:00:00Z"}
            not_after: {description: Until when., type: str, sample: "2027-01-30T00:00:00Z"}
            days_left: {description: Whole days until then; negative once it has expired., type: int, sample: 68}
            fingerprint_sha256: {description: What identifies it., type: str, sample: 9f86d081884c7d65}
    certificates:
      description: The keystores and certificates in PEC's directories.
      type: list
      elements: dict
      contains:
        path: {description: The file., type: str, sample: /opt/e-SUS/webserver/chaves/municipio.p12}
        kind: {description: "V(pkcs12), V(jks), or V(certificate) for one without a private key.", type: str, sample: pkcs12}
        holder:
          description:
            - Who it is issued for. What is in a PKCS#12 is only known, here and below, when M(esus.pec.certificate) checked this very file.
          type: str
          sample: MUNICIPIO DE EXEMPLO
        cnpj: {description: Its CNPJ., type: str, sample: "11222333000181"}
        not_after: {description: Until when it is valid., type: str, sample: "2027-01-31T12:00:00Z"}
        days_left: {description: Whole days until then; negative once it has expired., type: int, sample: 200}
        problem: {description: "What is wrong with it, or why its content is not known.", type: str, sample: null}
    contra_chaves:
      description: What M(esus.pec.contra_chave) keeps on this host, without the contra-chaves themselves; null when its file is damaged.
      type: list
      elements: dict
      contains:
        purpose: {description: "V(instalacao) or V(agendamento).", type: str, sample: instalacao}
        ibge_code: {description: The município., type: str, sample: "2927408"}
        fingerprint: {description: "First eight hexadecimal digits of its SHA-256.", type: str, sample: 3f29a1b0}
        requested_by: {description: Who asked e-Gestor for it., type: str, sample: Maria da Silva}
        requested_on: {description: When., type: str, sample: "2026-11-23"}
        activated: {description: "V(confirmed) when a person said so, else V(unknown).", type: str, sample: unknown}
        confirmed_by: {description: Who said so., type: str, sample: ""}
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
from ansible_collections.esus.pec.plugins.module_utils.info.picture import picture


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
