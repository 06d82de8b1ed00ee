#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: transfer_files
short_description: Carry what PEC has outside its database to a new server
description:
  - Brings certificates (C(webserver/chaves)), keystores, settings, the configuration of certmgr, contra-chaves and directories of
    attachments from an old server of PEC, on Linux or Windows, to the new one, on which the module runs.
  - With O(state=staged) the small files are read into a directory of root's, with O(state=synced) the attachments are copied beside their
    place, and with O(state=applied) PEC on this host gets them. The first two change nothing of PEC on either server, and can be repeated
    while the old one works.
  - The old server is read by SFTP with O(ssh), of which Windows' OpenSSH is an example, or by the rsync daemon of
    M(esus.pec.transfer_access) with O(ssh) and O(rsync). O(archive) takes the zip of M(esus.pec.export_kit), or a directory.
  - Of C(application.properties) the keys that begin with C(bridge.) and C(server.) are carried, and C(security.require-ssl). The database's
    never are. Paths below PEC's directory, and below those of O(attachments), become the ones of this host; a setting with another path of
    Windows is not carried but listed, and so is one by which PEC's server would write files or load a class, such as
    C(server.tomcat.accesslog.directory).
  - What the old server sends is not trusted. The number, size and depth of files are limited, names are checked, no link is followed, and
    nothing is run. Apart from C(chaves) only keystores are copied (C(.p12), C(.pfx), C(.jks), C(.keystore)), and from certmgr also
    C(.pem), C(.key), C(.crt), C(.cer), C(.der) and C(.csr). From C(standalone.sh) only known options about memory are read.
version_added: 0.2.0
author: ["esus.pec contributors (@esus-pec)"]
requirements:
  - C(ssh) on this host with O(ssh), and C(rsync) with O(rsync)
options:
  state:
    description:
      - V(staged) reads the small files from the source into O(directory), which then holds exactly what the source has.
        C(credenciais.txt) is among them, for M(esus.pec.transfer_source), and is not carried.
      - V(synced) copies the directories of O(attachments), each to a directory beside its O(attachments[].target), with C(.transfer) added
        to the name. An interrupted copy is continued. Once the target has files, nothing is copied any more, unless O(replace) is set.
        With O(rsync), what the source no longer has is removed from the copy.
      - V(applied) gives PEC on this host what was staged, and moves what was synced to its place.
      - V(absent) removes O(directory), which holds secrets, and copies of attachments that were not applied.
    type: str
    choices: [staged, synced, applied, absent]
    default: applied
  rsync:
    description: Daemon that serves directories of the source on its loopback. Without it they are read by SFTP.
    type: dict
    suboptions:
      port: {description: Port on the source's loopback., type: int, required: true}
      user: {description: User of the daemon., type: str, required: true}
      password: {description: Password of that user., type: str, required: true}
      modules:
        description: The directories that it serves.
        type: list
        elements: dict
        required: true
        suboptions:
          name: {description: Name of the rsync module., type: str, required: true}
          path: {description: Path of the directory on the source., type: path, required: true}
  archive:
    description:
      - Zip of the export kit on this host, or a directory with its content. The directory may also be arranged as PEC's own
        (C(webserver/chaves) and so on).
    type: path
  home:
    description: PEC's directory at the source, such as V(C:/Program Files/e-SUS), which is the default if O(ssh) is given without O(rsync).
    type: str
  directory:
    description: Where staged files are kept, for root alone.
    type: path
    default: /var/lib/esus-pec/transfer/files
  attachments:
    description: Directories of attachments.
    type: list
    elements: dict
    default: []
    suboptions:
      source: {description: "Path at the source, such as V(D:/Anexos).", type: str, required: true}
      target:
        description: Path on this host, but no mount point. Its parent must exist, and only root may change it.
        type: path
        required: true
  replace:
    description:
      - Copy the attachments again although the target has files, as after a transfer that was undone. With V(applied) the copy takes their
        place, and they are kept beside it, with C(.replaced-) and the time added to the name.
    type: bool
    default: false
  except_keys:
    description: Keys of C(application.properties) that this host sets itself, as patterns such as V(server.ssl.*).
    type: list
    elements: str
    default: []
  certmgr:
    description: Carry certmgr's configuration, if its domain is O(domain). Otherwise certmgr obtains a new certificate here.
    type: bool
    default: false
  domain:
    description: Domain of this host.
    type: str
    default: ""
  owner:
    description: Owner of the carried files, by default the account of PEC's service.
    type: str
  timeout:
    description: Seconds after which an rsync is stopped. The next run continues it.
    type: int
    default: 86400
attributes:
  check_mode:
    description: The source is read, and what would be changed here is returned.
    support: full
  diff_mode:
    description: With O(state=applied), shows the settings that change, without secret values, and of each file a part of its SHA-256.
    support: full
extends_documentation_fragment:
  - esus.pec.attributes
  - esus.pec.ssh
seealso:
  - module: esus.pec.transfer_access
  - module: esus.pec.export_kit
"""

EXAMPLES = r"""
- name: Read the small files of a Windows server
  esus.pec.transfer_files:
    state: staged
    ssh: "{{ source_ssh }}"
  become: true

- name: Copy the attachments, most of them while the old server works
  esus.pec.transfer_files:
    state: synced
    ssh: "{{ source_ssh }}"
    attachments:
      - {source: "D:/Anexos", target: /srv/anexos}
  become: true

- name: Give PEC on this host all of it
  esus.pec.transfer_files:
    state: applied
    attachments:
      - {source: "D:/Anexos", target: /srv/anexos}
    except_keys: [server.port]
  become: true

- name: Take the files of an export
  esus.pec.transfer_files:
    state: staged
    archive: /srv/agua-clara-esus-20261130120000.zip
  become: true
"""

RETURN = r"""
directory: {description: Where staged files are kept., returned: success, type: str, sample: /var/lib/esus-pec/transfer/files}
files:
  description: The staged files, by their path below PEC's directory.
  returned: state is staged
  type: list
  elements: str
  sample: [webserver/chaves/municipio.pfx, webserver/config/application.properties]
carried:
  description: Files, settings and contra-chaves of the source that this host has now.
  returned: state is applied
  type: list
  elements: str
  sample: [webserver/chaves/municipio.pfx, server.port]
not_carried:
  description: What is not carried, each with C(what) and C(reason).
  returned: state is applied
  type: list
  elements: dict
  sample: [{what: server.port, reason: this host sets it itself}]
unreadable:
  description: What could not be read at the source, each with C(path) and C(reason).
  returned: state is staged or applied
  type: list
  elements: dict
  sample: []
java_options:
  description: Options about memory with which the source started Java, for C(pec_install_java_options).
  returned: state is applied
  type: list
  elements: str
  sample: [-Xms2g, -Xmx6g]
kept: {description: Where files that were replaced are kept., returned: state is applied, type: list, elements: str, sample: []}
notes: {description: What an operator should know., returned: success, type: list, elements: str, sample: []}
attachments:
  description:
    - The directories of attachments. C(place) is where each is now; C(files) and C(bytes) are what the source has that is here, C(fetched)
      the number of files that this run copied, C(removed) that of those which the source no longer has.
    - C(missing) lists up to 200 files that could not be copied, each with C(path) and C(reason), and C(more_missing) counts the others.
  returned: state is synced or applied
  type: list
  elements: dict
  sample: [{source: "D:/Anexos", target: /srv/anexos, place: /srv/anexos.transfer, files: 3, bytes: 90, fetched: 3, missing: []}]
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, ContextManager

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.carrying import attachments, deciding, names, rsyncing, sftp, sources, staging
from ansible_collections.esus.pec.plugins.module_utils.certificates import planning
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.module import PecModule, Result, diff, run_module
from ansible_collections.esus.pec.plugins.module_utils.pec import contra_chave, installation
from ansible_collections.esus.pec.plugins.module_utils.system import files
from ansible_collections.esus.pec.plugins.module_utils.system.directory import opened
from ansible_collections.esus.pec.plugins.module_utils.transfer import link

ARGUMENTS: dict[str, Any] = {
    "state": {"type": "str", "choices": ["staged", "synced", "applied", "absent"], "default": "applied"},
    "ssh": link.SSH_OPTIONS,
    "rsync": rsyncing.OPTIONS,
    "archive": {"type": "path"},
    "home": {"type": "str"},
    "directory": {"type": "path", "default": staging.DIRECTORY},
    "attachments": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {"source": {"type": "str", "required": True}, "target": {"type": "path", "required": True}},
    },
    "replace": {"type": "bool", "default": False},
    "except_keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "certmgr": {"type": "bool", "default": False},
    "domain": {"type": "str", "default": ""},
    "owner": {"type": "str"},
    "timeout": {"type": "int", "default": 86400},
}


def login(params: dict[str, Any]) -> link.Ssh:
    """Return the source's SSH server. Raises PecError if it is not given."""
    ssh = link.ssh_from(params["ssh"])
    if ssh is None:
        raise PecError("ssh is missing, without which the source cannot be read; give it")
    return ssh


def wanted(params: dict[str, Any]) -> list[attachments.Wanted]:
    """Return the directories of attachments. Raises PecError for a path that is not absolute, and for one that is named twice."""
    found = [attachments.Wanted(each["source"].rstrip("/\\"), os.path.normpath(each["target"])) for each in params["attachments"]]
    for each in found:
        if not (os.path.isabs(each.source) or sftp.is_windows(each.source)) or not os.path.isabs(each.target) or each.target == "/":
            raise PecError(f"attachments: {each.source!r} and {each.target!r} must be absolute paths, such as D:/Anexos and /srv/anexos")
    if len({each.target for each in found}) < len(found):
        raise PecError("attachments: two directories have the same target; give each its own")
    return found


def the_source(params: dict[str, Any]) -> ContextManager[sources.Source]:
    """Return where the small files are read from."""
    if params["archive"]:
        return sources.opened(params["archive"], params["home"] or "")
    return copied_by_rsync(params) if params["rsync"] else read_by_sftp(params)


@contextlib.contextmanager
def read_by_sftp(params: dict[str, Any]) -> Iterator[sources.Source]:
    """Yield PEC's directory on the server."""
    home = params["home"] or beliefs.WINDOWS_HOME
    if not (os.path.isabs(home) or sftp.is_windows(home)):
        raise PecError(f"home {home!r} is not an absolute path; give PEC's directory at the source")
    outside = {} if sftp.is_windows(home) else {staging.CONTRA_CHAVE: contra_chave.PATH}
    with sftp.session(login(params)) as session:
        found = sources.SftpSource(session, home, outside)
        found.require_home(beliefs.WEBSERVER)
        yield found


@contextlib.contextmanager
def copied_by_rsync(params: dict[str, Any]) -> Iterator[sources.Source]:
    """Yield a private copy of what the daemon serves below PEC's directory, which the program without rights fills."""
    ssh, rsync = login(params), rsyncing.rsync_from(params["rsync"])
    home = os.path.normpath(params["home"] or "")
    if rsync is None or not os.path.isabs(home):
        raise PecError("home is missing, without which the paths of rsync's modules have no meaning; give PEC's directory at the source")
    unread: list[tuple[str, str]] = []
    with files.private_directory() as private:
        for path in rsync.modules:
            inside = os.path.relpath(path, home)
            only: tuple[str, ...] = ()
            if path == os.path.dirname(contra_chave.PATH):
                inside, only = ".", (staging.CONTRA_CHAVE,)
            elif inside.startswith(".."):
                continue  # attachments
            problems = [] if only else rsyncing.small(ssh, rsync, path, names.SETTINGS, params["timeout"])
            incoming = os.path.join(private, "tree", inside)
            os.makedirs(incoming, mode=0o700, exist_ok=True)
            with opened(incoming) as here:
                rsyncing.lend(here)
                most = names.SETTINGS.file
                problems += rsyncing.copy(ssh, rsync, path, here, most_bytes=most, timeout=params["timeout"], files_only=only)
            unread += [(os.path.normpath(os.path.join(inside, name)), reason) for name, reason in problems]
        yield sources.DirectorySource(os.path.join(private, "tree"), home, unread)


def staged(module: PecModule) -> Result:
    params = module.params
    with the_source(params) as source:
        found = staging.collect(source)
    changed = staging.write(found, params["directory"], check=module.check_mode)
    notes = [] if beliefs.APPLICATION_PROPERTIES in found.contents else [f"the source has no {beliefs.APPLICATION_PROPERTIES}"]
    if not any(path.startswith(f"{beliefs.KEYS_DIRECTORY}/") for path in found.contents):
        notes.append(f"the source has nothing in {beliefs.KEYS_DIRECTORY}, where the certificate of the RNDS belongs")
    unreadable = [asdict(each) for each in found.unreadable]
    return {"changed": changed, "files": list(found.contents), "unreadable": unreadable, "notes": notes}


def synced(module: PecModule) -> Result:
    params = module.params
    ssh, rsync = login(params), rsyncing.rsync_from(params["rsync"])
    changed, done, notes = False, [], []
    for each in wanted(params):
        if attachments.is_there(each) and not params["replace"]:
            done.append(described(each, each.target, attachments.Copied()))
            notes.append(f"{each.target} has files, so nothing was copied; with replace: true it is copied again, and they are kept")
            continue
        exists = os.path.lexists(each.beside)
        with contextlib.ExitStack() as stack:
            here = stack.enter_context(attachments.place(each, check=module.check_mode)) if exists or not module.check_mode else None
            if rsync is not None and each.source in rsync.modules:
                copied = attachments.by_rsync(ssh, rsync, each, None if module.check_mode else here, params["timeout"])
            else:
                session = stack.enter_context(sftp.session(ssh))
                copied = attachments.by_sftp(session, each, here, check=module.check_mode)
        changed = changed or bool(copied.fetched or copied.removed) or not exists
        done.append(described(each, each.beside, copied))
    return {"changed": changed, "attachments": done, "notes": notes}


def described(wanted_one: attachments.Wanted, place: str, copied: attachments.Copied) -> dict[str, Any]:
    """Return what is returned of one directory of attachments."""
    missing = [{"path": path, "reason": reason} for path, reason in copied.missing]
    return {**asdict(wanted_one), "place": place, **asdict(copied), "missing": missing}


def applied(module: PecModule) -> Result:
    params = module.params
    here = installation.discover()
    if here.home is None or here.state != "installed":
        raise PecError(f"PEC is not installed on this host: {'; '.join(here.reasons) or 'nothing was found'}; install it first")
    owner = planning.owner(params["owner"])
    directories = wanted(params)
    found = staging.read(params["directory"])
    current = deciding.read_current(here.home, found)
    module.no_log_values.update(deciding.secrets(current, found))
    desired = deciding.Desired(
        owner.uid,
        owner.gid,
        tuple(params["except_keys"]),
        params["certmgr"],
        params["domain"],
        {each.source: each.target for each in directories},
    )
    todo = deciding.plan(current, found, desired)
    kept = [] if module.check_mode else deciding.apply(current, todo, desired)
    moved, notes = [], list(todo.notes)
    for each in directories:
        copied, is_there = os.path.lexists(each.beside), attachments.is_there(each)
        if copied and is_there and not params["replace"]:
            notes.append(f"{each.target} has files, so the copy in {each.beside} was not moved there; compare them, and remove the copy")
        elif copied:
            moved.append(each)
            if not module.check_mode:
                kept += attachments.install(each, owner.uid, owner.gid)
        elif not is_there:
            notes.append(f"{each.source} was not copied to this host; run with state: synced first")
    return {
        "changed": todo.changed or bool(moved),
        "carried": list(todo.carried),
        "not_carried": [asdict(each) for each in todo.skipped],
        "unreadable": [asdict(each) for each in found.unreadable],
        "java_options": list(todo.java_options),
        "kept": kept,
        "notes": notes,
        "attachments": [{**asdict(each), "place": each.target if attachments.is_there(each) else each.beside} for each in directories],
        "diff": diff(here.home, todo.before, todo.after),
    }


def absent(module: PecModule) -> Result:
    params = module.params
    found = [path for path in (params["directory"], *(each.beside for each in wanted(params))) if os.path.lexists(path)]
    for path in found if not module.check_mode else ():
        files.remove_tree(path)
    return {"changed": bool(found), "notes": []}


def run(module: PecModule) -> Result:
    result = {"staged": staged, "synced": synced, "applied": applied, "absent": absent}[module.params["state"]](module)
    return {"directory": module.params["directory"], **result}


def main() -> None:
    run_module(
        run,
        stoppable=True,
        argument_spec=ARGUMENTS,
        mutually_exclusive=[("archive", "ssh"), ("archive", "rsync")],
        required_by={"rsync": "ssh"},
    )


if __name__ == "__main__":
    main()
