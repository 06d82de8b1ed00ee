# SPDX-License-Identifier: GPL-3.0-or-later
"""The beliefs about PEC's files. Private to the collection."""

from __future__ import annotations

import posixpath

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.doctor.facts import Facts, Keys, PathSeen
from ansible_collections.esus.pec.plugins.module_utils.doctor.model import BUNDLED, EXTERNAL_UNKNOWN, Answer, belief, judged, listing
from ansible_collections.esus.pec.plugins.module_utils.pec.installation import parse_version

_CREDENTIALS_ORDER = ("URL", "acesso completo", "acesso de leitura")
_SERVER_KEYS = ("server.", "security.require-ssl")
_MISSING = Answer.diverges("o arquivo não existe")


def _path(facts: Facts, name: str) -> PathSeen:
    return facts.files.paths.get(name, PathSeen(name))


def _exists(name: str, kind: str, title: str, expected: str = "{value}") -> None:
    """Enter a belief that is true if the path is there."""

    @belief(name, title, expected)
    def _judge(facts: Facts) -> Answer:
        seen = _path(facts, name)
        return judged(seen.kind == kind, str(seen))


def _application_keys(facts: Facts) -> tuple[str, ...]:
    return facts.files.application.names if facts.files.application else ()


_exists("webserver", "directory", "Diretório da aplicação", "{value}, dentro do diretório do produto")
_exists("bundle", "file", "Programa da aplicação")
_exists("application-properties", "file", "Configuração da aplicação")
_exists("log-file", "file", "Registro (log) da aplicação")
_exists("migrator", "file", "Programa de migração do banco")


@belief("config-file", "Arquivo deixado pelo instalador", "{value}, em JSON")
def _config_file(facts: Facts) -> Answer:
    seen, keys = _path(facts, "config-file"), facts.files.config
    problem = f", {keys.problem}" if keys and keys.problem else ""
    return judged(seen.kind == "file" and not problem, f"{seen}{problem}")


@belief("config-keys", "Chaves do arquivo do instalador", "exatamente: {value}")
def _config_keys(facts: Facts) -> Answer:
    keys = facts.files.config
    if keys is None or keys.problem:
        return Answer.diverges(keys.problem) if keys else _MISSING
    missing, more = set(beliefs.CONFIG_KEYS) - set(keys.names), set(keys.names) - set(beliefs.CONFIG_KEYS)
    if facts.bundled:  # nobody has seen the file of such a server; an open question asks for it
        missing = {name for name in missing if not name.startswith("database")}
    if not missing and not more and not keys.odd:
        return Answer.ok(f"{len(keys.names)} chaves, todas conhecidas")
    others = f" (e {keys.odd} omitidas)" if keys.odd else ""
    return Answer.diverges(f"faltam: {listing(missing, 'nenhuma')}; a mais: {listing(more, 'nenhuma')}{others}")


@belief("homes", "Diretório do produto", "um destes: {value}")
def _homes(facts: Facts) -> Answer:
    home = facts.installation.home
    return judged(home.endswith(beliefs.HOMES), home) if home else Answer.diverges("nenhum diretório do produto foi encontrado")


@belief("windows-home", "Diretório do produto no Windows")
def _windows_home(_facts: Facts) -> Answer:
    return Answer.not_applicable("este servidor é Linux")


@belief("standalone", "Script que inicia a aplicação", "{value}, executável")
def _standalone(facts: Facts) -> Answer:
    seen = _path(facts, "standalone")
    return judged(seen.kind == "file" and bool(seen.mode & 0o100), str(seen))


@belief("datasource-keys", "Chaves do banco na configuração", "todas: {value}")
def _datasource_keys(facts: Facts) -> Answer:
    keys = facts.files.application
    if keys is None or keys.problem:
        return Answer.diverges(keys.problem) if keys else _MISSING
    missing = [key for key in beliefs.DATASOURCE_KEYS if key not in keys.names]
    return judged(not missing, f"faltam: {listing(missing)}" if missing else "todas presentes")


@belief("server-keys", "Chaves de porta e de HTTPS na configuração", "se houver, entre: {value}")
def _server_keys(facts: Facts) -> Answer:
    used = [key for key in _application_keys(facts) if key.startswith(_SERVER_KEYS)]
    if not used:
        return Answer.not_applicable("nem porta própria nem HTTPS por keystore na configuração")
    port = facts.installation.http_port
    if beliefs.PORT_KEY in used and port is None:
        return Answer.diverges(f"{listing(used)}; o valor de {beliefs.PORT_KEY} não é uma porta")
    if beliefs.PORT_KEY in used and facts.web.reachable:
        opened = port in facts.host.listeners
        return judged(opened, f"{listing(used)}; porta {port} {'aberta' if opened else 'fechada'}")
    if set(used) & set(beliefs.SERVER_KEYS):
        return Answer.not_verifiable(f"{listing(used)}; o PEC não responde")
    return Answer.diverges(f"nenhuma das conhecidas; há {listing(used)}")


@belief("keystore-keys", "Outras chaves do HTTPS por keystore", "se houver, entre: {value}")
def _keystore_keys(facts: Facts) -> Answer:
    used = [key for key in _application_keys(facts) if key.startswith(_SERVER_KEYS) and key not in beliefs.SERVER_KEYS]
    if not used:
        return Answer.not_applicable("sem HTTPS por keystore na configuração")
    unknown = [key for key in used if key not in beliefs.KEYSTORE_KEYS]
    return judged(not unknown, listing(unknown or used))


@belief("govbr-keys", "Chaves do login gov.br na configuração", "se houver, ambas: {value}")
def _govbr_keys(facts: Facts) -> Answer:
    used = [key for key in _application_keys(facts) if ".govbr." in key]
    if used:
        return judged(set(used) == set(beliefs.GOVBR_KEYS), listing(used))
    return Answer.not_applicable("o login gov.br não está configurado")


@belief("credentials-file", "Arquivo das senhas do banco", "{value}, de root, 0600, na ordem URL, acesso completo, acesso de leitura")
def _credentials(facts: Facts) -> Answer:
    seen, content = _path(facts, "credentials-file"), facts.files.credentials
    if not seen.exists or content is None:
        return Answer.diverges(str(seen)) if facts.bundled else Answer.not_verifiable(f"{seen}; {EXTERNAL_UNKNOWN}")
    agrees = seen.owner == "root" and seen.mode == 0o600 and content.order == _CREDENTIALS_ORDER
    return judged(agrees, f"{seen}; {content.problem or f'na ordem {listing(content.order)}'}")


@belief("keys-directory", "Diretório dos certificados da RNDS", "{value}, criado pelo administrador")
def _keys_directory(facts: Facts) -> Answer:
    seen = _path(facts, "keys-directory")
    if not seen.exists:
        return Answer.ok(f"{seen}, pois ninguém o criou ainda")
    return judged(seen.kind == "directory", f"{seen}, com {facts.files.key_files} arquivo(s)")


@belief("certificate-suffixes", "Arquivos que a tela de certificados aceita")
@belief("certificate-menu", "Onde o PEC pede o certificado da RNDS")
@belief("certificate-status", "O que o PEC mostra quando o certificado funciona")
def _on_the_screen(_facts: Facts) -> Answer:
    return Answer.not_verifiable("só a tela do PEC mostra")


@belief("certmgr", "Programa de certificados (certmgr)", "{value}, com certmgr.jar")
def _certmgr(facts: Facts) -> Answer:
    seen = _path(facts, "certmgr")
    if facts.files.certmgr_jar:
        return Answer.ok(f"{seen}, com certmgr.jar")
    if seen.exists or facts.installation.https.mode == "certmgr":
        return Answer.diverges(f"{seen}, sem certmgr.jar")
    return Answer.not_verifiable(f"{seen}; sem HTTPS do certmgr não se sabe se deveria existir")


@belief("certmgr-since", "Versão mais antiga com certmgr")
def _certmgr_since(facts: Facts) -> Answer:
    version = facts.installation.version
    if version is None or facts.installation.home is None:
        return Answer.not_verifiable("a versão instalada não é conhecida")
    older = parse_version(version) < parse_version(beliefs.CERTMGR_SINCE)
    return judged(older != facts.files.certmgr_jar, f"PEC {version}, {'com' if facts.files.certmgr_jar else 'sem'} certmgr.jar")


@belief("ssl-properties", "Configuração do certmgr", "{value} existe se, e somente se, o HTTPS vem do certmgr")
def _ssl_properties(facts: Facts) -> Answer:
    seen, https = _path(facts, "ssl-properties"), facts.installation.https
    port = https.port or beliefs.HTTPS_PORT
    listening = facts.host.listeners.get(port)
    if seen.exists and not facts.web.reachable:
        return Answer.not_verifiable(f"{seen}; o PEC não responde")
    if seen.exists:
        return judged(listening is not None, f"existe; porta {port} {'aberta' if listening else 'fechada'}")
    java = listening is not None and listening.process == "java" and https.mode == "none"
    return judged(not java, f"ausente; porta {port} {'aberta pelo java' if java else 'não é do PEC'}")


@belief("ssl-domain-key", "Chave do domínio no ssl.properties", "uma chave cuja última palavra é {value}")
def _ssl_domain_key(facts: Facts) -> Answer:
    keys = facts.files.ssl
    if keys is None:
        return Answer.not_applicable("não há ssl.properties")
    words = [name.replace("-", ".").replace("_", ".").split(".")[-1].lower() for name in keys.names]
    return judged(any(word.endswith(beliefs.SSL_DOMAIN_KEY) for word in words), keys.problem or f"chaves: {names(keys)}")


@belief("unit-template", "Texto do serviço quando não instalado")
def _unit_template(facts: Facts) -> Answer:
    seen = _path(facts, "unit-template")
    if facts.installation.pec_unit_file:
        return Answer.not_applicable("o serviço está instalado" + ("; o texto também está aqui" if seen.exists else ""))
    return judged(seen.kind == "file", str(seen))


@belief("jre-directory", "Java que vem com o PEC", "{value}, um diretório por versão")
def _jre_directory(facts: Facts) -> Answer:
    seen, versions = _path(facts, "jre-directory"), facts.files.jre_versions
    return judged(seen.kind == "directory" and bool(versions), f"{seen}; versões: {listing(versions, 'nenhuma')}")


@belief("jre-current", "Java em uso", "{value}, com bin/java")
def _jre_current(facts: Facts) -> Answer:
    seen, java = _path(facts, "jre-current"), facts.files.jre_java
    return judged(seen.kind == "directory" and bool(java), f"{seen}; {'Java ' + java if java else 'sem bin/java que responda'}")


@belief("java-major", "Java mais antigo que serve", "{value} ou mais novo, desde o PEC 5.3")
def _java_major(facts: Facts) -> Answer:
    java = facts.files.jre_java
    if not java:
        return Answer.not_verifiable("a versão do Java do PEC não é conhecida")
    numbers = java.replace("_", ".").split(".")
    major = int(numbers[1] if numbers[0] == "1" and len(numbers) > 1 else numbers[0])
    return judged(major >= beliefs.JAVA_MAJOR, f"o PEC traz o Java {java}")


@belief("bundled-clients", "Programas do PostgreSQL embutido", "{value}/psql", needs=(BUNDLED,))
def _bundled_clients(facts: Facts) -> Answer:
    directories = [posixpath.dirname(path) for path in facts.files.bundled_psql]
    return judged(bool(directories), listing(directories, "nenhum psql no diretório do produto"))


def names(keys: Keys) -> str:
    """The names in a file of settings, as far as they can be repeated."""
    return listing(keys.names) + (f" (e {keys.odd} que não parecem chave, omitidas)" if keys.odd else "")
