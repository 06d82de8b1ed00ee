# SPDX-License-Identifier: GPL-3.0-or-later
"""A healthy server with the bundled database, and one without PEC, as the doctor sees them."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.esus.pec.plugins.module_utils.beliefs import BELIEFS, DATABASE_UNIT, PEC_UNIT
from ansible_collections.esus.pec.plugins.module_utils.doctor.facts import (
    TABLES,
    CredentialsSeen,
    DatabaseSeen,
    Facts,
    FilesSeen,
    HostSeen,
    Keys,
    PathSeen,
    WebSeen,
)
from ansible_collections.esus.pec.plugins.module_utils.pec.installation import Installation
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection, DatabaseFacts
from ansible_collections.esus.pec.plugins.module_utils.system.host import Disk, Listener
from ansible_collections.esus.pec.plugins.module_utils.system.systemd import Unit

GB = 10**9
HOME = "/opt/e-SUS"
VALUES = {belief.id: belief.value for belief in BELIEFS}
DIRECTORIES = ("webserver", "certmgr", "jre-directory", "jre-current")
FILES = ("bundle", "standalone", "application-properties", "log-file", "migrator")
PATHS = {
    **{name: PathSeen(f"{HOME}/{VALUES[name]}", "directory", 0o755, "root", "root") for name in DIRECTORIES},
    **{name: PathSeen(f"{HOME}/{VALUES[name]}", "file", 0o750, "root", "root") for name in FILES},
    **{name: PathSeen(f"{HOME}/{VALUES[name]}") for name in ("keys-directory", "ssl-properties", "unit-template")},
    "config-file": PathSeen("/etc/pec.config", "file", 0o600, "root", "root"),
    "credentials-file": PathSeen(f"{HOME}/{VALUES['credentials-file']}", "file", 0o600, "root", "root", 255),
}
SETTINGS = {
    "VERSAOBANCODADOS": ("ds_texto",),
    "TREINAMENTO": ("ds_inteiro",),
    "NOMEINSTALACAO": ("ds_texto",),
    "LINKINSTALACAO": ("ds_texto",),
    "TIPOINSTALACAO": ("ds_texto",),
}
HERE = Facts(
    installation=Installation(
        "installed",
        home=HOME,
        version="5.4.37",
        production=True,
        custom_database=False,
        connection=Connection("127.0.0.1", 5433, "esus", "postgres", ""),
        pec_unit_file=f"/lib/systemd/system/{PEC_UNIT}",
        database_unit_file=f"/lib/systemd/system/{DATABASE_UNIT}",
        http_port=8080,
    ),
    files=FilesSeen(
        paths=PATHS,
        certmgr_jar=True,
        jre_versions=("17.0.13-linux_x64",),
        jre_java="17.0.13",
        bundled_psql=(f"{HOME}/database/current/bin/psql",),
        config=Keys(tuple(VALUES["config-keys"].split())),
        application=Keys(tuple(VALUES["datasource-keys"].split())),
        credentials=CredentialsSeen(("URL", "acesso completo", "acesso de leitura"), lines=12, encoding="UTF-8"),
        standalone_renews=True,
    ),
    host=HostSeen(
        init_name="systemd",
        file_of_init="/sbin/init: ELF 64-bit LSB pie executable",
        memory_bytes=16 * GB,
        processors=8,
        disks=(Disk(HOME, 100 * GB, 80 * GB),),
        listeners={8080: Listener("java", ("0.0.0.0",)), 5433: Listener("postgres", ("127.0.0.1", "::1"))},
        units={name: Unit(name, "loaded", "active", True, f"/lib/systemd/system/{name}") for name in (PEC_UNIT, DATABASE_UNIT)},
        unit_texts={PEC_UNIT: "[Service]\nExecStart=/opt/e-SUS/webserver/standalone.sh"},
        unit_user="root",
        timezone="America/Sao_Paulo",
        utc_offset_minutes=-180,
        locales=("C", "pt_BR.utf8"),
        remove_ipc=False,
        fonts=3,
        clock_synchronized=True,
        dump_clients=((9, 6, 13),),
        database_account="postgres (uid 1000, gid 1000)",
    ),
    database=DatabaseSeen(
        facts=DatabaseFacts(
            "9.6.13", 90613, 20 * GB, "UTF8", "pt_BR.UTF-8", "pt_BR.UTF-8", 1101, True, "5.4.37", False, "UBS", "https://a.br", "PRONTUARIO"
        ),
        authentication="md5",
        columns={"co_config_sistema": "character varying", "ds_texto": "character varying", "ds_inteiro": "integer"},
        settings=SETTINGS,
        extensions=("plpgsql 1.0",),
        roles={"postgres": True, "esus_leitura": False},
        locale={"lc_messages": "pt_BR.UTF-8", "lc_time": "pt_BR.UTF-8"},
        tables=TABLES,
        large_objects=0,
        read_only_reads=True,
        migration_locked=False,
    ),
    web=WebSeen(
        url="http://127.0.0.1:8080",
        reachable=True,
        statuses={"root-path": 200, "esus-path": 401, "info-path": 200},
        info_keys={"versao": "texto"},
        version="5.4.37",
        timezone_offset=-180,
        link_resolves=True,
        link_opens=True,
    ),
    logs=(f"{HOME}/webserver/logs/pec.log",),
)
ABSENT = Facts(Installation("absent"), host=replace(HERE.host, units={}, dump_clients=()))
