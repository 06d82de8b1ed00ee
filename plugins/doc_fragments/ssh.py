# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The option ssh, as every module takes it that reaches the source of a transfer."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  ssh:
    description: How this host logs in to the source of a transfer. No configuration, agent or known host of an account counts beside it.
    type: dict
    suboptions:
      host:
        description: Name or address of the source.
        type: str
        required: true
      port:
        description: Port of its SSH server.
        type: int
        default: 22
      user:
        description: Account to log in as.
        type: str
        required: true
      key_path:
        description: Private key of OpenSSH without passphrase, which only root can read.
        type: path
        required: true
      known_hosts_path:
        description: File with the source's host keys, in the format of C(known_hosts). Another host key is refused.
        type: path
        required: true
"""
