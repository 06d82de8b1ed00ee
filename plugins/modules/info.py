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
  - Reads in one round trip if and how e-SUS PEC is installed on the host, and in which state it is.
  - The module changes nothing and returns no password.
  - A fact that cannot be read is null, never a guess.
options:
  database:
    description: Query the database, with the login that PEC itself uses.
    type: bool
    default: true
  health:
    description:
      - Query PEC's own web server, and the part of its API that requires no login. A server that does not answer costs at most
        20 seconds.
    type: bool
    default: true
extends_documentation_fragment:
  - esus.pec.attributes
  - esus.pec.attributes.read_only
seealso:
  - module: esus.pec.preflight
"""

EXAMPLES = r"""
- name: Read everything about the server
  esus.pec.info:
  become: true
  register: server

- name: Show the installed version
  ansible.builtin.debug:
    msg: "{{ server.pec.state }} {{ server.pec.database.version | default('', true) }}"

- name: Read only the files, while PEC and its database are stopped
  esus.pec.info:
    database: false
    health: false
  become: true
"""

RETURN = r"""
pec:
  description: Everything that was read about the host.
  returned: success
  type: dict
  contains:
    state:
      description: V(absent) without any part of PEC, V(broken) with parts that cannot work, else V(installed).
      type: str
      sample: installed
    reasons:
      description: Why PEC is broken and what to do; on an installed PEC, what deserves attention.
      type: list
      elements: str
      sample: []
    home: {description: Directory of the installation; null without one., type: str, sample: /opt/e-SUS}
    paths:
      description: Where PEC keeps its files, existing or not. Without PEC, where its installer would put them.
      type: dict
      contains:
        home: {description: Directory of the product., type: str, sample: /opt/e-SUS}
        config_file: {description: What the installer recorded., type: str, sample: /etc/pec.config}
        webserver: {description: Directory of the application., type: str, sample: /opt/e-SUS/webserver}
        standalone: {description: Script that starts the application., type: str, sample: /opt/e-SUS/webserver/standalone.sh}
        config_directory: {description: Directory of the settings., type: str, sample: /opt/e-SUS/webserver/config}
        application_properties: {description: Settings., type: str, sample: /opt/e-SUS/webserver/config/application.properties}
        credentials_file: {description: Logins of the database., type: str, sample: /opt/e-SUS/webserver/config/credenciais.txt}
        log_file: {description: Log of the application., type: str, sample: /opt/e-SUS/webserver/logs/pec.log}
        keys_directory: {description: Directory of the RNDS certificates., type: str, sample: /opt/e-SUS/webserver/chaves}
        certmgr: {description: Directory of certmgr., type: str, sample: /opt/e-SUS/webserver/certmgr}
        ssl_properties: {description: Settings of certmgr., type: str, sample: /opt/e-SUS/webserver/certmgr/config/ssl.properties}
        unit_template: {description: Unit that the installer did not install., type: str, sample: /opt/e-SUS/webserver/e-SUS-PEC.service}
    property_names:
      description: Names of the keys in C(application.properties) that this collection sets.
      type: dict
      contains:
        port: {description: TCP port., type: str, sample: server.port}
        keystore: {description: Path of the keystore., type: str, sample: server.ssl.key-store}
        ssl_enabled: {description: Switch of the keystore., type: str, sample: server.ssl.enabled}
        keystore_password: {description: Password of the keystore., type: str, sample: server.ssl.key-store-password}
        keystore_type: {description: Type of the keystore., type: str, sample: server.ssl.key-store-type}
        keystore_alias: {description: Entry in the keystore., type: str, sample: server.ssl.key-alias}
        require_https: {description: Switch that rejects HTTP., type: str, sample: security.require-ssl}
        govbr_client_id:
          description: Client ID of Gov.br.
          type: str
          sample: bridge.security.oauth2.client.registration.govbr.client-id
        govbr_client_secret:
          description: Secret of Gov.br.
          type: str
          sample: bridge.security.oauth2.client.registration.govbr.client-secret
    version: {description: The version that the installer recorded., type: str, sample: 5.4.37}
    production: {description: The installer recorded a production build., type: bool, sample: true}
    training: {description: "Training installation, as recorded in the database.", type: bool, sample: false}
    custom_database: {description: PEC was installed with a database that its administrator provides., type: bool, sample: true}
    jre:
      description: The Java that came with PEC.
      type: dict
      contains:
        directory: {description: Its directory., type: str, sample: /opt/e-SUS/jre/17.0.13-linux_x64}
        version: {description: Its version., type: str, sample: 17.0.13-linux_x64}
    connection:
      description: The database that PEC uses, without its password.
      type: dict
      contains:
        jdbc_url: {description: The address as Java writes it., type: str, sample: "jdbc:postgresql://127.0.0.1:5432/esus"}
        host: {description: Name or address of the server., type: str, sample: 127.0.0.1}
        port: {description: TCP port of the server., type: int, sample: 5432}
        database: {description: Name of the database., type: str, sample: esus}
        username: {description: The role that PEC logs in with., type: str, sample: esus}
    database:
      description: What the database reports. All null unless O(database=true) and a connection is known.
      type: dict
      contains:
        reachable: {description: The database answers., type: bool, sample: true}
        error: {description: Why it does not answer., type: str, sample: null}
        server_version: {description: Version of PostgreSQL., type: str, sample: "15.18"}
        version: {description: Version of PEC that the database was migrated to., type: str, sample: 5.4.37}
        size_bytes: {description: Size of the database in bytes., type: int, sample: 19327352832}
        encoding: {description: Character encoding of the database., type: str, sample: UTF8}
        collation: {description: Sorting order of the database., type: str, sample: pt_BR.UTF-8}
        table_count: {description: Number of tables in the schema public., type: int, sample: 1101}
    services:
      description: The systemd units C(pec) (the application) and C(database) (the bundled PostgreSQL).
      type: dict
      contains:
        pec: &unit
          description: One unit. Its name is known even where it is not installed.
          type: dict
          contains:
            name: {description: Name of the unit., type: str, sample: e-SUS-PEC.service}
            present: {description: The unit is installed; null when systemd cannot be asked., type: bool, sample: true}
            active: {description: The unit runs., type: bool, sample: true}
            enabled: {description: The unit starts with the system., type: bool, sample: true}
            user: {description: User that the unit runs as., type: str, sample: root}
        database: *unit
    ports:
      description: TCP ports of this host.
      type: dict
      contains:
        http: {description: "Port of HTTP, as configured, else PEC's default.", type: int, sample: 8080}
        https: {description: "Port of HTTPS, as configured, else PEC's default.", type: int, sample: 443}
        bundled_database: {description: Port of the bundled PostgreSQL., type: int, sample: 5433}
        listening:
          description: Ports on which a process listens, in ascending order.
          type: list
          elements: dict
          contains:
            port: {description: The port., type: int, sample: 8080}
            process: {description: Name of the process., type: str, sample: java}
    health:
      description: What PEC's web server answered. All null unless O(health=true) and PEC is installed.
      type: dict
      contains:
        url: {description: The address that was asked., type: str, sample: "http://127.0.0.1:8080"}
        healthy: {description: The answers are those of a working PEC., type: bool, sample: true}
        root_status: {description: HTTP status of C(/)., type: int, sample: 200}
        esus_status: {description: HTTP status of C(/esus/) without a session., type: int, sample: 401}
        version: {description: Version that the server reports., type: str, sample: 5.4.37}
        error: {description: Why PEC is not healthy., type: str, sample: null}
    api:
      description:
        - What PEC's API reports without a login, under PEC's own names. All null unless O(health=true) and PEC answers.
        - A fact that this version of PEC does not report is null.
      type: dict
      contains:
        error: {description: Why the API does not answer., type: str, sample: null}
        ativado: {description: PEC reports that it is active; how it decides is not known., type: bool, sample: true}
        linkInstalacaoConfigurado: {description: The link of the installation is set., type: bool, sample: true}
        smtpConfigurado: {description: PEC can send e-mail., type: bool, sample: false}
        internetHabilitada: {description: The use of the Internet is enabled in PEC., type: bool, sample: true}
        govBREnabled: {description: The login with Gov.br is enabled., type: bool, sample: false}
        serverTimezoneOffset: {description: Minutes by which PEC's clock is ahead of UTC; -180 in Brasília., type: int, sample: -180}
        version: {description: Version that the API reports., type: str, sample: 5.4.37}
        training: {description: The API reports a training installation., type: bool, sample: false}
    https:
      description: How PEC itself serves HTTPS; a reverse proxy is not detected.
      type: dict
      contains:
        mode: {description: "V(none), V(certmgr) (renewed by PEC) or V(keystore).", type: str, sample: certmgr}
        domain: {description: "Domain of the certificate, from certmgr's settings.", type: str, sample: esus.municipio.uf.gov.br}
        port: {description: TCP port of HTTPS., type: int, sample: 443}
        keystore: {description: Path of the keystore., type: str, sample: /opt/e-SUS/webserver/config/esusaps.p12}
        certificate:
          description: The certificate that PEC serves on that port. All null unless O(health=true) and PEC serves HTTPS.
          type: dict
          contains:
            served: {description: A certificate was served., type: bool, sample: true}
            error: {description: Why none was served., type: str, sample: null}
            domain: {description: Domain for which it was requested., type: str, sample: esus.municipio.uf.gov.br}
            matches_domain: {description: The certificate is valid for that domain., type: bool, sample: true}
            trusted: {description: A browser with this host's authorities accepts it., type: bool, sample: true}
            trust_error: {description: Why a browser rejects it., type: str, sample: null}
            subject: {description: Subject., type: str, sample: CN=esus.municipio.uf.gov.br}
            issuer: {description: Issuer., type: str, sample: "CN=R11,O=Let's Encrypt,C=US"}
            dns_names: {description: Domains for which it is valid., type: list, elements: str, sample: [esus.municipio.uf.gov.br]}
            not_before: {description: Start of its validity., type: str, sample: "2026-11-01T00:00:00Z"}
            not_after: {description: End of its validity., type: str, sample: "2027-01-30T00:00:00Z"}
            days_left: {description: Whole days until it expires; negative after that., type: int, sample: 68}
            fingerprint_sha256: {description: SHA-256 fingerprint., type: str, sample: 9f86d081884c7d65}
    certificates:
      description: The keystores and certificates in PEC's directories.
      type: list
      elements: dict
      contains:
        path: {description: The file., type: str, sample: /opt/e-SUS/webserver/chaves/municipio.p12}
        kind: {description: "V(pkcs12), V(jks), or V(certificate) for one without a private key.", type: str, sample: pkcs12}
        holder:
          description:
            - Holder of the certificate. For a PKCS#12 this and the facts below are known only if M(esus.pec.certificate) checked this file.
          type: str
          sample: MUNICIPIO DE EXEMPLO
        cnpj: {description: Its CNPJ., type: str, sample: "11222333000181"}
        not_after: {description: End of its validity., type: str, sample: "2027-01-31T12:00:00Z"}
        days_left: {description: Whole days until it expires; negative after that., type: int, sample: 200}
        problem: {description: "What is wrong, or why the content is not known.", type: str, sample: null}
    contra_chaves:
      description: What M(esus.pec.contra_chave) records on this host, without the contra-chaves themselves; null when its file is damaged.
      type: list
      elements: dict
      contains:
        purpose: {description: "V(instalacao) or V(agendamento).", type: str, sample: instalacao}
        ibge_code: {description: IBGE code of the município., type: str, sample: "2927408"}
        fingerprint: {description: "First eight hexadecimal digits of its SHA-256.", type: str, sample: 3f29a1b0}
        requested_by: {description: Person who requested it from e-Gestor., type: str, sample: Maria da Silva}
        requested_on: {description: Date of the request., type: str, sample: "2026-11-23"}
        activated: {description: "V(confirmed) if an operator confirmed it, else V(unknown).", type: str, sample: unknown}
        confirmed_by: {description: Operator who confirmed it., type: str, sample: ""}
    secret_files:
      description: Paths of PEC's files that contain the password of the database.
      type: list
      elements: str
      sample: [/etc/pec.config, /opt/e-SUS/webserver/config/application.properties]
    disk:
      description: Disk space for the installation, for temporary files and, if installed, for the system's PostgreSQL.
      type: list
      elements: dict
      contains:
        path: {description: Directory., type: str, sample: /opt/e-SUS}
        total_bytes: {description: Size of its filesystem in bytes., type: int, sample: 107374182400}
        free_bytes: {description: Free space in bytes., type: int, sample: 53687091200}
    memory_bytes: {description: "Memory available to the system, in bytes.", type: int, sample: 8589934592}
    processors: {description: Processors available to the system., type: int, sample: 4}
    java:
      description: Every Java on the host, newest first.
      type: list
      elements: dict
      contains:
        path: {description: The launcher., type: str, sample: /usr/bin/java}
        version: {description: The version., type: str, sample: 17.0.15}
        major: {description: The feature release., type: int, sample: 17}
    timezone: {description: Timezone of the system., type: str, sample: America/Sao_Paulo}
    utc_offset_minutes: {description: Minutes by which the local clock is ahead of UTC., type: int, sample: -180}
    locales: {description: Locales installed on the host., type: list, elements: str, sample: [C.utf8, pt_BR.utf8]}
    locale: {description: The locale that PEC requires., type: str, sample: pt_BR.UTF-8}
    read_only_role: {description: "PEC's role in the database that can only read.", type: str, sample: esus_leitura}
    keystore_name: {description: Name of the HTTPS keystore in PEC's manual., type: str, sample: esusaps.p12}
    installation:
      description: What the município entered in PEC, read from the database.
      type: dict
      contains:
        name: {description: Name of the installation., type: str, sample: Município de Exemplo}
        link: {description: Public address., type: str, sample: "https://esus.municipio.uf.gov.br"}
        type: {description: "V(PRONTUARIO) or V(CENTRALIZADORA).", type: str, sample: PRONTUARIO}
"""

from typing import Any

from ansible_collections.esus.pec.plugins.module_utils.info.picture import picture
from ansible_collections.esus.pec.plugins.module_utils.module import PecModule, run_module

ARGUMENTS = {"database": {"type": "bool", "default": True}, "health": {"type": "bool", "default": True}}


def run(module: PecModule) -> dict[str, Any]:
    return {"pec": picture("/", module.params["database"], module.params["health"])}


def main() -> None:
    run_module(run, argument_spec=ARGUMENTS)


if __name__ == "__main__":
    main()
