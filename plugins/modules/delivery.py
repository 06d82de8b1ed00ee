#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: delivery
short_description: Upload a backup of PEC to a cloud, encrypted and verified
description:
  - Uploads a dump, the archive of files beside it and its manifest with C(rclone), to any remote that rclone knows.
  - Before, the files are compared with their manifest. Afterwards the remote's copies are compared with them, by checksum if the remote has
    checksums, else by a download. Only then are older backups removed from the remote.
  - A backup leaves the host only encrypted, with C(age) by the backup itself, or by a remote of the type C(crypt). Anything else is refused
    unless O(allow_plaintext=true).
  - The configuration of rclone is given to it in memory, never in a file on a disk or a command line. If rclone renews a token meanwhile,
    the new one is not kept.
  - A file that the remote has completely is not uploaded again, so a run after an interruption resumes with the first file that is missing.
version_added: 0.1.0
author: ["esus.pec contributors (@esus-pec)"]
options:
  path:
    description: The dump, with its manifest beside it. Defaults to the newest backup of M(esus.pec.backup) on this host.
    type: path
  remote:
    description:
      - Directory of a remote in O(config), such as V(nuvem:pec/agua-clara). Use one for each server, because O(keep) counts the backups of
        a município and database there.
    type: str
    required: true
  config:
    description: Text of an C(rclone.conf), from a vault.
    type: str
    required: true
  allow_plaintext:
    description: Upload a backup that is not encrypted to a remote that does not encrypt. Everybody who reaches the remote can then read it.
    type: bool
    default: false
  bandwidth:
    description: Limit of the upload as in rclone's C(--bwlimit), such as V(2M) for 2 MiB/s or V(08:00,512k 19:00,off). Empty for none.
    type: str
    default: ""
  keep:
    description: Keep this many complete backups at the remote, the delivered one among them. V(0) keeps all.
    type: int
    default: 0
  link:
    description: Ask the remote for a link to the dump. Anybody who has the link can download it.
    type: bool
    default: false
  timeout:
    description: Seconds after which one upload, or one comparison, is stopped and fails.
    type: int
    default: 86400
attributes:
  check_mode:
    description: Asks the remote, and returns what would be uploaded and removed.
    support: full
  diff_mode:
    description: Returns no diff; RV(uploaded) and RV(removed) say what changed.
    support: none
extends_documentation_fragment:
  - esus.pec.attributes
seealso:
  - module: esus.pec.backup
"""

EXAMPLES = r"""
- name: Upload the newest backup
  esus.pec.delivery:
    remote: nuvem:pec/agua-clara
    config: "{{ vault_rclone_conf }}"
    bandwidth: 2M
    keep: 7
  become: true
"""

RETURN = r"""
path: {description: The dump., returned: success, type: str, sample: /var/backups/esus-pec/agua-clara-esus-20261122T043000Z.dump.age}
files:
  description: Names at the remote. The dump is the first and the manifest the last.
  returned: success
  type: list
  elements: str
  sample: [agua-clara-esus-20261122T043000Z.dump.age]
bytes: {description: Size of the dump., returned: success, type: int, sample: 1500000000}
sha256:
  description: SHA-256 of the dump.
  returned: success
  type: str
  sample: 6f1ed002ab5595859014ebf0951522d9d7a5b3a7a8c6b3c5ae0b6b5e0b5b5b5b
encryption:
  description: V(age) if the files are encrypted, V(crypt) if the remote encrypts, V(none) otherwise.
  returned: success
  type: str
  sample: age
uploaded: {description: Files that were uploaded., returned: success, type: list, elements: str, sample: []}
removed: {description: Files of older backups that were removed from the remote., returned: success, type: list, elements: str, sample: []}
verified:
  description: How the remote's files were compared, V(checksum) or V(download).
  returned: success without check mode
  type: str
  sample: checksum
link:
  description: Link to the dump, null if the remote gives none.
  returned: success without check mode
  type: str
  sample: https://nuvem.example.org/s/9kXd
notes: {description: What an operator should know., returned: success without check mode, type: list, elements: str, sample: []}
"""

from ansible_collections.esus.pec.plugins.module_utils.delivery import delivering
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.module import PecModule, Result, run_module
from ansible_collections.esus.pec.plugins.module_utils.system import rclone

ARGUMENTS = {
    "path": {"type": "path"},
    "remote": {"type": "str", "required": True},
    "config": {"type": "str", "required": True, "no_log": True},
    "allow_plaintext": {"type": "bool", "default": False},
    "bandwidth": {"type": "str", "default": ""},
    "keep": {"type": "int", "default": 0},
    "link": {"type": "bool", "default": False},
    "timeout": {"type": "int", "default": 86400},
}


def run(module: PecModule) -> Result:
    params = module.params
    if params["keep"] < 0:
        raise PecError("keep is below 0; give the number of backups to keep at the remote, or 0 to keep all")
    remote = rclone.parse(params["remote"], params["config"])
    module.no_log_values.update(remote.secrets)
    desired = delivering.Desired(remote, params["path"], params["allow_plaintext"], params["keep"], params["link"])
    with delivering.packed(desired) as parcel, rclone.Rclone(
        params["config"], bandwidth=params["bandwidth"], timeout=params["timeout"]
    ) as program:
        result: Result = {
            "path": parcel.path,
            "files": list(parcel.names),
            "bytes": parcel.manifest.bytes,
            "sha256": parcel.manifest.sha256,
            "encryption": parcel.encryption,
        }
        planned = delivering.plan(parcel, program.sizes(remote), desired.keep)
        uploaded, removed = planned.upload, planned.remove
        if not module.check_mode:
            done = delivering.deliver(program, parcel, planned, desired)
            uploaded, removed = done.upload, done.remove
            result.update(verified=done.verified, link=done.link, notes=list(done.notes))
    return {**result, "changed": bool(uploaded or removed), "uploaded": list(uploaded), "removed": list(removed)}


def main() -> None:
    run_module(run, argument_spec=ARGUMENTS)


if __name__ == "__main__":
    main()
