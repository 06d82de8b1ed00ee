# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What Ansible may read as a template and what not, on each of its versions. Private to the collection."""

from __future__ import annotations

from typing import Any

try:
    from ansible.template import trust_as_template
except ImportError:  # ansible-core 2.18, where each text is a template unless it is marked
    from ansible.utils.unsafe_proxy import wrap_var

    def data(value: str | int) -> Any:
        """Return a value that is never read as a template."""
        return wrap_var(value)

    def template(text: str) -> Any:
        """Return a text that is read as a template."""
        return text

else:

    def data(value: str | int) -> Any:
        """Return a value that is never read as a template: since ansible-core 2.19 no text is one without a mark."""
        return value

    def template(text: str) -> Any:
        """Return a text that is read as a template."""
        return trust_as_template(text)
