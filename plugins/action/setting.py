# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The part of esus.pec.setting that runs on the controller: it names the variables of a role in what the module reports."""

from __future__ import annotations

from ansible_collections.esus.pec.plugins.plugin_utils.action import ActionModule

__all__ = ["ActionModule"]
