# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The attributes that modules of this collection have in common."""

from __future__ import annotations


class ModuleDocFragment:
    """C(esus.pec.attributes) is for every module; C(esus.pec.attributes.read_only) adds what holds for one that only reads."""

    DOCUMENTATION = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/esus.pec.pec) in C(module_defaults) to set options of all modules of this collection.
    membership: [esus.pec.pec]
    support: full
  platform:
    description: The managed hosts this works on.
    platforms: linux
    support: full
requirements:
  - root on the managed host, as given by C(become) set to V(true)
"""

    READ_ONLY = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode, which makes no difference because nothing is ever changed.
    support: full
  diff_mode:
    description: Returns what changed; here nothing does.
    support: N/A
  idempotent:
    description: Running it twice in a row gives the same result, as long as nobody else changes the host in between.
    support: full
"""
