# SPDX-License-Identifier: GPL-3.0-or-later
"""Collects what the module esus.pec.info returns. Private to the collection."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from urllib.parse import urlsplit

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.api.client import Client, Server
from ansible_collections.esus.pec.plugins.module_utils.certificates import handshake, records
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import contra_chave, health, installation
from ansible_collections.esus.pec.plugins.module_utils.postgres import jdbc, psql
from ansible_collections.esus.pec.plugins.module_utils.system import host, systemd

_DATABASE = ("reachable", "error", "server_version", "version", "size_bytes", "encoding", "collation", "table_count")
_API_TYPES = {
    "ativado": bool,
    "linkInstalacaoConfigurado": bool,
    "smtpConfigurado": bool,
    "internetHabilitada": bool,
    "govBREnabled": bool,
    "serverTimezoneOffset": int,
    "version": str,
    "training": bool,
}
_API_NAMES = {"versao": "version", "treinamento": "training"}  # as this collection's other facts are called
_API_TIMEOUT = 5
_PATHS = {  # below PEC's home
    "webserver": beliefs.WEBSERVER,
    "standalone": beliefs.STANDALONE,
    "config_directory": os.path.dirname(beliefs.APPLICATION_PROPERTIES),
    "application_properties": beliefs.APPLICATION_PROPERTIES,
    "credentials_file": beliefs.CREDENTIALS_FILE,
    "log_file": beliefs.LOG_FILE,
    "keys_directory": beliefs.KEYS_DIRECTORY,
    "certmgr": beliefs.CERTMGR,
    "ssl_properties": beliefs.SSL_PROPERTIES,
    "unit_template": beliefs.UNIT_TEMPLATE,
}
_PROPERTY_NAMES = {
    "port": beliefs.PORT_KEY,
    "keystore": beliefs.KEYSTORE_KEY,
    "ssl_enabled": beliefs.SSL_ENABLED_KEY,
    "keystore_password": beliefs.KEYSTORE_PASSWORD_KEY,
    "keystore_type": beliefs.KEYSTORE_TYPE_KEY,
    "keystore_alias": beliefs.KEYSTORE_ALIAS_KEY,
    "require_https": beliefs.REQUIRE_SSL_KEY,
    "govbr_client_id": beliefs.GOVBR_ID_KEY,
    "govbr_client_secret": beliefs.GOVBR_SECRET_KEY,
}
_HEALTH = ("url", "healthy", "root_status", "esus_status", "version", "error")
_POSTGRESQL_DATA = ("/var/lib/postgresql", "/var/lib/pgsql")


def picture(root: str, ask_database: bool, ask_health: bool) -> dict[str, object]:
    """Return everything that the module returns; PEC's own files are searched below C(root). Raises PecError if one cannot be read."""
    found = installation.discover(root)
    facts, failure = read_database(found.connection) if ask_database and found.connection else (None, None)
    answered = describe_health(found) if ask_health and found.state != "absent" else dict.fromkeys(_HEALTH)
    return {
        "state": found.state,
        "reasons": list(found.reasons),
        "home": found.home,
        "paths": expected_paths(root, found),
        "property_names": dict(_PROPERTY_NAMES),
        "version": found.version,
        "production": found.production,
        "training": facts.training if facts else None,
        "custom_database": found.custom_database,
        "jre": {"directory": found.jre_directory, "version": found.jre_version},
        "connection": describe_connection(found.connection),
        "database": describe_database(facts, failure),
        "services": describe_services(),
        "ports": {
            "http": found.http_port or beliefs.HTTP_PORT,
            "https": found.https.port or beliefs.HTTPS_PORT,
            "bundled_database": beliefs.BUNDLED_PORT,
            "listening": [{"port": port, "process": listener.process} for port, listener in host.listeners().items()],
        },
        "health": answered,
        "api": describe_api(answered),
        "https": describe_https(found, facts, ask_health),
        "certificates": describe_certificates(root, found),
        "contra_chaves": describe_contra_chaves(root),
        "secret_files": found.secret_files,
        "disk": [asdict(host.disk_usage(path)) for path in disk_paths(found)],
        "memory_bytes": host.memory_bytes(),
        "processors": host.processors(),
        "java": [asdict(java) for java in host.java()],
        "timezone": host.timezone(),
        "utc_offset_minutes": host.utc_offset_minutes(),
        "locales": list(host.locales()),
        "locale": beliefs.LOCALE,
        "read_only_role": beliefs.READ_ONLY_ROLE,
        "keystore_name": beliefs.KEYSTORE_NAME,
        "installation": {
            "name": facts.installation_name if facts else None,
            "link": facts.installation_link if facts else None,
            "type": facts.installation_type if facts else None,
        },
    }


def expected_paths(root: str, found: installation.Installation) -> dict[str, str]:
    """Where PEC looks for its files, existing or not; without PEC, where its installer would put them."""
    home = found.home or os.path.join(root, beliefs.HOMES[0].lstrip("/"))
    config_file = os.path.join(root, beliefs.CONFIG_FILE.lstrip("/"))
    return {"home": home, "config_file": config_file, **{name: os.path.join(home, path) for name, path in _PATHS.items()}}


def read_database(connection: psql.Connection) -> tuple[psql.DatabaseFacts | None, str | None]:
    """Return the facts, or why there are none: a database that does not answer is a finding, not a failure of this module."""
    try:
        return psql.read_facts(connection), None
    except PecError as error:
        return None, str(error)


def describe_connection(connection: psql.Connection | None) -> dict[str, object]:
    if connection is None:
        return dict.fromkeys(("jdbc_url", "host", "port", "database", "username"))
    return {
        "jdbc_url": jdbc.build(connection.host, connection.port, connection.database, connection.sslmode, connection.sslrootcert),
        "host": connection.host,
        "port": connection.port,
        "database": connection.database,
        "username": connection.username,
    }


def describe_database(facts: psql.DatabaseFacts | None, failure: str | None) -> dict[str, object]:
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
    names = {"pec": beliefs.PEC_UNIT, "database": beliefs.DATABASE_UNIT}
    units = systemd.units(list(names.values()))
    return {service: describe_unit(units[name]) for service, name in names.items()}


def describe_unit(unit: systemd.Unit) -> dict[str, object]:
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
    """Ask the local addresses until one answers; the certificate is not verified, because no local address can match it."""
    answers = []
    for url in found.urls:
        answers.append(health.probe(url, verify=False))
        if answers[-1].reachable:
            break
    best = next((answer for answer in answers if answer.reachable), answers[0])
    return {key: value for key, value in asdict(best).items() if key in _HEALTH}


def describe_api(state: Mapping[str, object]) -> dict[str, object]:
    """Ask the address that just answered. A value of an unexpected type is another fact than the one known here, hence null."""
    facts: dict[str, object] = dict.fromkeys(("error", *_API_TYPES))
    if state["root_status"] is None:
        return facts
    try:
        answered = Client(Server(str(state["url"]), _API_TIMEOUT, validate_certs=False), patience=0).public_facts()
    except PecError as error:
        return {**facts, "error": str(error)}
    for name, value in answered.items():
        known = _API_NAMES.get(name, name)
        wanted = _API_TYPES[known]
        facts[known] = value if isinstance(value, wanted) and isinstance(value, bool) == (wanted is bool) else None
    return facts


def describe_https(found: installation.Installation, facts: psql.DatabaseFacts | None, ask: bool) -> dict[str, object]:
    """Return what the files say, and the certificate that PEC serves; with a keystore only the link names the domain."""
    domain = found.https.domain or (urlsplit(facts.installation_link or "").hostname if facts else None)
    served = None
    if ask and found.https.mode != "none":
        served = handshake.fetch(domain, found.https.port or beliefs.HTTPS_PORT)
    return {**asdict(found.https), "certificate": handshake.describe(served, domain)}


def describe_certificates(root: str, found: installation.Installation) -> list[dict[str, object]]:
    """Return the certificates in PEC's directories; about a PKCS#12 only what esus.pec.certificate recorded about this very file."""
    notes = records.read_notes(os.path.join(root, records.RECORDS.lstrip("/")))
    now = datetime.now(timezone.utc)
    return [records.describe(path, notes, now) for path in found.certificates]


def describe_contra_chaves(root: str) -> list[Mapping[str, str]] | None:
    try:
        return contra_chave.describe(contra_chave.read(os.path.join(root, contra_chave.PATH.lstrip("/"))))
    except PecError:
        return None  # esus.pec.contra_chave reports what is wrong with the file


def disk_paths(found: installation.Installation) -> list[str]:
    home = found.home or beliefs.HOMES[0]
    return [home, tempfile.gettempdir(), *(path for path in _POSTGRESQL_DATA if os.path.isdir(path))]
