# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The part of a module that runs on the controller: what it reports names a role's variables and, in a warning, the server."""

from __future__ import annotations

from ansible_collections.esus.pec.plugins.plugin_utils.action import ActionModule

__all__ = ["ActionModule"]
