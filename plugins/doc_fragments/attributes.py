# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The attributes that the modules of this collection share."""

from __future__ import annotations


class ModuleDocFragment:
    """C(esus.pec.attributes) is for every module; C(esus.pec.attributes.read_only) adds those of a module that only reads."""

    DOCUMENTATION = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/esus.pec.pec) in C(module_defaults) to set options of all modules of this collection.
    membership: [esus.pec.pec]
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
  platform:
    description: Managed hosts on which the module works.
    platforms: linux
    support: full
requirements:
  - root on the managed host, as given by C(become) set to V(true)
"""

    READ_ONLY = r"""
options: {}
attributes:
  check_mode:
    description: Check mode makes no difference, because the module changes nothing.
    support: full
  diff_mode:
    description: Not applicable, because the module changes nothing.
    support: N/A
"""
