# SPDX-License-Identifier: GPL-3.0-or-later
"""What we believe about PEC: the one list to correct when the real product differs. Private to the collection.

No public specification of PEC's files, database or answers exists, so all of this is belief. Each has an evidence mark: C official
or two independent sources; S one source; I inferred; ? no evidence found. The letters of its source are explained in docs/contract.md.
The module esus.pec.doctor compares a real server with every belief here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeVar, Union

_Value = TypeVar("_Value", bound=Union[str, int, "tuple[str, ...]", "re.Pattern[str]"])
_beliefs: list[Belief] = []


@dataclass(frozen=True)
class Belief:
    """One thing we hold true about PEC. C(value) is the constant's value as text; several are separated by a blank."""

    id: str
    evidence: str
    source: str
    value: str
    statement: str


def _believe(name: str, evidence: str, source: str, value: _Value, statement: str) -> _Value:
    """Add a belief to the list, and return its value for the constant that the code uses."""
    text = " ".join(value) if isinstance(value, tuple) else value.pattern if isinstance(value, re.Pattern) else str(value)
    _beliefs.append(Belief(name, evidence, source, text, statement))
    return value


# fmt: off
# Files
CONFIG_FILE = _believe("config-file", "S", "FD", "/etc/pec.config",
                       "the installer leaves a JSON file that says what it did, with the password")
CONFIG_KEYS = _believe("config-keys", "S", "FD", (
    "success", "directory", "version", "production", "customDatabase", "databaseUrl", "databaseUsername", "databasePassword",
    "jreVersion", "jreDirectory", "webserverVersion", "webserverDirectory"),
    "keys of that file (seen with an external database only)")
HOMES = _believe("homes", "C", "M V DM", ("/opt/e-SUS", "/opt/eSUS"),
                 "the product's directory; one procedure writes the second, nobody saw it")
WINDOWS_HOME = _believe("windows-home", "C", "M FD", "C:/Program Files/e-SUS", "the product's directory on Windows, arranged as on Linux")
WEBSERVER = _believe("webserver", "C", "M V RD", "webserver", "the application's directory, below the home as all that follow")
BUNDLE = _believe("bundle", "C", "RD V", "webserver/pec-bundle.jar", "the application")
STANDALONE = _believe("standalone", "C", "RD V FD", "webserver/standalone.sh", "the script that starts the application, executable")
APPLICATION_PROPERTIES = _believe("application-properties", "C", "V FD M", "webserver/config/application.properties",
                                  "Spring's settings, read as Latin-1")
URL_KEY = "spring.datasource.url"
USERNAME_KEY = "spring.datasource.username"
PASSWORD_KEY = "spring.datasource.password"  # noqa: S105  # nosec B105  # a name
DATASOURCE_KEYS = _believe("datasource-keys", "C", "V FD", (URL_KEY, USERNAME_KEY, PASSWORD_KEY),
                           "keys in application.properties of the database that the application uses")
PORT_KEY = "server.port"
KEYSTORE_KEY = "server.ssl.key-store"
SSL_ENABLED_KEY = "server.ssl.enabled"
SERVER_KEYS = _believe("server-keys", "C", "M RS", (PORT_KEY, KEYSTORE_KEY, SSL_ENABLED_KEY), "keys of the port and of an HTTPS keystore")
KEYSTORE_PASSWORD_KEY = "server.ssl.key-store-password"  # noqa: S105  # nosec B105  # a name
KEYSTORE_TYPE_KEY = "server.ssl.key-store-type"
KEYSTORE_ALIAS_KEY = "server.ssl.key-alias"
REQUIRE_SSL_KEY = "security.require-ssl"
KEYSTORE_NAME = "esusaps.p12"  # in the manual's example; PEC takes any name
KEYSTORE_KEYS = _believe(
    "keystore-keys", "C", "M RS", (KEYSTORE_PASSWORD_KEY, KEYSTORE_TYPE_KEY, KEYSTORE_ALIAS_KEY, REQUIRE_SSL_KEY),
    "the other keys of an HTTPS keystore; the type is PKCS12 for a .p12, and the path relative to the application's directory")
GOVBR_ID_KEY = "bridge.security.oauth2.client.registration.govbr.client-id"
GOVBR_SECRET_KEY = "bridge.security.oauth2.client.registration.govbr.client-secret"  # noqa: S105  # nosec B105  # a name
# What a new server needs of application.properties as it was: keys, and beginnings of keys. The second are nothing without a keystore.
CARRIED_KEYS = ("bridge.", "server.", REQUIRE_SSL_KEY)
SSL_KEYS = ("server.ssl.", REQUIRE_SSL_KEY)
GOVBR_KEYS = _believe("govbr-keys", "C", "M V", (GOVBR_ID_KEY, GOVBR_SECRET_KEY), "keys in application.properties of the login with Gov.br")
CREDENTIALS_FILE = _believe("credentials-file", "S", "V", "webserver/config/credenciais.txt",
                            "URL, full login, read login, in this order; root only, 0600")
LOG_FILE = _believe("log-file", "C", "V DM", "webserver/logs/pec.log", "the application's log")
KEYS_DIRECTORY = _believe("keys-directory", "C", "M", "webserver/chaves",
                          "RNDS certificates; created by the administrator, not by the installer")
CERTIFICATE_SUFFIXES = _believe("certificate-suffixes", "C", "M", (".p12", ".pfx"),
                                "files that PEC takes as the certificate of the RNDS; it rejects .cer")
CERTIFICATE_MENU = _believe("certificate-menu", "C", "M", "Gestão Municipal > Configuração RNDS > Certificados",
                            "where PEC asks for file, password and ID do solicitante; the order of the words on the screen was not seen")
CERTIFICATE_STATUS = _believe("certificate-status", "C", "M", "Conexão bem-sucedida", "what PEC shows there once the certificate works")
CERTMGR = _believe("certmgr", "C", "M RD V", "webserver/certmgr", "the program that obtains and renews a certificate, and its files")
CERTMGR_SINCE = _believe("certmgr-since", "C", "M", "5.3.0", "the oldest version with certmgr")
SSL_PROPERTIES = _believe("ssl-properties", "C", "M RD V", "webserver/certmgr/config/ssl.properties",
                          "present exactly while certmgr gives HTTPS")
SSL_DOMAIN_KEY = _believe("ssl-domain-key", "?", "-", "domain", "the last word of the key that holds the domain in ssl.properties")
# Options about Java's memory, which administrators change in standalone.sh.
JAVA_OPTIONS = re.compile(
    r"-X(?:ms|mx|mn|ss)\d{1,7}[kKmMgG]?|-XX:(?:Max|Min|Initial)RAMPercentage=\d{1,3}(?:\.\d{1,3})?"
    r"|-XX:(?:MaxMetaspaceSize|MaxDirectMemorySize|ReservedCodeCacheSize)=\d{1,7}[kKmMgG]?|-XX:\+Use(?:G1|Parallel|Serial|Z)GC")
UNIT_TEMPLATE = _believe("unit-template", "S", "FDI", "webserver/e-SUS-PEC.service", "the unit's text, left here when it was not installed")
JRE_DIRECTORY = _believe("jre-directory", "C", "RD V DM", "jre", "PEC's own Java, one directory per version")
JRE_CURRENT = _believe("jre-current", "C", "RD V", "jre/current", "link to the Java in use")
BUNDLED_CLIENTS = _believe("bundled-clients", "C", "DM CB V", "database/*/bin",
                           "the bundled PostgreSQL's programs (also postgresql-9.6.13-1-linux-x64)")
MIGRATOR = _believe("migrator", "S", "V", "database/tools/migrador.jar", "migrates the database to the application's version")

# Services, ports, users
PEC_UNIT = _believe("pec-unit", "C", "M DM V", "e-SUS-PEC.service",
                    "systemd unit of the application; may be missing with an external database")
DATABASE_UNIT = _believe("database-unit", "C", "DM V", "e-SUS-AB-PostgreSQL.service", "systemd unit of the bundled PostgreSQL")
WINDOWS_SERVICE = _believe("windows-service", "I", "-", "e-SUS-AB PEC",
                           "service of the application on Windows, from one weak source; that of PostgreSQL has the name of its unit")
UNIT_DIRECTORIES = _believe("unit-directories", "C", "DM V", ("/etc/systemd/system", "/lib/systemd/system", "/usr/lib/systemd/system"),
                            "where the units may be")
HTTP_PORT = _believe("http-port", "C", "V DM M", 8080, "the application listens here on every address")
HTTPS_PORT = _believe("https-port", "C", "M", 443, "default of -cert-port; certmgr then also needs port 80")
_believe("https-replaces-http", "I", "-", "", "with HTTPS by certmgr or a keystore there is no plain HTTP on another port")
BUNDLED_PORT = _believe("bundled-port", "C", "V DM CB", 5433, "the bundled PostgreSQL listens here on 127.0.0.1")
BUNDLED_USER = _believe("bundled-user", "C", "V CB", "postgres", "system account and superuser of the bundled PostgreSQL")

# Installer
JAR_NAME = _believe("jar-name", "C", "V DM RS", re.compile(r"eSUS-AB-PEC-(?P<version>\d+\.\d+\.\d+)-(?P<platform>Linux|Win)64\.jar"),
                    "name of the installer")
JAR_MAIN_CLASS = _believe("jar-main-class", "C", "V ART", "br.gov.saude.esus.installers.installer.Main",
                          "Main-Class of the installer's manifest")
JAR_CONTENTS = _believe("jar-contents", "S", "ART", (
    "container/webserver/pec-bundle.jar", "container/webserver/certmgr.jar", "container/webserver/application.properties",
    "container/database/migrador.jar"),
    "entries of the installer's jar")
OPTION_URL = "-url"
OPTION_USERNAME = "-username"
OPTION_PASSWORD = "-password"  # noqa: S105  # nosec B105  # a name
OPTION_BACKUP = "-backup"
OPTION_CONSOLE = "-console"
OPTION_CONTINUE = "-continue"
OPTION_TRAINING = "-treinamento"
OPTIONS = _believe("options", "S", "FD FE", (
    OPTION_URL, OPTION_USERNAME, OPTION_PASSWORD, "-restore", OPTION_BACKUP, OPTION_CONSOLE, OPTION_CONTINUE, "-help", OPTION_TRAINING),
    "options of the installer; those with a value are written -url=VALUE")
OPTION_CERT_DOMAIN = "-cert-domain"
OPTION_CERT_PORT = "-cert-port"
CERTIFICATE_OPTIONS = _believe("certificate-options", "C", "M FD", (OPTION_CERT_DOMAIN, OPTION_CERT_PORT),
                               "official, though absent from the installer's help")
_believe("exit-code-zero", "S", "DM FDI", "", "exit code 0 does not prove that anything was installed")
_believe("root-directory", "C", "RS CB", "/", "run from this directory the installer fails with a misleading text")
INIT_NAME = _believe("init-name", "C", "FD CB PANEL", "systemd", "what 'ps --no-headers -o comm 1' must print")
FILE_PROGRAM = _believe("file-program", "C", "CB FD PANEL", "file", "the installer runs 'file -L /sbin/init' and wants 64-bit")
JAVA_MAJOR = _believe("java-major", "C", "V FD ART", 17, "oldest Java that runs the installer since 5.3")
LOCALE = _believe("locale", "C", "CB V DM", "pt_BR.UTF-8", "locale the bundled PostgreSQL is configured with")
_believe("remove-ipc", "S", "V", "no", "RemoveIPC of logind; otherwise PostgreSQL may lose its semaphores during the migration")

# Database
DATABASE_NAME = _believe("database-name", "C", "V RD", "esus", "name of the database")
READ_ONLY_ROLE = _believe("read-only-role", "C", "V", "esus_leitura", "role with read access, made by the installer")
SETTINGS_TABLE = _believe("settings-table", "C", "FD AN", "tb_config_sistema", "settings: co_config_sistema, ds_texto, ds_inteiro")
VERSION_KEY = _believe("version-key", "C", "FD V PANEL", "VERSAOBANCODADOS", "version the database was migrated to, text")
TRAINING_KEY = _believe("training-key", "C", "FD RS", "TREINAMENTO", "number 1 on a training installation")
NAME_KEY = _believe("name-key", "C", "FD", "NOMEINSTALACAO", "name of the installation, text")
LINK_KEY = _believe("link-key", "C", "FD", "LINKINSTALACAO", "address of the installation, text")
TYPE_KEY = _believe("type-key", "C", "FD", "TIPOINSTALACAO", "PRONTUARIO or CENTRALIZADORA, text")
TABLES_USUAL = _believe("tables-usual", "C", "V DM", 1101, "tables of a PEC 5.4; 885 were seen in another")
TABLES_AT_LEAST = _believe("tables-at-least", "I", "-", 40,
                           "a database with fewer tables is only a part of a PEC's; low, so that a small test database passes")
PLACES_TABLE = _believe("places-table", "I", "-", "tb_localidade",
                        "municípios: co_localidade, co_ibge (the code of the IBGE), no_localidade")
MUNICIPALITIES_TABLE = _believe("municipalities-table", "S", "DJ", "tb_adm_municipal",
                                "municípios of the installation: co_localidade")
MIGRATIONS_TABLE = _believe("migrations-table", "C", "PANEL AN DJ", "tb_migracao", "Liquibase's list of the change sets that ran")
MIGRATION_LOCK_TABLE = _believe("migration-lock-table", "C", "AN DJ", "tb_migracao_trava",
                                "held while a migration runs; locked stays true when it is killed")
PASSWORD_ENCRYPTION = _believe("password-encryption", "C", "FD RS", "md5", "strongest authentication that PEC's PostgreSQL driver knows")
POSTGRESQL_MINIMUM = _believe("postgresql-minimum", "C", "M", "9.6", "oldest PostgreSQL")

# HTTP
ROOT_PATH = _believe("root-path", "S", "V", "/", "answers 200 once PEC is up")
ESUS_PATH = _believe("esus-path", "S", "DM", "/esus/", "answers 401 without a session")
INFO_PATH = _believe("info-path", "S", "DM", "/api/public/info", "answers 200 with JSON once PEC is up")
INFO_VERSION_KEY = _believe("info-version-key", "S", "DM", "versao", "PEC's version in that JSON")
GOVBR_REDIRECTS = ("/login/oauth2/code/govbr", "/oauth2/code/govbr")
GOVBR_LOGOUT = "/logout"
_believe("govbr-redirects", "C", "M", (*GOVBR_REDIRECTS, GOVBR_LOGOUT),
                            "paths below PEC's address to register with Gov.br: where it sends people back to, and where after leaving")

# What the product says
TEXT_NOT_ROOT = _believe("text-not-root", "C", "V RS", "Esta ferramenta necessita executar com privilégios de administrador.",
                         "installer without root")
TEXT_NO_DIRECTORY = _believe("text-no-directory", "C", "RS CB", 'Cannot run program "/bin/sh" (in directory "")', "installer run from /")
TEXT_OS_FAMILY = _believe("text-os-family", "S", "#13", "Esta ferramenta suporta apenas sistemas operacionais da",
                          "installer on another system")
TEXT_CUSTOM_DATABASE = _believe("text-custom-database", "S", "#27", "Um Banco de Dados foi configurado manualmente", "installer with -url")
TEXT_MIGRATION_FAILED = _believe("text-migration-failed", "S", "V", "Falha ao migrar o Banco de Dados.",
                                 "installer, last words of a failed migration")
TEXT_OUT_OF_MEMORY = _believe("text-out-of-memory", "S", "CB", "OutOfMemoryError: Java heap space", "migration with too small a heap")
TEXT_CHANGESET_FAILED = _believe("text-changeset-failed", "S", "PANEL", "encountered an exception",
                                 "migration, after 'ChangeSet FILE::ID::AUTHOR'")
TEXT_CHECKSUM = _believe("text-checksum", "S", "PANEL", "but is now:", "migration, a change set differs from the one that ran")
TEXT_SCRAM = _believe("text-scram", "C", "RS", "O tipo de autenticação 10 não é suportado", "driver meeting SCRAM, in Portuguese")
TEXT_SCRAM_ENGLISH = _believe("text-scram-english", "C", "FD", "The authentication type 10 is not supported",
                              "driver meeting SCRAM, in English")
TEXT_SEMAPHORES = _believe("text-semaphores", "S", "V", "semctl(", "PostgreSQL whose semaphores logind removed")
TEXT_VERSION_MISMATCH = _believe("text-version-mismatch", "S", "FD", "O PEC e o seu banco de dados não estão na mesma versão.",
                                 "server, wrong database")
TEXT_VERSION_EXPECTED = _believe("text-version-expected", "S", "V", "Versao do PEC esperada no banco de dados:",
                                 "server's log, before its own version")
TEXT_VERSION_FOUND = _believe("text-version-found", "S", "V", "Versao encontrada:", "server's log, before the database's version")
TEXT_LINK_REJECTED = _believe("text-link-rejected", "S", "V", "Não foi possível validar este endereço. Tente novamente mais tarde",
                              "first run, bad link")
TEXT_LOGGED_IN_ELSEWHERE = _believe("text-logged-in-elsewhere", "S", "MC",
                                    "Você já está logado em outra sessão. Deseja continuar nesta aqui?", "second login")
TEXT_WRONG_LOGIN = _believe("text-wrong-login", "S", "MC", "Usuário e/ou senha inválidos", "login")
TEXT_HTTPS_REQUIRED = _believe("text-https-required", "S", "#22", "A requisição deve ser feita via HTTPS.", "transmission over plain HTTP")
# fmt: on

SETTING_KEYS = (VERSION_KEY, TRAINING_KEY, NAME_KEY, LINK_KEY, TYPE_KEY)
BELIEFS = tuple(_beliefs)
