# SPDX-License-Identifier: GPL-3.0-or-later
"""The beliefs about PEC's files and its installer, judged. A check takes what was seen and the belief's value."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Callable

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.doctor.facts import Facts, Keys, PathSeen
from ansible_collections.esus.pec.plugins.module_utils.doctor.model import (
    Answer,
    diverges,
    judged,
    listing,
    not_applicable,
    not_verifiable,
    ok,
)
from ansible_collections.esus.pec.plugins.module_utils.doctor.words import EXTERNAL, EXTERNAL_UNKNOWN, NO_JAR, NOT_HERE
from ansible_collections.esus.pec.plugins.module_utils.pec.installation import parse_version

Check = Callable[[Facts, str], Answer]

_CREDENTIALS_ORDER = ("URL", "acesso completo", "acesso de leitura")
_GOVBR = ".govbr."
_SERVER_KEYS = ("server.", "security.require-ssl")
_PORT_KEYS = (beliefs.PORT_KEY, beliefs.KEYSTORE_KEY, beliefs.SSL_ENABLED_KEY)


def _path(facts: Facts, belief: str) -> PathSeen:
    return facts.files.paths.get(belief, PathSeen(belief))


def _is(belief: str, kind: str) -> Check:
    def check(facts: Facts, _value: str) -> Answer:
        seen = _path(facts, belief)
        return judged(seen.kind == kind, str(seen))

    return check


def _names(keys: Keys) -> str:
    odd = f" (e {keys.odd} que não parecem chave, omitidas)" if keys.odd else ""
    return listing(keys.names) + odd


def _read(keys: Keys | None) -> Answer | None:
    """Why a file of settings cannot be judged, or None when it can."""
    if keys is None:
        return diverges("o arquivo não existe")
    return diverges(keys.problem) if keys.problem else None


def _config_file(facts: Facts, _value: str) -> Answer:
    seen, keys = _path(facts, "config-file"), facts.files.config
    problem = f", {keys.problem}" if keys and keys.problem else ""
    return judged(seen.kind == "file" and not problem, f"{seen}{problem}")


def _config_keys(facts: Facts, value: str) -> Answer:
    keys = facts.files.config
    unreadable = _read(keys)
    if keys is None or unreadable:
        return unreadable or diverges("o arquivo não existe")
    missing, more = set(value.split()) - set(keys.names), set(keys.names) - set(value.split())
    if facts.bundled:  # nobody has seen the file of such a server; a question of its own asks for it
        missing = {name for name in missing if not name.startswith("database")}
    if not missing and not more and not keys.odd:
        return ok(f"{len(keys.names)} chaves, todas conhecidas")
    others = f" (e {keys.odd} omitidas)" if keys.odd else ""
    return diverges(f"faltam: {listing(missing, 'nenhuma')}; a mais: {listing(more, 'nenhuma')}{others}")


def _homes(facts: Facts, value: str) -> Answer:
    home = facts.installation.home
    if home is None:
        return diverges("nenhum diretório do produto foi encontrado")
    return judged(any(home == one or home.endswith(one) for one in value.split()), home)


def _standalone(facts: Facts, _value: str) -> Answer:
    seen = _path(facts, "standalone")
    return judged(seen.kind == "file" and bool(seen.mode & 0o100), str(seen))


def _datasource_keys(facts: Facts, value: str) -> Answer:
    keys = facts.files.application
    unreadable = _read(keys)
    if keys is None or unreadable:
        return unreadable or diverges("o arquivo não existe")
    missing = [key for key in value.split() if key not in keys.names]
    return judged(not missing, f"faltam: {listing(missing)}" if missing else "todas presentes")


def _server_keys(facts: Facts, value: str) -> Answer:
    keys = facts.files.application
    used = [key for key in keys.names if key.startswith(_SERVER_KEYS)] if keys else []
    if not used:
        return not_applicable("nem porta própria nem HTTPS por keystore na configuração")
    port = facts.installation.http_port
    if value.split()[0] in used and port is None:
        return diverges(f"{listing(used)}; o valor de {value.split()[0]} não é uma porta")
    if value.split()[0] in used and port and facts.web.reachable:
        opened = port in facts.host.listeners
        return judged(opened, f"{listing(used)}; porta {port} {'aberta' if opened else 'fechada'}")
    known = [key for key in used if key in value.split()]
    return not_verifiable(f"{listing(used)}; o PEC não responde") if known else diverges(f"nenhuma das conhecidas; há {listing(used)}")


def _keystore_keys(facts: Facts, value: str) -> Answer:
    keys = facts.files.application
    used = [key for key in keys.names if key.startswith(_SERVER_KEYS) and key not in _PORT_KEYS] if keys else []
    if not used:
        return not_applicable("sem HTTPS por keystore na configuração")
    unknown = [key for key in used if key not in value.split()]
    return judged(not unknown, listing(unknown or used))


def _certmgr_since(facts: Facts, value: str) -> Answer:
    version = facts.installation.version
    if version is None or facts.installation.home is None:
        return not_verifiable("a versão instalada não é conhecida")
    older, has = parse_version(version) < parse_version(value), bool(facts.files.certmgr_jar)
    return judged(older != has, f"PEC {version}, {'com' if has else 'sem'} certmgr.jar")


def _govbr_keys(facts: Facts, value: str) -> Answer:
    keys = facts.files.application
    used = [key for key in keys.names if _GOVBR in key] if keys else []
    if not used:
        return not_applicable("o login gov.br não está configurado")
    return judged(sorted(used) == sorted(value.split()), listing(used))


def _credentials(facts: Facts, _value: str) -> Answer:
    seen, content = _path(facts, "credentials-file"), facts.files.credentials
    if not seen.exists or content is None:
        return diverges(str(seen)) if facts.bundled else not_verifiable(f"{seen}; {EXTERNAL_UNKNOWN}")
    agrees = seen.owner == "root" and seen.mode == 0o600 and content.order == _CREDENTIALS_ORDER
    order = content.problem or f"na ordem {listing(content.order)}"
    return judged(agrees, f"{seen}; {order}")


def _keys_directory(facts: Facts, _value: str) -> Answer:
    seen = _path(facts, "keys-directory")
    if not seen.exists:
        return ok(f"{seen}, pois ninguém o criou ainda")
    return judged(seen.kind == "directory", f"{seen}, com {facts.files.key_files} arquivo(s)")


def _on_the_screen(_facts: Facts, _value: str) -> Answer:
    return not_verifiable("só a tela do PEC mostra")


def _certmgr(facts: Facts, _value: str) -> Answer:
    seen, by_certmgr = _path(facts, "certmgr"), facts.installation.https.mode == "certmgr"
    if facts.files.certmgr_jar:
        return ok(f"{seen}, com certmgr.jar")
    if seen.exists or by_certmgr:
        return diverges(f"{seen}, sem certmgr.jar")
    return not_verifiable(f"{seen}; sem HTTPS do certmgr não se sabe se deveria existir")


def _ssl_properties(facts: Facts, _value: str) -> Answer:
    seen, https = _path(facts, "ssl-properties"), facts.installation.https
    https_port = https.port or beliefs.HTTPS_PORT
    listening = facts.host.listeners.get(https_port)
    if seen.exists:
        if not facts.web.reachable:
            return not_verifiable(f"{seen}; o PEC não responde")
        return judged(listening is not None, f"existe; porta {https_port} {'aberta' if listening else 'fechada'}")
    java = listening is not None and listening.process == "java" and https.mode == "none"
    return judged(not java, f"ausente; porta {https_port} {'aberta pelo java' if java else 'não é do PEC'}")


def _ssl_domain_key(facts: Facts, value: str) -> Answer:
    keys = facts.files.ssl
    if keys is None:
        return not_applicable("não há ssl.properties")
    found = any(name.replace("-", ".").replace("_", ".").split(".")[-1].lower().endswith(value) for name in keys.names)
    return judged(found, keys.problem or f"chaves: {_names(keys)}")


def _unit_template(facts: Facts, _value: str) -> Answer:
    seen = _path(facts, "unit-template")
    if facts.installation.pec_unit_file:
        return not_applicable("o serviço está instalado" + ("; o texto também está aqui" if seen.exists else ""))
    return judged(seen.kind == "file", str(seen))


def _jre_directory(facts: Facts, _value: str) -> Answer:
    seen, versions = _path(facts, "jre-directory"), facts.files.jre_versions
    return judged(seen.kind == "directory" and bool(versions), f"{seen}; versões: {listing(versions, 'nenhuma')}")


def _jre_current(facts: Facts, _value: str) -> Answer:
    seen, java = _path(facts, "jre-current"), facts.files.jre_java
    return judged(seen.kind == "directory" and bool(java), f"{seen}; {'Java ' + java if java else 'sem bin/java que responda'}")


def _bundled_clients(facts: Facts, _value: str) -> Answer:
    found = facts.files.bundled_psql
    if not facts.bundled:
        return not_applicable(EXTERNAL)
    return judged(bool(found), listing([posixpath.dirname(path) for path in found], "nenhum psql no diretório do produto"))


def _jar_name(facts: Facts, _value: str) -> Answer:
    if facts.jar is None:
        return not_verifiable(NO_JAR)
    name = posixpath.basename(facts.jar.path)
    return judged(beliefs.JAR_NAME.fullmatch(name) is not None, name)


def _jar_main_class(facts: Facts, value: str) -> Answer:
    jar = facts.jar
    if jar is None:
        return not_verifiable(NO_JAR)
    return judged(jar.main_class == value, jar.problem or jar.main_class or "nenhuma")


def _jar_contents(facts: Facts, _value: str) -> Answer:
    jar = facts.jar
    if jar is None:
        return not_verifiable(NO_JAR)
    missing = f"faltam: {listing(jar.missing)}" if jar.missing else ""
    return judged(not jar.problem and not missing, jar.problem or missing or "todos presentes")


def _options(belief: str) -> Check:
    def check(facts: Facts, _value: str) -> Answer:
        if facts.jar is None:
            return not_verifiable(NO_JAR)
        if belief in facts.jar.constants:
            return ok("todas estão nas classes do instalador")
        return not_verifiable("nem todas se leem nas classes do instalador; compare com a saída de -help")

    return check


def _not_here(_facts: Facts, _value: str) -> Answer:
    return not_verifiable(NOT_HERE)


def _java_major(facts: Facts, value: str) -> Answer:
    java = facts.files.jre_java
    if not java:
        return not_verifiable("não se sabe a versão do Java do PEC")
    numbers = java.replace("_", ".").split(".")
    major = int(numbers[1] if numbers[0] == "1" and len(numbers) > 1 else numbers[0])
    return judged(major >= int(value), f"o PEC traz o Java {java}")


CHECKS: Mapping[str, Check] = {
    "config-file": _config_file,
    "config-keys": _config_keys,
    "homes": _homes,
    "webserver": _is("webserver", "directory"),
    "bundle": _is("bundle", "file"),
    "standalone": _standalone,
    "application-properties": _is("application-properties", "file"),
    "datasource-keys": _datasource_keys,
    "server-keys": _server_keys,
    "keystore-keys": _keystore_keys,
    "govbr-keys": _govbr_keys,
    "credentials-file": _credentials,
    "log-file": _is("log-file", "file"),
    "keys-directory": _keys_directory,
    "certificate-suffixes": _on_the_screen,
    "certificate-menu": _on_the_screen,
    "certificate-status": _on_the_screen,
    "certmgr": _certmgr,
    "certmgr-since": _certmgr_since,
    "ssl-properties": _ssl_properties,
    "ssl-domain-key": _ssl_domain_key,
    "unit-template": _unit_template,
    "jre-directory": _jre_directory,
    "jre-current": _jre_current,
    "bundled-clients": _bundled_clients,
    "migrator": _is("migrator", "file"),
    "java-major": _java_major,
}

INSTALLER_CHECKS: Mapping[str, Check] = {
    "jar-name": _jar_name,
    "jar-main-class": _jar_main_class,
    "jar-contents": _jar_contents,
    "options": _options("options"),
    "certificate-options": _options("certificate-options"),
    "exit-code-zero": _not_here,
    "root-directory": _not_here,
}
"""Of the installer, which can be looked at whether or not PEC is here."""
