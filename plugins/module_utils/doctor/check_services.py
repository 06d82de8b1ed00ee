# SPDX-License-Identifier: GPL-3.0-or-later
"""The beliefs about services, ports, the machine and the application's answers. Private to the collection."""

from __future__ import annotations

from ipaddress import ip_address

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.doctor.facts import Facts
from ansible_collections.esus.pec.plugins.module_utils.doctor.model import BUNDLED, STOPPED, WEB, Answer, belief, judged, listing
from ansible_collections.esus.pec.plugins.module_utils.system.host import Listener

NO_SYSTEMD = "o systemd não respondeu"


def _shown(port: int, seen: Listener | None) -> str:
    if seen is None:
        return f"porta {port} fechada"
    return f"porta {port} em {listing(seen.addresses)}, processo {seen.process or 'desconhecido'}"


@belief("pec-unit", "Serviço da aplicação", "{value} no systemd (pode faltar com banco próprio)")
def _pec_unit(facts: Facts) -> Answer:
    unit = facts.host.units.get(beliefs.PEC_UNIT)
    if unit is None or unit.load_state is None:
        return Answer.not_verifiable(NO_SYSTEMD)
    if unit.load_state == "loaded":
        return Answer.ok(f"{unit.active_state}, {'habilitado' if unit.enabled else 'não habilitado'}")
    if facts.bundled:
        return Answer.diverges(unit.load_state)
    return Answer.ok(f"{unit.load_state}, o que pode ocorrer com banco próprio")


@belief("database-unit", "Serviço do PostgreSQL embutido", "{value} no systemd", needs=(BUNDLED,))
def _database_unit(facts: Facts) -> Answer:
    unit = facts.host.units.get(beliefs.DATABASE_UNIT)
    if unit is None or unit.load_state is None:
        return Answer.not_verifiable(NO_SYSTEMD)
    return judged(unit.load_state == "loaded", f"{unit.load_state}, {unit.active_state}")


@belief("windows-service", "Serviço da aplicação no Windows")
def _windows_service(_facts: Facts) -> Answer:
    return Answer.not_applicable("este servidor é Linux")


@belief("unit-directories", "Onde ficam os serviços", "um destes: {value}")
def _unit_directories(facts: Facts) -> Answer:
    units = [unit.fragment_path for unit in facts.host.units.values()]
    paths = [path for path in (*units, facts.installation.pec_unit_file, facts.installation.database_unit_file) if path]
    places = sorted({path.rpartition("/")[0] for path in paths})
    if not places:
        return Answer.not_applicable("nenhum serviço do PEC instalado")
    return judged(all(place.endswith(beliefs.UNIT_DIRECTORIES) for place in places), listing(places))


@belief("http-port", "Porta HTTP", "{value}, em todos os endereços, pelo processo java")
def _http_port(facts: Facts) -> Answer:
    port = facts.installation.http_port or beliefs.HTTP_PORT
    if port != beliefs.HTTP_PORT:
        return Answer.not_applicable(f"a configuração define a porta {port}")
    if facts.installation.https.mode != "none":
        return Answer.not_applicable("o PEC atende por HTTPS")
    seen = facts.host.listeners.get(port)
    if seen is None:
        return Answer.diverges(_shown(port, seen)) if facts.web.reachable else Answer.not_verifiable(f"{STOPPED}; {_shown(port, seen)}")
    return judged(seen.process == "java" and any(ip_address(address).is_unspecified for address in seen.addresses), _shown(port, seen))


@belief("https-port", "Porta HTTPS do certmgr", "{value}, salvo outra escolhida na instalação")
def _https_port(facts: Facts) -> Answer:
    https = facts.installation.https
    if https.mode != "certmgr":
        return Answer.not_applicable("sem HTTPS do certmgr")
    port = https.port or beliefs.HTTPS_PORT
    seen = facts.host.listeners.get(port)
    return Answer.not_verifiable(STOPPED) if seen is None and not facts.web.reachable else judged(seen is not None, _shown(port, seen))


@belief("https-replaces-http", "Com HTTPS não há HTTP em outra porta", "só a porta HTTPS aberta")
def _https_replaces_http(facts: Facts) -> Answer:
    https, listeners = facts.installation.https, facts.host.listeners
    if https.mode == "none":
        return Answer.not_applicable("sem HTTPS do PEC")
    port = https.port or beliefs.HTTPS_PORT
    if port not in listeners:
        return Answer.not_verifiable(STOPPED)
    http = {facts.installation.http_port or beliefs.HTTP_PORT, beliefs.HTTP_PORT} - {port}
    opened = [number for number in sorted(http) if number in listeners and listeners[number].process == "java"]
    return judged(not opened, f"também aberta: {listing(opened)}" if opened else f"só a porta {port}")


@belief("bundled-port", "Porta do PostgreSQL embutido", "{value}, só em 127.0.0.1", needs=(BUNDLED,))
def _bundled_port(facts: Facts) -> Answer:
    port = beliefs.BUNDLED_PORT
    seen = facts.host.listeners.get(port)
    return judged(seen is not None and all(ip_address(address).is_loopback for address in seen.addresses), _shown(port, seen))


@belief("bundled-user", "Usuário do PostgreSQL embutido", "conta {value} no sistema, superusuário no banco", needs=(BUNDLED,))
def _bundled_user(facts: Facts) -> Answer:
    account = facts.host.database_account
    if account is None:
        return Answer.diverges(f"não há conta {beliefs.BUNDLED_USER} neste sistema")
    if facts.database.error or not facts.database.roles:
        return Answer.not_verifiable(f"conta {account}; o banco não pôde ser consultado")
    superuser = facts.database.roles.get(beliefs.BUNDLED_USER, False)
    return judged(superuser, f"conta {account}; superusuário: {'sim' if superuser else 'não'}")


@belief("init-name", "Processo 1, como o instalador pergunta", anywhere=True)
def _init_name(facts: Facts) -> Answer:
    found = facts.host.init_name
    return Answer.diverges("o programa ps não respondeu (instale procps)") if found is None else judged(found == beliefs.INIT_NAME, found)


@belief("file-program", "Programa file, que o instalador usa", "{value} -L /sbin/init responde 64-bit", anywhere=True)
def _file_program(facts: Facts) -> Answer:
    found = facts.host.file_of_init
    return Answer.diverges("o programa não existe aqui (instale o pacote file)") if found is None else judged("64-bit" in found, found)


@belief("remove-ipc", "Semáforos perdidos quando o usuário sai", "sem RemoveIPC={value}, falha semctl na migração")
def _remove_ipc(facts: Facts) -> Answer:
    log = facts.said.get("text-semaphores")
    if log:
        return Answer.ok(f"a falha aparece em {log}")
    setting = {None: "desconhecido", True: "yes", False: "no"}[facts.host.remove_ipc]
    return Answer.not_verifiable(f"RemoveIPC={setting} aqui, e a falha não aparece nos registros")


def _status(facts: Facts, name: str, expected: int) -> Answer:
    status = facts.web.statuses.get(name)
    return judged(status == expected, "sem resposta" if status is None else f"responde {status}")


@belief("root-path", "Página inicial", "GET {value} responde 200", needs=(WEB,))
def _root_path(facts: Facts) -> Answer:
    return _status(facts, "root-path", 200)


@belief("esus-path", "Área restrita", "GET {value} sem sessão responde 401", needs=(WEB,))
def _esus_path(facts: Facts) -> Answer:
    return _status(facts, "esus-path", 401)


@belief("info-path", "Informação pública", "GET {value} responde 200 com JSON", needs=(WEB,))
def _info_path(facts: Facts) -> Answer:
    if facts.web.statuses.get("info-path") != 200:
        return _status(facts, "info-path", 200)
    json = facts.web.info_keys is not None
    return judged(json, f"responde 200, {'com' if json else 'sem'} JSON")


@belief("info-version-key", "Versão na informação pública", "campo {value}, igual à versão instalada", needs=(WEB,))
def _info_version_key(facts: Facts) -> Answer:
    keys, found, installed = facts.web.info_keys, facts.web.version, facts.installation.version
    if keys is None or beliefs.INFO_VERSION_KEY not in keys:
        return Answer.diverges(f"não há; campos: {listing(list(keys or {}))}")
    if installed is None:
        return Answer.not_verifiable(f"{found}; a versão instalada não é conhecida")
    return judged(found == installed, f"{found}; instalada: {installed}")


@belief("govbr-redirects", "Endereços a registrar no gov.br", "abaixo do endereço do PEC: {value}")
def _registered_elsewhere(_facts: Facts) -> Answer:
    return Answer.not_verifiable("só o gov.br sabe o que foi registrado; um login de verdade o mostra")
