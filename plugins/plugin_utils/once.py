# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is found out once for all servers of a run, although Ansible has a process for each. Private to the collection."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Sequence


def once(directory: str, question: Sequence[str], answer: Callable[[], str]) -> str:
    """Return what C(answer) returns. The first process that asks calls it, and the others wait for it.

    C(directory) is the run's own, and is removed when it ends.
    """
    name = hashlib.sha256(json.dumps(question).encode()).hexdigest()
    with open(os.path.join(directory, name), "a+", encoding="utf-8") as kept:
        fcntl.flock(kept, fcntl.LOCK_EX)
        kept.seek(0)
        text = kept.read()
        if not text:
            text = json.dumps(answer())
            kept.write(text)
        return str(json.loads(text))
