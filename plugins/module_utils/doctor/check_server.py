# SPDX-License-Identifier: GPL-3.0-or-later
"""The beliefs about services, ports, the database and the application's answers, judged."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Callable

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.doctor.facts import Facts, Listener
from ansible_collections.esus.pec.plugins.module_utils.doctor.model import (
    Answer,
    diverges,
    judged,
    listing,
    not_applicable,
    not_verifiable,
    ok,
)
from ansible_collections.esus.pec.plugins.module_utils.doctor.words import EXTERNAL, EXTERNAL_UNKNOWN, STOPPED
from ansible_collections.esus.pec.plugins.module_utils.preflight.database import USABLE_AUTHENTICATION
from ansible_collections.esus.pec.plugins.module_utils.preflight.judging import INSTALLATION_TYPES

Check = Callable[[Facts, str], Answer]

_VERSION = re.compile(r"\d+\.\d+\.\d+")
_NO_SYSTEMD = "o systemd não respondeu"
_FIRST_RUN = "ainda não gravado no banco (a primeira execução foi feita?)"


def _listener(port: int, seen: Listener | None) -> str:
    if seen is None:
        return f"porta {port} fechada"
    return f"porta {port} em {listing(seen.addresses)}, processo {seen.process or 'desconhecido'}"


def _pec_unit(facts: Facts, value: str) -> Answer:
    unit = facts.host.units.get(value)
    if unit is None or unit.load_state is None:
        return not_verifiable(_NO_SYSTEMD)
    if unit.load_state == "loaded":
        return ok(f"{unit.active_state}, {'habilitado' if unit.enabled else 'não habilitado'}")
    return judged(not facts.bundled, f"{unit.load_state}" + ("" if facts.bundled else ", como se sabe que pode ocorrer com banco próprio"))


def _database_unit(facts: Facts, value: str) -> Answer:
    unit = facts.host.units.get(value)
    if unit is None or unit.load_state is None:
        return not_verifiable(_NO_SYSTEMD)
    if not facts.bundled:
        return not_applicable(EXTERNAL)
    return judged(unit.load_state == "loaded", f"{unit.load_state}, {unit.active_state}")


def _unit_directories(facts: Facts, value: str) -> Answer:
    files = [path for path in (facts.installation.pec_unit_file, facts.installation.database_unit_file) if path]
    asked = [unit.fragment_path for unit in facts.host.units.values() if unit.fragment_path]
    places = sorted({path.rpartition("/")[0] for path in [*asked, *files]})
    if not places:
        return not_applicable("nenhum serviço do PEC instalado")
    return judged(all(any(place.endswith(one) for one in value.split()) for place in places), listing(places))


def _http_port(facts: Facts, value: str) -> Answer:
    wanted, port = int(value), facts.installation.http_port or int(value)
    if port != wanted:
        return not_applicable(f"a configuração escolhe a porta {port}")
    if facts.installation.https.mode != "none":
        return not_applicable("o PEC atende por HTTPS")
    seen = facts.host.listeners.get(port)
    if seen is None:
        return not_verifiable(f"{STOPPED}; {_listener(port, seen)}") if not facts.web.reachable else diverges(_listener(port, seen))
    return judged(seen.process == "java" and any(ip_address(address).is_unspecified for address in seen.addresses), _listener(port, seen))


def _https_port(facts: Facts, value: str) -> Answer:
    https = facts.installation.https
    if https.mode != "certmgr":
        return not_applicable("sem HTTPS do certmgr")
    port = https.port or int(value)
    seen = facts.host.listeners.get(port)
    return not_verifiable(STOPPED) if seen is None and not facts.web.reachable else judged(seen is not None, _listener(port, seen))


def _https_replaces_http(facts: Facts, _value: str) -> Answer:
    https = facts.installation.https
    if https.mode == "none":
        return not_applicable("sem HTTPS do PEC")
    port = https.port or beliefs.HTTPS_PORT
    if port not in facts.host.listeners:
        return not_verifiable(STOPPED)
    http = {facts.installation.http_port or beliefs.HTTP_PORT, beliefs.HTTP_PORT} - {port}
    opened = [number for number in sorted(http) if number in facts.host.listeners and facts.host.listeners[number].process == "java"]
    return judged(not opened, f"também aberta: {listing(opened)}" if opened else f"só a porta {port}")


def _bundled_port(facts: Facts, value: str) -> Answer:
    if not facts.bundled:
        return not_applicable(EXTERNAL)
    port = int(value)
    seen = facts.host.listeners.get(port)
    return judged(seen is not None and all(ip_address(address).is_loopback for address in seen.addresses), _listener(port, seen))


def _bundled_user(facts: Facts, value: str) -> Answer:
    if not facts.bundled:
        return not_applicable(EXTERNAL)
    account = facts.host.database_account
    if account is None:
        return diverges(f"não há conta {value} neste sistema")
    if facts.database.error or not facts.database.roles:
        return not_verifiable(f"conta {account}; o banco não pôde ser consultado")
    superuser = facts.database.roles.get(value, False)
    return judged(superuser, f"conta {account}; superusuário: {'sim' if superuser else 'não'}")


def _init_name(facts: Facts, value: str) -> Answer:
    found = facts.host.init_name
    return diverges("o programa ps não respondeu (instale procps)") if found is None else judged(found == value, found)


def _file_program(facts: Facts, _value: str) -> Answer:
    found = facts.host.file_of_init
    return diverges("o programa não existe aqui (instale o pacote file)") if found is None else judged("64-bit" in found, found)


def _locale(facts: Facts, value: str) -> Answer:
    if not facts.bundled:
        return not_applicable(EXTERNAL)
    if not facts.database.locale:
        return not_verifiable(_unasked(facts))
    return judged(
        set(facts.database.locale.values()) == {value}, listing([f"{name}={setting}" for name, setting in facts.database.locale.items()])
    )


def _remove_ipc(facts: Facts, _value: str) -> Answer:
    log = facts.said.get("text-semaphores")
    if log:
        return ok(f"a falha aparece em {log}")
    setting = {None: "desconhecido", True: "yes", False: "no"}[facts.host.remove_ipc]
    return not_verifiable(f"RemoveIPC={setting} aqui, e a falha não aparece nos registros")


def _unasked(facts: Facts) -> str:
    return f"o banco não pôde ser consultado: {facts.database.error or facts.database.facts_error or 'sem resposta'}"


def _database_name(facts: Facts, value: str) -> Answer:
    connection = facts.installation.connection
    if connection is None:
        return not_verifiable("nenhuma conexão foi encontrada nos arquivos")
    if connection.database != value and not facts.bundled:
        return not_applicable(f"{connection.database}, escolhido por quem instalou")
    return judged(connection.database == value, connection.database)


def _read_only_role(facts: Facts, value: str) -> Answer:
    if facts.database.error:
        return not_verifiable(_unasked(facts))
    if value not in facts.database.roles:
        return diverges("não existe") if facts.bundled else not_verifiable(f"não existe; {EXTERNAL_UNKNOWN}")
    return ok("existe")


def _settings_table(facts: Facts, _value: str) -> Answer:
    if facts.database.error:
        return not_verifiable(_unasked(facts))
    columns = facts.database.columns
    agrees = {"co_config_sistema", "ds_texto", "ds_inteiro"} <= set(columns)
    return judged(agrees, listing([f"{name} ({kind})" for name, kind in columns.items()], "a tabela não existe"))


def _table(facts: Facts, value: str) -> Answer:
    if facts.database.error:
        return not_verifiable(_unasked(facts))
    return judged(value in facts.database.tables, "existe" if value in facts.database.tables else "a tabela não existe")


def _setting(key: str, column: str) -> Check:
    """Whether a setting's value stands in the column where we look for it."""

    def check(facts: Facts, _value: str) -> Answer:
        settings = facts.database.settings
        if settings is None:
            return not_verifiable(_unasked(facts))
        if key not in settings or not settings[key]:
            return not_verifiable(_FIRST_RUN) if key != beliefs.VERSION_KEY else diverges("não está no banco")
        seen, value = settings[key], _shown(facts, key)
        agrees = column in seen and not (key == beliefs.VERSION_KEY and not _VERSION.fullmatch(value))
        agrees = agrees and not (key == beliefs.TYPE_KEY and value not in INSTALLATION_TYPES)
        return judged(agrees, f"em {listing(seen)}" + (f": {value}" if value else ""))

    return check


def _shown(facts: Facts, key: str) -> str:
    """The few values that say something about PEC, and nothing about the people who use it."""
    known = facts.database.facts
    if known is None:
        return ""
    training = {None: "", True: "1", False: "0"}[known.training]
    shown = {beliefs.VERSION_KEY: known.pec_version, beliefs.TYPE_KEY: known.installation_type, beliefs.TRAINING_KEY: training}
    return shown.get(key) or ""


def _password_encryption(facts: Facts, _value: str) -> Answer:
    method = facts.database.authentication
    if method is None:
        return not_verifiable(_unasked(facts))
    if method == "scram-sha-256" and facts.web.reachable:
        return diverges("o servidor pede scram-sha-256 e o PEC funciona: o driver já o conhece")
    if method in USABLE_AUTHENTICATION:
        return ok(f"o servidor pede {method}")
    return not_verifiable(f"o servidor pede {method}, e o PEC não responde")


def _postgresql_minimum(facts: Facts, value: str) -> Answer:
    if facts.database.facts is None:
        return not_verifiable(_unasked(facts))
    major, minor = (int(number) for number in value.split("."))
    return judged(facts.database.facts.server_version_num >= major * 10000 + minor * 100, facts.database.facts.server_version)


def _status(belief: str, expected: int) -> Check:
    def check(facts: Facts, _value: str) -> Answer:
        if not facts.web.reachable:
            return not_verifiable(STOPPED)
        status = facts.web.statuses.get(belief)
        found = "sem resposta" if status is None else f"responde {status}"
        if belief == "info-path" and status == expected:
            return judged(facts.web.info_keys is not None, f"{found}, {'com' if facts.web.info_keys is not None else 'sem'} JSON")
        return judged(status == expected, found)

    return check


def _info_version_key(facts: Facts, value: str) -> Answer:
    keys, found, installed = facts.web.info_keys, facts.web.version, facts.installation.version
    if not facts.web.reachable:
        return not_verifiable(STOPPED)
    if keys is None or value not in keys:
        return diverges(f"não há; campos: {listing(list(keys or {}))}")
    if installed is None:
        return not_verifiable(f"{found}; a versão instalada não se sabe")
    return judged(found == installed, f"{found}; instalada: {installed}")


def _registered_elsewhere(_facts: Facts, _value: str) -> Answer:
    return not_verifiable("só o gov.br sabe o que foi registrado; um login de verdade o mostra")


def _said(belief: str) -> Check:
    """A text of the product can only be confirmed: where it was said, or where its program carries it."""

    def check(facts: Facts, _value: str) -> Answer:
        if belief in facts.said:
            return ok(f"aparece em {facts.said[belief]}")
        if facts.jar is not None and belief in facts.jar.constants:
            return ok("está nas classes do instalador")
        return not_verifiable(f"não aparece em {len(facts.logs)} registro(s) lido(s); só a própria falha o mostraria")

    return check


CHECKS: Mapping[str, Check] = {
    "pec-unit": _pec_unit,
    "database-unit": _database_unit,
    "unit-directories": _unit_directories,
    "http-port": _http_port,
    "https-port": _https_port,
    "https-replaces-http": _https_replaces_http,
    "bundled-port": _bundled_port,
    "bundled-user": _bundled_user,
    "locale": _locale,
    "remove-ipc": _remove_ipc,
    "database-name": _database_name,
    "read-only-role": _read_only_role,
    "settings-table": _settings_table,
    "version-key": _setting(beliefs.VERSION_KEY, "ds_texto"),
    "training-key": _setting(beliefs.TRAINING_KEY, "ds_inteiro"),
    "name-key": _setting(beliefs.NAME_KEY, "ds_texto"),
    "link-key": _setting(beliefs.LINK_KEY, "ds_texto"),
    "type-key": _setting(beliefs.TYPE_KEY, "ds_texto"),
    "migrations-table": _table,
    "migration-lock-table": _table,
    "password-encryption": _password_encryption,
    "postgresql-minimum": _postgresql_minimum,
    "root-path": _status("root-path", 200),
    "esus-path": _status("esus-path", 401),
    "info-path": _status("info-path", 200),
    "govbr-redirects": _registered_elsewhere,
    "info-version-key": _info_version_key,
}

HOST_CHECKS: Mapping[str, Check] = {"init-name": _init_name, "file-program": _file_program}
"""Of the machine, which can be looked at whether or not PEC is here."""

TEXT_CHECKS: Mapping[str, Check] = {belief.id: _said(belief.id) for belief in beliefs.BELIEFS if belief.id.startswith("text-")}
