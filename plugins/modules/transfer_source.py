#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: transfer_source
short_description: Read everything about a server that matters for a transfer of PEC
version_added: 0.2.0
author: ["esus.pec contributors (@esus-pec)"]
description:
  - Returns one picture of a server, the old one or the new one, for M(esus.pec.transfer_plan).
  - On a Linux server that Ansible manages it runs on that server. A server that is only reached by SSH, such as one with Windows, is read
    from the new server. PEC's files are then a copy in O(home), and the database is reached through O(ssh).
  - The module changes nothing and returns no secret. A fact that cannot be read is null, and RV(picture.unread) has the reason.
options:
  home:
    description:
      - Directory on this host with a copy of the files of the old PEC, arranged as below its home. By default PEC's own files on this host
        are read. They may be in any encoding.
    type: path
  database:
    description: The database, as seen from the server in O(ssh) if that is given. Defaults to the one in PEC's files.
  controller_time:
    description: Time of the controller in seconds since 1970, to compare clocks. The seconds until the module runs count too.
    type: float
extends_documentation_fragment:
  - esus.pec.attributes
  - esus.pec.attributes.read_only
  - esus.pec.database
  - esus.pec.ssh
seealso:
  - module: esus.pec.info
  - module: esus.pec.transfer_plan
"""

EXAMPLES = r"""
- name: Look at the old server
  esus.pec.transfer_source:
    controller_time: "{{ now(utc=true).timestamp() }}"
  delegate_to: antigo.example.org
  become: true
  register: source

- name: Look at an old server with Windows, from the new one
  esus.pec.transfer_source:
    home: /var/lib/esus-pec/transfer/files
    ssh:
      host: antigo.example.org
      user: Administrador
      key_path: /var/lib/esus-pec/transfer/ssh/id_ed25519
      known_hosts_path: /var/lib/esus-pec/transfer/ssh/known_hosts
  become: true
  register: source
"""

RETURN = r"""
picture:
  description: Everything that was read.
  returned: success
  type: dict
  contains:
    platform:
      description: The machine. Of a server that is only reached by SSH, what its PostgreSQL reports.
      type: dict
      contains:
        system: {description: V(linux) or V(windows)., type: str, sample: linux}
        architecture: {description: Architecture., type: str, sample: x86_64}
        distribution: {description: Distribution of Linux., type: str, sample: debian}
        distribution_version: {description: Its version., type: str, sample: "12"}
        glibc: {description: Version of the C library., type: str, sample: "2.36"}
        processors: {description: Number of processors., type: int, sample: 4}
        timezone: {description: Time zone., type: str, sample: America/Sao_Paulo}
        utc_offset_minutes: {description: Minutes that the local time is ahead of UTC., type: int, sample: -180}
        clock_ahead_seconds: {description: Seconds that the clock is ahead of O(controller_time)., type: float, sample: 0.4}
    pec:
      description: The installation.
      type: dict
      contains:
        state:
          description: V(absent), V(broken) or V(installed). A copy is V(installed) if it names the database.
          type: str
          sample: installed
        home: {description: "Directory of the installation, null for a copy.", type: str, sample: /opt/e-SUS}
        version: {description: "Version, of the files or else of the database.", type: str, sample: 5.4.37}
        training: {description: Training installation., type: bool, sample: false}
        installation_name: {description: Name of the installation., type: str, sample: UBS Central}
        installation_link: {description: Address of the installation., type: str, sample: "https://pec.agua-clara.ms.gov.br"}
        installation_type: {description: V(PRONTUARIO) or V(CENTRALIZADORA)., type: str, sample: PRONTUARIO}
        ports: {description: Ports that PEC listens on., type: list, elements: int, sample: [8080]}
        https_mode: {description: "V(none), V(certmgr) or V(keystore).", type: str, sample: keystore}
        https_domain: {description: Domain of the certificate., type: str, sample: pec.agua-clara.ms.gov.br}
        https_port: {description: Port of HTTPS., type: int, sample: 443}
        https_not_after: {description: End of the HTTPS certificate., type: str, sample: "2027-02-28T23:59:59Z"}
        https_days_left: {description: Days until then., type: int, sample: 90}
        govbr: {description: Both credentials of Gov.br are set., type: bool, sample: true}
        contra_chaves:
          description: The contra-chaves that M(esus.pec.contra_chave) keeps, without their text. Null if that is not known.
          type: list
          elements: dict
          sample: []
        certificates:
          description: Certificates in PEC's directories, as M(esus.pec.info) returns them.
          type: list
          elements: dict
          sample: []
        directories:
          description: Directories outside of PEC's own that its settings name, such as that of attachments.
          type: list
          elements: dict
          contains:
            key: {description: Name of the setting., type: str, sample: bridge.anexos.diretorio}
            path: {description: The directory., type: str, sample: /srv/anexos}
        reasons: {description: What is wrong with the installation., type: list, elements: str, sample: []}
    database:
      description: The database and its server. Null if the files do not name it.
      type: dict
      contains:
        host: {description: Address that PEC uses., type: str, sample: 127.0.0.1}
        port: {description: Port., type: int, sample: 5433}
        name: {description: Name of the database., type: str, sample: esus}
        username: {description: Role that PEC logs in with., type: str, sample: postgres}
        error: {description: Why it cannot be read., type: str, sample: null}
        server_version: {description: Version of PostgreSQL., type: str, sample: 9.6.13}
        server_version_num: {description: The same as a number; 0 if it is not known., type: int, sample: 90613}
        system_identifier:
          description: What distinguishes this server from others. A physical copy has that of its source.
          type: str
          sample: "7411234567890123456"
        started: {description: "When the server started, in seconds since 1970.", type: str, sample: "1764540650.123456"}
        pec_version: {description: Version of PEC in the database., type: str, sample: 5.4.37}
        size_bytes: {description: Size of the database., type: int, sample: 19327352832}
        table_count: {description: Tables in the schema public., type: int, sample: 1101}
        encoding: {description: Encoding., type: str, sample: UTF8}
        collation: {description: Sorting order., type: str, sample: pt_BR.UTF-8}
        ctype: {description: Classes of characters., type: str, sample: pt_BR.UTF-8}
        extensions: {description: Extensions but plpgsql., type: list, elements: str, sample: [unaccent]}
        large_objects: {description: Number of large objects., type: int, sample: 12}
        large_object_bytes: {description: Their size., type: int, sample: 1048576}
        biggest_tables:
          description: The ten biggest tables, with their indexes.
          type: list
          elements: dict
          contains:
            name: {description: The table., type: str, sample: public.tb_fat_atendimento_individual}
            bytes: {description: Its size., type: int, sample: 4294967296}
        other_databases: {description: Other databases of the server., type: list, elements: str, sample: []}
        tablespaces: {description: Number of tablespaces that were added., type: int, sample: 0}
        superuser: {description: PEC's role is a superuser., type: bool, sample: true}
        origin: {description: "V(bundled) with PEC, V(distribution) or V(other).", type: str, sample: distribution}
        data_directory: {description: Data directory of the server., type: str, sample: /var/lib/postgresql/15/main}
        data_bytes: {description: Size of that directory., type: int, sample: 21474836480}
    disks:
      description: Room on the server, for C(home), C(database), C(state) and C(temporary). Empty for a server that is only reached by SSH.
      type: list
      elements: dict
      contains:
        purpose: {description: What would be written there., type: str, sample: database}
        path: {description: The directory., type: str, sample: /var/lib}
        filesystem: {description: Equal for directories that share their space., type: int, sample: 2049}
        total_bytes: {description: Size of the file system., type: int, sample: 107374182400}
        free_bytes: {description: Free space., type: int, sample: 53687091200}
    clients: {description: "Versions of pg_dump on the server, newest first.", type: list, elements: str, sample: ["17.2"]}
    rsync: {description: The program rsync is installed., type: bool, sample: true}
    listening: {description: TCP ports that are listened on., type: list, elements: int, sample: [22, 8080]}
    unread: {description: "What could not be read, and why.", type: list, elements: str, sample: []}
"""

from ansible_collections.esus.pec.plugins.module_utils.module import PecModule, Result, run_module
from ansible_collections.esus.pec.plugins.module_utils.postgres.options import DATABASE
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import connection_from
from ansible_collections.esus.pec.plugins.module_utils.transfer.link import SSH_OPTIONS, ssh_from
from ansible_collections.esus.pec.plugins.module_utils.transfer.looking import Wanted, look

ARGUMENTS = {"home": {"type": "path"}, "database": DATABASE, "ssh": SSH_OPTIONS, "controller_time": {"type": "float"}}


def run(module: PecModule) -> Result:
    params = module.params
    wanted = Wanted(ssh_from(params["ssh"]), params["home"], connection_from(params["database"]), params["controller_time"])
    return {"picture": look(wanted).plain()}


def main() -> None:
    run_module(run, argument_spec=ARGUMENTS)


if __name__ == "__main__":
    main()
