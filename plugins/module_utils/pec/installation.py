# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the PEC on this host, on any known layout, from its files. Private to the collection."""

from __future__ import annotations

import glob
import itertools
import json
import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import credentials
from ansible_collections.esus.pec.plugins.module_utils.postgres import jdbc
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection
from ansible_collections.esus.pec.plugins.module_utils.properties import reading
from ansible_collections.esus.pec.plugins.module_utils.system import files
from ansible_collections.esus.pec.plugins.module_utils.system.directory import RefusedError

_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_CERTIFICATES = (".p12", ".pfx", ".jks", ".pem", ".crt", ".cer")
_MOST_FILES = 2000  # that are looked at in a directory of certificates, which PEC's account can fill
_TEXT_OF_BOOLEAN = {"true": True, "false": False}


@dataclass(frozen=True)
class Https:
    """How PEC serves HTTPS: C(mode) is none, certmgr (PEC renews it by itself) or keystore (a file that an administrator installed)."""

    mode: str
    domain: str | None
    port: int | None
    keystore: str | None


NO_HTTPS = Https("none", None, None, None)


@dataclass(frozen=True)
class Installation:
    """What the files of this host say about PEC; what they do not say is None. Every path can be opened as it is.

    C(state) is absent, installed or broken. C(reasons) explains a broken state and is never empty then; on an installed server it
    lists what deserves attention. Paths of files are where PEC looks for them, existing or not; only C(config_file), the
    C(*_unit_file)s and C(ssl_properties) are None if the file does not exist. C(connection) is None with a C(connection_source) if
    that file names a database that is not PostgreSQL, or only a placeholder.
    """

    state: str
    reasons: tuple[str, ...] = ()
    home: str | None = None
    version: str | None = None
    production: bool | None = None
    custom_database: bool | None = None
    connection: Connection | None = None
    connection_source: str | None = None
    read_only: credentials.Login | None = None
    jre_directory: str | None = None
    jre_version: str | None = None
    standalone_sh: str | None = None
    application_properties: str | None = None
    credentials_file: str | None = None
    keys_directory: str | None = None
    log_file: str | None = None
    config_file: str | None = None
    pec_unit_file: str | None = None
    database_unit_file: str | None = None
    ssl_properties: str | None = None
    https: Https = NO_HTTPS
    http_port: int | None = None
    certificates: tuple[str, ...] = ()

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports that PEC itself listens on."""
        served = () if self.https.mode == "none" else (self.https.port or beliefs.HTTPS_PORT,)
        return (self.http_port or beliefs.HTTP_PORT, *served)

    @property
    def urls(self) -> tuple[str, ...]:
        """Where this server should answer locally, most likely first (an https certificate cannot match the address)."""
        http = f"http://127.0.0.1:{self.http_port or beliefs.HTTP_PORT}"
        if self.https.mode == "none":
            return (http,)
        https = f"https://127.0.0.1:{self.https.port or beliefs.HTTPS_PORT}"
        return (https,) if self.https.port == self.http_port else (https, http)

    @property
    def secret_files(self) -> list[str]:
        """The files that hold passwords and exist."""
        places = (self.config_file, self.application_properties, self.credentials_file)
        return [place for place in places if place and os.path.exists(place)]


def parse_version(text: str) -> tuple[int, int, int]:
    """Return the three numbers of a version such as 5.4.37, which compare as versions do. Raises PecError for anything else."""
    match = _VERSION.fullmatch(text.strip())
    if match is None:
        raise PecError(f"{text!r} is not a version of PEC; it has three numbers, such as 5.4.37")
    major, minor, patch = match.groups()
    return int(major), int(minor), int(patch)


def discover(root: str = "/") -> Installation:
    """Read PEC's files on this host (below C(root)) and judge the installation, without running or connecting to anything.

    A file that another account can have put there to reach root's, such as a link in a directory of PEC's own account, is not read: the
    installation then counts as broken. Raises PecError if another one cannot be read; only root can read all of them.
    """
    notes: list[str] = []
    refused: list[str] = []
    config_file = _existing(root, beliefs.CONFIG_FILE)
    config = _read_config(config_file, notes, refused)
    units = {name: _unit_file(root, name) for name in (beliefs.PEC_UNIT, beliefs.DATABASE_UNIT)}
    home = _find_home(root, _text(config, "directory"))
    if home is None and config_file is None and not any(units.values()):
        return Installation("absent")
    found = Installation(
        state="broken",
        home=home,
        version=_text(config, "version"),
        production=_boolean(config, "production"),
        custom_database=_boolean(config, "customDatabase"),
        config_file=config_file,
        pec_unit_file=units[beliefs.PEC_UNIT],
        database_unit_file=units[beliefs.DATABASE_UNIT],
    )
    if home is None or not os.path.isdir(os.path.join(home, beliefs.WEBSERVER)):
        return replace(found, reasons=(_without_application(found), *refused, *notes))
    found = _with_application(root, home, found, config, notes, refused)
    broken = [*refused, *_broken(home, found, config)]
    return replace(found, state="broken" if broken else "installed", reasons=(*broken, *_remarks(found), *notes))


def connection(here: Installation | None = None) -> Connection:
    """Return the connection to the database of the PEC on this host (or of one already read). Raises PecError if none is known."""
    found = here or discover()
    if found.connection is None:
        what = "PEC is not installed here" if found.state == "absent" else "the files of PEC do not say which database it uses"
        raise PecError(f"{what}; install it first, or give database with its host, port, name, username and password")
    return found.connection


def connection_below(home: str) -> Connection:
    """Return the connection that the application's files below C(home) name, such as a copy of another server's. Raises PecError."""
    notes: list[str] = []
    refused: list[str] = []
    spring = _read_properties(os.path.join(home, beliefs.APPLICATION_PROPERTIES), notes, refused)
    logins = _read_credentials(os.path.join(home, beliefs.CREDENTIALS_FILE), notes, refused)
    connection, _source = _connection(home, None, spring, {}, logins, notes)
    if connection is None:
        names = " nor ".join(os.path.join(home, name) for name in (beliefs.APPLICATION_PROPERTIES, beliefs.CREDENTIALS_FILE))
        reasons = "; ".join([*refused, *notes])
        raise PecError(f"neither {names} says which database PEC uses{f' ({reasons})' if reasons else ''}; copy them again")
    return connection


def read_copy(home: str) -> Installation:
    """Read a copy of another server's files, arranged as below its home. Its state is installed if the copy names the database.

    Raises PecError if a file cannot be read.
    """
    notes: list[str] = []
    refused: list[str] = []
    found = _with_application("/", home, Installation("broken", home=home), {}, notes, refused)
    state = "installed" if found.connection and not refused else "broken"
    return replace(found, state=state, config_file=None, reasons=(*refused, *notes))


def _with_application(
    root: str, home: str, found: Installation, config: Mapping[str, object], notes: list[str], refused: list[str]
) -> Installation:
    """Add what the application's own files say."""
    spring = _read_properties(os.path.join(home, beliefs.APPLICATION_PROPERTIES), notes, refused)
    ssl_file = os.path.join(home, beliefs.SSL_PROPERTIES)
    ssl = _read_properties(ssl_file, notes, refused)
    logins = _read_credentials(os.path.join(home, beliefs.CREDENTIALS_FILE), notes, refused)
    port = _port(spring.get(beliefs.PORT_KEY, str(beliefs.HTTP_PORT)))
    https = _certmgr_https(root, home, ssl) if os.path.exists(ssl_file) else _keystore_https(root, home, spring, port)
    connection, source = _connection(home, found.config_file, spring, config, logins, notes)
    jre = _jre(root, home, _text(config, "jreDirectory"))
    return replace(
        found,
        connection=connection,
        connection_source=source,
        read_only=logins.read_only if logins else None,
        jre_directory=jre,
        jre_version=_text(config, "jreVersion") or (os.path.basename(_link_target(jre)) if jre else None),
        standalone_sh=os.path.join(home, beliefs.STANDALONE),
        application_properties=os.path.join(home, beliefs.APPLICATION_PROPERTIES),
        credentials_file=os.path.join(home, beliefs.CREDENTIALS_FILE),
        keys_directory=os.path.join(home, beliefs.KEYS_DIRECTORY),
        log_file=os.path.join(home, beliefs.LOG_FILE),
        ssl_properties=ssl_file if os.path.exists(ssl_file) else None,
        https=https,
        http_port=port,
        certificates=_certificates(home, notes),
    )


def _broken(home: str, found: Installation, config: Mapping[str, object]) -> list[str]:
    """What keeps PEC from working, with what to do."""
    again = "run the installer again"
    reasons = []
    silent = bool(config) and "success" not in config  # the keys are known from one layout only, so one that is missing proves nothing
    if found.config_file and not silent and _boolean(config, "success") is not True:
        reasons.append(f"{found.config_file} does not say that the installation succeeded; {again}")
    standalone, bundle = os.path.join(home, beliefs.STANDALONE), os.path.join(home, beliefs.BUNDLE)
    reasons.extend(f"{path} is missing; {again}" for path in (standalone, bundle) if not os.path.isfile(path))
    if os.path.isfile(standalone) and not os.stat(standalone).st_mode & 0o100:
        reasons.append(f"{standalone} is not executable; {again}")
    if found.connection is None and found.connection_source is None:
        reasons.append(f"neither {found.application_properties} nor another file of PEC says how to reach the database; {again}")
    if found.custom_database is False:
        units = {beliefs.PEC_UNIT: found.pec_unit_file, beliefs.DATABASE_UNIT: found.database_unit_file}
        missing = [name for name, path in units.items() if path is None]
        reasons.extend(f"the service {name} is not installed, so it does not start with the system; {again}" for name in missing)
        reasons.extend(f"only root can enter {path}, but {beliefs.BUNDLED_USER} must; {again}" for path in closed_to_database(home))
    return reasons


def closed_to_database(home: str) -> list[str]:
    """The directories on the way to the programs of the bundled PostgreSQL that are root's alone, as sudo's umask 077 makes them."""
    above = os.path.join(home, beliefs.BUNDLED_CLIENTS.partition("/")[0])
    ways = (os.path.dirname(path) for path in glob.glob(os.path.join(glob.escape(home), beliefs.BUNDLED_CLIENTS)))
    return [path for path in dict.fromkeys((os.path.realpath(home), above, *sorted(ways))) if _is_roots_alone(path)]


def _is_roots_alone(path: str) -> bool:
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == 0 and not status.st_mode & 0o077


def _remarks(found: Installation) -> list[str]:
    """What does not keep PEC from working, but its administrator should know."""
    remarks = []
    if found.config_file is None:
        remarks.append(f"{beliefs.CONFIG_FILE} is missing; PEC works without it, but what its installer would do here is not known")
    if found.custom_database is not False and found.pec_unit_file is None:
        absent = f"the service {beliefs.PEC_UNIT} is not installed, as happens with an external database"
        remarks.append(f"{absent}; PEC does not start with the system")
    return remarks


def _without_application(found: Installation) -> str:
    if found.home is not None and os.path.isdir(found.home):
        return f"{found.home} holds no application: an installation is running or stopped half-way; run the installer again"
    traces = [path for path in (found.config_file, found.pec_unit_file, found.database_unit_file) if path]
    return (
        f"{' and '.join(traces)} remain of an installation whose directory is gone, and with them the installer would only update; "
        "bring the directory back from a backup, or remove them before installing"
    )


def _find_home(root: str, configured: str | None) -> str | None:
    """Prefer a directory with the application in it, then one with anything in it, then the one that the configuration names."""
    known = [_under(root, path) for path in (*([configured] if configured else []), *beliefs.HOMES)]
    complete = [home for home in known if os.path.isdir(os.path.join(home, beliefs.WEBSERVER))]
    started = [home for home in known if os.path.isdir(home) and set(os.listdir(home)) - {"lost+found"}]
    return next(iter([*complete, *started, *(known[:1] if configured else [])]), None)


def _connection(
    home: str,
    config_file: str | None,
    spring: Mapping[str, str],
    config: Mapping[str, object],
    logins: credentials.Credentials | None,
    notes: list[str],
) -> tuple[Connection | None, str | None]:
    """The first complete one counts: what the application uses, then what the installer recorded, then what it wrote for the operator."""
    used = (spring.get(beliefs.URL_KEY), spring.get(beliefs.USERNAME_KEY), spring.get(beliefs.PASSWORD_KEY))
    remembered = (_text(config, "databaseUrl"), _text(config, "databaseUsername"), _text(config, "databasePassword"))
    told = (logins.url, logins.full.username, logins.full.password) if logins else (None, None, None)
    sources = (
        (os.path.join(home, beliefs.APPLICATION_PROPERTIES), used),
        (config_file, remembered),
        (os.path.join(home, beliefs.CREDENTIALS_FILE), told),
    )
    stated = [(source, url, username or "", password or "") for source, (url, username, password) in sources if url]
    for source, url, username, password in stated:
        if "${" in url + username + password:
            notes.append(f"{source}: the database is filled in from the environment of the application, which cannot be seen")
            continue
        try:
            address = jdbc.parse(url)
        except PecError as error:
            notes.append(f"{source}: {error}")
            continue
        return Connection(
            address.host,
            address.port,
            address.database or username,
            username,
            password,
            sslmode=address.sslmode,
            sslrootcert=address.sslrootcert,
            unsupported=address.unsupported,
        ), source
    return None, stated[0][0] if stated else None


def _certmgr_https(root: str, home: str, ssl: Mapping[str, str]) -> Https:
    domain = next((value for key, value in ssl.items() if re.split(r"[.-]", key)[-1] == beliefs.SSL_DOMAIN_KEY), None)
    return Https("certmgr", domain, _port(ssl.get(beliefs.PORT_KEY, str(beliefs.HTTPS_PORT))), _keystore(root, home, ssl))


def _keystore_https(root: str, home: str, spring: Mapping[str, str], port: int | None) -> Https:
    keystore = _keystore(root, home, spring)
    if keystore is None or spring.get(beliefs.SSL_ENABLED_KEY, "true").lower() == "false":
        return NO_HTTPS
    return Https("keystore", None, port, keystore)


def _keystore(root: str, home: str, pairs: Mapping[str, str]) -> str | None:
    """The path is relative to the application's directory, as PEC's manual writes it."""
    name = re.sub(r"^file:(//)?", "", pairs.get(beliefs.KEYSTORE_KEY, ""))
    if not name:
        return None
    return _under(root, name) if os.path.isabs(name) else os.path.normpath(os.path.join(home, beliefs.WEBSERVER, name))


def _certificates(home: str, notes: list[str]) -> tuple[str, ...]:
    """Every keystore and certificate in the directories of the application, of certmgr and of the RNDS."""
    directories = [os.path.dirname(beliefs.APPLICATION_PROPERTIES), beliefs.CERTMGR, beliefs.KEYS_DIRECTORY]
    found: list[str] = []
    for path in (os.path.join(home, directory) for directory in directories):
        try:
            entries = itertools.islice(files.walk(path, follow=True), _MOST_FILES)
            found += [each.path for each in entries if each.name.lower().endswith(_CERTIFICATES) and not stat.S_ISDIR(each.status.st_mode)]
        except PecError as error:
            notes.append(str(error))
    return tuple(sorted(found))


def _jre(root: str, home: str, configured: str | None) -> str | None:
    candidates = [_under(root, configured)] if configured else []
    candidates.append(os.path.join(home, beliefs.JRE_CURRENT))
    return next((path for path in candidates if os.path.lexists(path)), None)


def _link_target(path: str) -> str:
    return os.readlink(path) if os.path.islink(path) else path


def _unit_file(root: str, name: str) -> str | None:
    paths = [os.path.join(directory, name) for directory in beliefs.UNIT_DIRECTORIES]
    return next((found for found in (_existing(root, path) for path in paths) if found), None)


def _read_config(path: str | None, notes: list[str], refused: list[str]) -> Mapping[str, object]:
    text = None if path is None else _read(path, refused)
    if text is None:
        return {}
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        notes.append(f"{path} is not JSON: {error}")
        return {}
    return content if isinstance(content, dict) else {}


def _read_properties(path: str, notes: list[str], refused: list[str]) -> Mapping[str, str]:
    text = _read(path, refused, reading.read_text) if os.path.exists(path) else None
    if text is None:
        return {}
    try:
        return reading.parse(text)
    except PecError as error:
        notes.append(f"{path}: {error}")
        return {}


def _read_credentials(path: str, notes: list[str], refused: list[str]) -> credentials.Credentials | None:
    text = _read(path, refused) if os.path.exists(path) else None
    if text is None:
        return None
    try:
        return credentials.parse(text)
    except PecError as error:
        notes.append(f"{path}: {error}")
        return None


def _read(path: str, refused: list[str], read: Callable[[str], str] = files.read_text_lenient) -> str | None:
    try:
        return read(path)
    except RefusedError as error:
        refused.append(str(error))
        return None


def _under(root: str, path: str) -> str:
    return os.path.join(root, path.lstrip("/"))


def _existing(root: str, path: str) -> str | None:
    """A link counts even when what it points to is gone: systemd and the installer see it too."""
    return _under(root, path) if os.path.lexists(_under(root, path)) else None


def _text(config: Mapping[str, object], key: str) -> str | None:
    value = config.get(key)
    return value.strip() or None if isinstance(value, str) else None


def _boolean(config: Mapping[str, object], key: str) -> bool | None:
    value = config.get(key)
    return value if isinstance(value, bool) else _TEXT_OF_BOOLEAN.get(str(value).lower())


def _port(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and 0 < int(text) < 65536 else None
