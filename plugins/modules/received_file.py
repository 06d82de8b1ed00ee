#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: received_file
short_description: Download a backup from a link or a cloud
description:
  - Downloads the file behind a share link of Google Drive, Dropbox, OneDrive, SharePoint or Nextcloud, or at any other https address such
    as a presigned one of S3, for M(esus.pec.restore).
  - With O(remote) it downloads a file from any cloud that C(rclone) knows, decrypted if the remote is of the type C(crypt), and compares it
    with the checksum that the remote has of it, if any. The configuration of rclone is given to it in memory.
  - A web page instead of the file, a login, an expired link, too many downloads, an empty file or one that is no dump is an error. Its last
    sentence, in Portuguese, can be forwarded to the sender. The warning of Google Drive about large files is confirmed.
  - Microsoft refuses many links of personal OneDrive accounts without a login. Of the services, only the answers that are documented or
    reported by others could be tried, on a local server.
  - An interrupted download is continued if the server can do that, also by the next run. A complete file is not downloaded again.
  - The link is a secret, because whoever has it has the data. Only its host is shown.
  - Redirections to http are not followed, nor those from the internet into a private network. A proxy is used as C(https_proxy) in the
    environment says, and then decides by itself where it goes.
version_added: 0.2.0
author: ["esus.pec contributors (@esus-pec)"]
requirements:
  - C(rclone) on the managed host, with O(remote)
options:
  url:
    description: The link. Give this or O(remote).
    type: str
  remote:
    description: File at a remote of O(config), such as V(nuvem:pec/agua-clara/backup.zip).
    type: str
  config:
    description: Text of an C(rclone.conf), from a vault. Required with O(remote), unless O(state=absent).
    type: str
  state:
    description: V(present) downloads the file, V(absent) removes it and what an interrupted download left.
    type: str
    choices: [present, absent]
    default: present
  sha256:
    description: SHA-256 of the file, from its sender. Another file is refused. Empty if it is unknown.
    type: str
    default: ""
  directory:
    description: Directory for the file, which only root can read. It is created if it is missing.
    type: path
    default: /var/lib/esus-pec/received
  max_bytes:
    description: Refuse a larger file. With V(0), the limit is the free disk, of which 1 GiB (on a small disk 5 %) stays free.
    type: int
    default: 0
  allow_http:
    description: Accept a link that begins with C(http://). Everybody on the way can then read and replace the file.
    type: bool
    default: false
  timeout:
    description: Seconds after which the download is stopped. The next run continues it.
    type: int
    default: 86400
  stall_timeout:
    description: Seconds without an answer, or with less than 1 KiB per second, after which the download is stopped.
      With O(remote), seconds without any data.
    type: int
    default: 60
attributes:
  check_mode:
    description: Asks for the first bytes of the file and judges them. The rest is not downloaded, and nothing is written.
    support: full
  diff_mode:
    description: Returns no diff; RV(action) says what changed.
    support: none
extends_documentation_fragment:
  - esus.pec.attributes
seealso:
  - module: esus.pec.restore
"""

EXAMPLES = r"""
- name: Download the backup that the técnico shared
  esus.pec.received_file:
    url: "{{ vault_backup_link }}"
  become: true
  register: received

- name: Restore it
  esus.pec.restore:
    path: "{{ received.path }}"
    stop_service: true
  become: true

- name: Download a backup from a cloud
  esus.pec.received_file:
    remote: nuvem:pec/agua-clara/backup.zip
    config: "{{ vault_rclone_conf }}"
  become: true

- name: Remove it
  esus.pec.received_file:
    url: "{{ vault_backup_link }}"
    state: absent
  become: true
"""

RETURN = r"""
action: {description: "What was done: V(none), V(download), V(resume) or V(remove).", returned: success, type: str, sample: download}
path:
  description: The file. Its name is computed from the link, or the remote, and does not disclose it.
  returned: success
  type: str
  sample: /var/lib/esus-pec/received/3f9a6c0e5d7b4f21a8c2e6d9b0f17a34
complete:
  description: Whether the file is there. In check mode V(false) if a run would download it.
  returned: success
  type: bool
  sample: true
host: {description: "Host of the link, or name of the remote.", returned: state is present, type: str, sample: drive.google.com}
bytes:
  description: Size of the file. Null in check mode if the server does not report it.
  returned: state is present
  type: int
  sample: 1500000000
sha256:
  description: SHA-256 of the file. Empty in check mode if it is not there yet.
  returned: state is present
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
message_to_sender:
  description: Sentence in Portuguese that says what the sender should do.
  returned: failure that the sender can end
  type: str
  sample: O link é de uma pasta. Envie o link do próprio arquivo do backup (.zip, .sql, .tar.gz, .dump ou .backup).
"""

import re

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.module import PecModule, Result, run_module
from ansible_collections.esus.pec.plugins.module_utils.received import receiving, remote
from ansible_collections.esus.pec.plugins.module_utils.system import rclone

ARGUMENTS = {
    "url": {"type": "str", "no_log": True},
    "remote": {"type": "str"},
    "config": {"type": "str", "no_log": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "sha256": {"type": "str", "default": ""},
    "directory": {"type": "path", "default": receiving.DIRECTORY},
    "max_bytes": {"type": "int", "default": 0},
    "allow_http": {"type": "bool", "default": False},
    "timeout": {"type": "int", "default": 86400},
    "stall_timeout": {"type": "int", "default": 60},
}


def from_remote(module: PecModule, desired: receiving.Desired) -> receiving.Received:
    """Download from the remote. Raises PecError when the configuration does not have it."""
    params = module.params
    if not params["config"]:
        raise PecError("config is missing, without which the remote is not known; give the text of an rclone.conf")
    place = rclone.parse(params["remote"], params["config"])
    module.no_log_values.update(place.secrets)
    with rclone.Rclone(params["config"], stall=params["stall_timeout"], timeout=params["timeout"]) as program:
        return remote.receive(desired, place, program, check=module.check_mode)


def run(module: PecModule) -> Result:
    params = module.params
    sha256 = params["sha256"].strip().lower()
    if sha256 and not re.fullmatch("[0-9a-f]{64}", sha256):
        raise PecError("sha256 is not one; give its 64 characters of 0-9 and a-f, or leave sha256 out")
    source = params["url"] or f"rclone {params['remote']}"
    desired = receiving.Desired(
        source, params["directory"], sha256, params["max_bytes"], params["allow_http"], params["stall_timeout"], params["timeout"]
    )
    if params["state"] == "absent":
        removed = receiving.forget(desired, check=module.check_mode)
        return {"changed": removed, "action": "remove" if removed else "none", "path": desired.path, "complete": False}
    received = from_remote(module, desired) if params["remote"] else receiving.receive(desired, check=module.check_mode)
    changed = received.action != "none"
    return {
        "changed": changed,
        "action": received.action,
        "path": desired.path,
        "complete": not (changed and module.check_mode),
        "host": received.host,
        "bytes": received.bytes,
        "sha256": received.sha256,
    }


def main() -> None:
    run_module(run, stoppable=True, argument_spec=ARGUMENTS, mutually_exclusive=[("url", "remote")], required_one_of=[("url", "remote")])


if __name__ == "__main__":
    main()
