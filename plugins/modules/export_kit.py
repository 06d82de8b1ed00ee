#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: export_kit
short_description: Write a kit with which a município without Ansible exports its e-SUS PEC
description:
  - Writes a zip with C(exportar-pec.cmd) for Windows, C(exportar-pec.sh) for Linux and a page in Portuguese, C(LEIA-ME.txt). Run it on the
    controller and send the zip to the município. It contains no secret.
  - Each script finds PEC and its bundled PostgreSQL, reads C(credenciais.txt), checks the free space and runs PEC's own C(pg_dump). It
    packs the dump and its SHA-256 with C(chaves), C(application.properties), keystores and the configuration of certmgr.
  - M(esus.pec.restore) restores the resulting file as it is. It compares the dump with its SHA-256 in the file.
  - The resulting file is not encrypted. It contains patient data, certificates and the passwords of the old server, so O(destination) must
    be a place that is encrypted in transit and open to few.
version_added: 0.1.0
author: ["esus.pec contributors (@esus-pec)"]
options:
  path:
    description: The zip. Its directory must exist.
    type: path
    required: true
  municipality:
    description: Name of the município, for the texts and the name of the resulting file.
    type: str
    default: ""
  destination:
    description: Where to send the resulting file, in words for the município, such as the address of an upload page.
    type: str
    required: true
  contact:
    description: Whom to ask, such as a name and a telephone number.
    type: str
    default: ""
attributes:
  check_mode:
    description: Can run in check mode and predict the change.
    support: full
  diff_mode:
    description: Shows only that the zip is new or different.
    support: none
extends_documentation_fragment:
  - esus.pec.attributes
seealso:
  - module: esus.pec.restore
"""

EXAMPLES = r"""
- name: Write the kit for Água Clara
  esus.pec.export_kit:
    path: /srv/kits/agua-clara.zip
    municipality: Água Clara
    destination: https://nuvem.example.org/enviar/agua-clara
    contact: Equipe de TI, (67) 5555-0100
  delegate_to: localhost
"""

RETURN = r"""
path: {description: The zip., returned: success, type: str, sample: /srv/kits/agua-clara.zip}
sha256:
  description: SHA-256 of the zip.
  returned: success
  type: str
  sample: 6f1ed002ab5595859014ebf0951522d9d7a5b3a7a8c6b3c5ae0b6b5e0b5b5b5b
"""

import hashlib
import os

from ansible_collections.esus.pec.plugins.module_utils.export_kit import kit
from ansible_collections.esus.pec.plugins.module_utils.module import PecModule, Result, run_module
from ansible_collections.esus.pec.plugins.module_utils.system import files

ARGUMENTS = {
    "path": {"type": "path", "required": True},
    "municipality": {"type": "str", "default": ""},
    "destination": {"type": "str", "required": True},
    "contact": {"type": "str", "default": ""},
}
_LONGEST = 1 << 20


def run(module: PecModule) -> Result:
    params = module.params
    data = kit.build(kit.Kit(params["municipality"], params["destination"], params["contact"]))
    path = params["path"]
    changed = not os.path.isfile(path) or files.read_bytes(path, _LONGEST) != data
    if changed and not module.check_mode:
        files.write_atomic(path, data, mode=0o644)
    return {"changed": changed, "path": path, "sha256": hashlib.sha256(data).hexdigest()}


def main() -> None:
    run_module(run, argument_spec=ARGUMENTS, root=False)


if __name__ == "__main__":
    main()
