# SPDX-License-Identifier: GPL-3.0-or-later
"""What we believe about PEC, in one list: the one file to correct when the real product differs.

No public specification of PEC's files, database or answers exists, so all of this is belief. Each carries its evidence: C official
or two independent sources; S one source; I inferred; ? no evidence found. The letters of its source are those of docs/contract.md.
The constants below the list are what the code uses; none of them has a value of its own. The module esus.pec.doctor compares a real
server with every belief here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Belief:
    """One thing we hold true about PEC; C(value) is what the code uses (several are separated by a blank)."""

    id: str
    evidence: str
    source: str
    value: str
    statement: str


BELIEFS = (
    # Files
    Belief("config-file", "S", "FD", "/etc/pec.config", "the installer leaves a JSON file that says what it did, with the password"),
    Belief("config-keys", "S", "FD", "success directory version production customDatabase databaseUrl databaseUsername databasePassword "
           "jreVersion jreDirectory webserverVersion webserverDirectory", "keys of that file (seen with an external database only)"),
    Belief("homes", "C", "M V DM", "/opt/e-SUS /opt/eSUS", "the product's directory; one procedure writes the second, nobody saw it"),
    Belief("webserver", "C", "M V RD", "webserver", "the application's directory, below the home as all that follow"),
    Belief("bundle", "C", "RD V", "webserver/pec-bundle.jar", "the application"),
    Belief("standalone", "C", "RD V FD", "webserver/standalone.sh", "the script that starts the application, executable"),
    Belief("application-properties", "C", "V FD M", "webserver/config/application.properties", "Spring's settings, read as Latin-1"),
    Belief("datasource-keys", "C", "V FD", "spring.datasource.url spring.datasource.username spring.datasource.password",
           "keys in application.properties of the database that the application uses"),
    Belief("server-keys", "C", "M RS", "server.port server.ssl.key-store server.ssl.enabled", "keys of the port and of an HTTPS keystore"),
    Belief("keystore-keys", "C", "M RS", "server.ssl.key-store-password server.ssl.key-store-type server.ssl.key-alias "
           "security.require-ssl", "the other keys of an HTTPS keystore; the type is PKCS12 for a .p12, and the path "
           "relative to the application's directory"),
    Belief("govbr-keys", "C", "M V", "bridge.security.oauth2.client.registration.govbr.client-id "
           "bridge.security.oauth2.client.registration.govbr.client-secret", "keys in application.properties of the login with Gov.br"),
    Belief("credentials-file", "S", "V", "webserver/config/credenciais.txt", "URL, full login, read login, in this order; root only, 0600"),
    Belief("log-file", "C", "V DM", "webserver/logs/pec.log", "the application's log"),
    Belief("keys-directory", "C", "M", "webserver/chaves", "RNDS certificates; created by the administrator, not by the installer"),
    Belief("certificate-suffixes", "C", "M", ".p12 .pfx", "files that PEC takes as the certificate of the RNDS; it rejects .cer"),
    Belief("certificate-menu", "C", "M", "Gestão Municipal > Configuração RNDS > Certificados", "where PEC asks for file, password and "
           "ID do solicitante; the order of the words on the screen was not seen"),
    Belief("certificate-status", "C", "M", "Conexão bem-sucedida", "what PEC shows there once the certificate works"),
    Belief("certmgr", "C", "M RD V", "webserver/certmgr", "the program that obtains and renews a certificate, and its files"),
    Belief("certmgr-since", "C", "M", "5.3.0", "the oldest version with certmgr"),
    Belief("ssl-properties", "C", "M RD V", "webserver/certmgr/config/ssl.properties", "present exactly while certmgr gives HTTPS"),
    Belief("ssl-domain-key", "?", "-", "domain", "the last word of the key that holds the domain in ssl.properties"),
    Belief("unit-template", "S", "FDI", "webserver/e-SUS-PEC.service", "the unit's text, left here when it was not installed"),
    Belief("jre-directory", "C", "RD V DM", "jre", "PEC's own Java, one directory per version"),
    Belief("jre-current", "C", "RD V", "jre/current", "link to the Java in use"),
    Belief("bundled-clients", "C", "DM CB V", "database/*/bin", "the bundled PostgreSQL's programs (also postgresql-9.6.13-1-linux-x64)"),
    Belief("migrator", "S", "V", "database/tools/migrador.jar", "migrates the database to the application's version"),
    # Services, ports, users
    Belief("pec-unit", "C", "M DM V", "e-SUS-PEC.service", "systemd unit of the application; may be missing with an external database"),
    Belief("database-unit", "C", "DM V", "e-SUS-AB-PostgreSQL.service", "systemd unit of the bundled PostgreSQL"),
    Belief("unit-directories", "C", "DM V", "/etc/systemd/system /lib/systemd/system /usr/lib/systemd/system", "where the units may be"),
    Belief("http-port", "C", "V DM M", "8080", "the application listens here on every address"),
    Belief("https-port", "C", "M", "443", "default of -cert-port; certmgr then also needs port 80"),
    Belief("https-replaces-http", "I", "-", "", "with HTTPS by certmgr or a keystore there is no plain HTTP on another port"),
    Belief("bundled-port", "C", "V DM CB", "5433", "the bundled PostgreSQL listens here on 127.0.0.1"),
    Belief("bundled-user", "C", "V CB", "postgres", "system account and superuser of the bundled PostgreSQL"),
    # Installer
    Belief("jar-name", "C", "V DM RS", r"eSUS-AB-PEC-(?P<version>\d+\.\d+\.\d+)-(?P<platform>Linux|Win)64\.jar", "name of the installer"),
    Belief("jar-main-class", "C", "V ART", "br.gov.saude.esus.installers.installer.Main", "Main-Class of the installer's manifest"),
    Belief("jar-contents", "S", "ART", "container/webserver/pec-bundle.jar container/webserver/certmgr.jar "
           "container/webserver/application.properties container/database/migrador.jar", "entries of the installer's jar"),
    Belief("options", "S", "FD FE", "-url -username -password -restore -backup -console -continue -help -treinamento",
           "options of the installer; those with a value are written -url=VALUE"),
    Belief("certificate-options", "C", "M FD", "-cert-domain -cert-port", "official, though absent from the installer's help"),
    Belief("exit-code-zero", "S", "DM FDI", "", "exit code 0 does not prove that anything was installed"),
    Belief("root-directory", "C", "RS CB", "/", "run from this directory the installer fails with a misleading text"),
    Belief("init-name", "C", "FD CB PANEL", "systemd", "what 'ps --no-headers -o comm 1' must print"),
    Belief("file-program", "C", "CB FD PANEL", "file", "the installer runs 'file -L /sbin/init' and wants 64-bit"),
    Belief("java-major", "C", "V FD ART", "17", "oldest Java that runs the installer since 5.3"),
    Belief("locale", "C", "CB V DM", "pt_BR.UTF-8", "locale the bundled PostgreSQL is configured with"),
    Belief("remove-ipc", "S", "V", "no", "RemoveIPC of logind; otherwise PostgreSQL may lose its semaphores during the migration"),
    # Database
    Belief("database-name", "C", "V RD", "esus", "name of the database"),
    Belief("read-only-role", "C", "V", "esus_leitura", "role with read access, made by the installer"),
    Belief("settings-table", "C", "FD AN", "tb_config_sistema", "settings: co_config_sistema, ds_texto, ds_inteiro"),
    Belief("version-key", "C", "FD V PANEL", "VERSAOBANCODADOS", "version the database was migrated to, text"),
    Belief("training-key", "C", "FD RS", "TREINAMENTO", "number 1 on a training installation"),
    Belief("name-key", "C", "FD", "NOMEINSTALACAO", "name of the installation, text"),
    Belief("link-key", "C", "FD", "LINKINSTALACAO", "address of the installation, text"),
    Belief("type-key", "C", "FD", "TIPOINSTALACAO", "PRONTUARIO or CENTRALIZADORA, text"),
    Belief("migrations-table", "C", "PANEL AN DJ", "tb_migracao", "Liquibase's list of the change sets that ran"),
    Belief("migration-lock-table", "C", "AN DJ", "tb_migracao_trava", "held while a migration runs; locked stays true when it is killed"),
    Belief("password-encryption", "C", "FD RS", "md5", "strongest authentication that PEC's PostgreSQL driver knows"),
    Belief("postgresql-minimum", "C", "M", "9.6", "oldest PostgreSQL"),
    # HTTP
    Belief("root-path", "S", "V", "/", "answers 200 once PEC is up"),
    Belief("esus-path", "S", "DM", "/esus/", "answers 401 without a session"),
    Belief("info-path", "S", "DM", "/api/public/info", "answers 200 with JSON once PEC is up"),
    Belief("info-version-key", "S", "DM", "versao", "PEC's version in that JSON"),
    Belief("govbr-redirects", "C", "M", "/login/oauth2/code/govbr /oauth2/code/govbr /logout",
           "paths below PEC's address to register with Gov.br: where it sends people back to, and where after leaving"),
    # What the product says
    Belief("text-not-root", "C", "V RS", "Esta ferramenta necessita executar com privilégios de administrador.", "installer without root"),
    Belief("text-no-directory", "C", "RS CB", 'Cannot run program "/bin/sh" (in directory "")', "installer run from /"),
    Belief("text-os-family", "S", "#13", "Esta ferramenta suporta apenas sistemas operacionais da", "installer on another system"),
    Belief("text-custom-database", "S", "#27", "Um Banco de Dados foi configurado manualmente", "installer with -url"),
    Belief("text-migration-failed", "S", "V", "Falha ao migrar o Banco de Dados.", "installer, last words of a failed migration"),
    Belief("text-out-of-memory", "S", "CB", "OutOfMemoryError: Java heap space", "migration with too small a heap"),
    Belief("text-changeset-failed", "S", "PANEL", "encountered an exception", "migration, after 'ChangeSet FILE::ID::AUTHOR'"),
    Belief("text-checksum", "S", "PANEL", "but is now:", "migration, a change set differs from the one that ran"),
    Belief("text-scram", "C", "RS", "O tipo de autenticação 10 não é suportado", "driver meeting SCRAM, in Portuguese"),
    Belief("text-scram-english", "C", "FD", "The authentication type 10 is not supported", "driver meeting SCRAM, in English"),
    Belief("text-semaphores", "S", "V", "semctl(", "PostgreSQL whose semaphores logind removed"),
    Belief("text-version-mismatch", "S", "FD", "O PEC e o seu banco de dados não estão na mesma versão.", "server, wrong database"),
    Belief("text-version-expected", "S", "V", "Versao do PEC esperada no banco de dados:", "server's log, before its own version"),
    Belief("text-version-found", "S", "V", "Versao encontrada:", "server's log, before the database's version"),
    Belief("text-link-rejected", "S", "V", "Não foi possível validar este endereço. Tente novamente mais tarde", "first run, bad link"),
    Belief("text-logged-in-elsewhere", "S", "MC", "Você já está logado em outra sessão. Deseja continuar nesta aqui?", "second login"),
    Belief("text-wrong-login", "S", "MC", "Usuário e/ou senha inválidos", "login"),
    Belief("text-https-required", "S", "#22", "A requisição deve ser feita via HTTPS.", "transmission over plain HTTP"),
)  # fmt: skip

_VALUES = {belief.id: belief.value for belief in BELIEFS}

CONFIG_FILE = _VALUES["config-file"]
HOMES = tuple(_VALUES["homes"].split())
WEBSERVER = _VALUES["webserver"]
BUNDLE = _VALUES["bundle"]
STANDALONE = _VALUES["standalone"]
APPLICATION_PROPERTIES = _VALUES["application-properties"]
URL_KEY, USERNAME_KEY, PASSWORD_KEY = _VALUES["datasource-keys"].split()
PORT_KEY, KEYSTORE_KEY, SSL_ENABLED_KEY = _VALUES["server-keys"].split()
GOVBR_ID_KEY, GOVBR_SECRET_KEY = _VALUES["govbr-keys"].split()
CREDENTIALS_FILE = _VALUES["credentials-file"]
LOG_FILE = _VALUES["log-file"]
KEYS_DIRECTORY = _VALUES["keys-directory"]
CERTIFICATE_SUFFIXES = tuple(_VALUES["certificate-suffixes"].split())
CERTIFICATE_MENU = _VALUES["certificate-menu"]
CERTIFICATE_STATUS = _VALUES["certificate-status"]
CERTMGR = _VALUES["certmgr"]
CERTMGR_SINCE = _VALUES["certmgr-since"]
SSL_PROPERTIES = _VALUES["ssl-properties"]
SSL_DOMAIN_KEY = _VALUES["ssl-domain-key"]
JRE_DIRECTORY = _VALUES["jre-directory"]
JRE_CURRENT = _VALUES["jre-current"]
BUNDLED_CLIENTS = _VALUES["bundled-clients"]

PEC_UNIT = _VALUES["pec-unit"]
DATABASE_UNIT = _VALUES["database-unit"]
UNIT_DIRECTORIES = tuple(_VALUES["unit-directories"].split())
HTTP_PORT = int(_VALUES["http-port"])
HTTPS_PORT = int(_VALUES["https-port"])
BUNDLED_PORT = int(_VALUES["bundled-port"])
BUNDLED_USER = _VALUES["bundled-user"]

JAR_NAME: re.Pattern[str] = re.compile(_VALUES["jar-name"])
JAR_MAIN_CLASS = _VALUES["jar-main-class"]
JAR_CONTENTS = tuple(_VALUES["jar-contents"].split())
(
    OPTION_URL,
    OPTION_USERNAME,
    OPTION_PASSWORD,
    _OPTION_RESTORE,
    OPTION_BACKUP,
    OPTION_CONSOLE,
    OPTION_CONTINUE,
    _OPTION_HELP,
    OPTION_TRAINING,
) = _VALUES["options"].split()
OPTION_CERT_DOMAIN, OPTION_CERT_PORT = _VALUES["certificate-options"].split()
INIT_NAME = _VALUES["init-name"]
FILE_PROGRAM = _VALUES["file-program"]
JAVA_MAJOR = int(_VALUES["java-major"])
LOCALE = _VALUES["locale"]

READ_ONLY_ROLE = _VALUES["read-only-role"]
SETTINGS_TABLE = _VALUES["settings-table"]
MIGRATIONS_TABLE = _VALUES["migrations-table"]
MIGRATION_LOCK_TABLE = _VALUES["migration-lock-table"]
VERSION_KEY = _VALUES["version-key"]
TRAINING_KEY = _VALUES["training-key"]
NAME_KEY = _VALUES["name-key"]
LINK_KEY = _VALUES["link-key"]
TYPE_KEY = _VALUES["type-key"]
SETTING_KEYS = (VERSION_KEY, TRAINING_KEY, NAME_KEY, LINK_KEY, TYPE_KEY)

ROOT_PATH = _VALUES["root-path"]
ESUS_PATH = _VALUES["esus-path"]
INFO_PATH = _VALUES["info-path"]
INFO_VERSION_KEY = _VALUES["info-version-key"]
*GOVBR_REDIRECTS, GOVBR_LOGOUT = _VALUES["govbr-redirects"].split()

REAL_TEXTS: Mapping[str, str] = {name[len("text-") :]: text for name, text in _VALUES.items() if name.startswith("text-")}
