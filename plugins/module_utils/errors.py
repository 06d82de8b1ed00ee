# SPDX-License-Identifier: GPL-3.0-or-later
"""The one error type of the collection."""

from __future__ import annotations


class PecError(Exception):
    """What failed, on which object, and what to do next.

    The text is shown to the operator as it is, therefore it never carries a secret nor a command line that may.
    """
