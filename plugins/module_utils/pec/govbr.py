# SPDX-License-Identifier: GPL-3.0-or-later
"""PEC's login with Gov.br: checks of the credentials, the addresses to register, what makes it fail. Private to the collection."""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import dataclass

from ansible_collections.esus.pec.plugins.module_utils import beliefs, brazil
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import files, systemd

RECORD = os.path.join(files.STATE_DIRECTORY, "govbr.json")
CLOCK_TOLERANCE = 60
"""Seconds: Spring, which PEC is built with, accepts a token that is off by this much by default."""

_PLACEHOLDERS = re.compile(
    r"(?:(?:seu|sua|your|my|meu|o|the)?(?:govbr)?(?:client|cliente)(?:id|secret|segredo|senha)?|id|secret|segredo|senha|changeme|mudar|trocar|"
    r"todo|tbd|exemplo|example|test|teste|none|null|x+)"
)


@dataclass(frozen=True)
class Clock:
    """This host's clock: what systemd reports, and the seconds that it is ahead of the reference. None is not known."""

    synchronized: bool | None = None
    ahead_seconds: float | None = None


def credential_problems(name: str, value: str) -> list[str]:
    """Return why a value cannot be what Gov.br sent. No sentence repeats the value."""
    if not value.strip():
        return [f"{name} is {'blank' if value else 'empty'}; give what Gov.br sent"]
    problems = []
    if re.search(r"\s", value):
        problems.append("contains a blank or a line end, probably from copying; remove it")
    elif not value.isascii() or not value.isprintable():
        problems.append("contains characters that Gov.br does not use, such as a dash or quotation mark of a word processor; type it again")
    if value.strip()[:1] in ("'", '"') or value.strip()[-1:] in ("'", '"'):
        problems.append("begins or ends with a quotation mark, which a properties file does not use; remove it")
    if "${" in value:
        problems.append("contains ${, which PEC would replace by another setting; ask Gov.br for another value")
    if _is_placeholder(value):
        problems.append("is a placeholder from an example; give what Gov.br sent")
    return [f"{name} {problem}" for problem in problems]


def _is_placeholder(value: str) -> bool:
    text = value.strip().casefold()
    bracketed = re.fullmatch(r"<.*>|\[.*\]|\{.*\}|\(.*\)", text) is not None
    return bracketed or _PLACEHOLDERS.fullmatch(re.sub(r"[ _.-]", "", text)) is not None


def redirect_urls(domain: str) -> list[str]:
    """Return the addresses to register with Gov.br, to which it sends people back after the login."""
    return [f"https://{domain}{path}" for path in beliefs.GOVBR_REDIRECTS] if domain else []


def logout_url(domain: str) -> str | None:
    return f"https://{domain}{beliefs.GOVBR_LOGOUT}" if domain else None


def domain_warnings(domain: str) -> list[str]:
    """Return why Gov.br may reject a domain. Raises PecError for text that is not a domain."""
    if not domain:
        return ["domain is missing, so the addresses to register with Gov.br are not known; set domain (role: pec_domain)"]
    problems = brazil.domain_problems(domain)
    if problems:
        raise PecError("; ".join(problems))
    if domain.lower().endswith(".gov.br"):
        return []
    return [
        f"the domain {domain} does not end in .gov.br; Gov.br may reject it (Portaria SGD/MGI 7.076/2024). Ask your state for a "
        ".gov.br domain (procedure 5.1), or ask Gov.br before people rely on this login"
    ]


def read_clock(reference: float | None) -> Clock:
    """Return the state of this host's clock. C(reference) is the right time, in seconds since 1970."""
    return Clock(systemd.clock_synchronized(), None if reference is None else round(time.time() - reference, 1))


def clock_warnings(clock: Clock) -> list[str]:
    warnings = []
    if clock.ahead_seconds is not None and abs(clock.ahead_seconds) > CLOCK_TOLERANCE:
        direction = "ahead of" if clock.ahead_seconds > 0 else "behind"
        warnings.append(
            f"this server's clock is {abs(clock.ahead_seconds):.0f} seconds {direction} the controller's, and a wrong clock makes a "
            "login with Gov.br fail; find out which of the two is right, then set the other"
        )
    if clock.synchronized is False:
        warnings.append("this server's clock is not synchronized (timedatectl); install chrony or enable systemd-timesyncd")
    return warnings


def note_change(path: str = RECORD) -> None:
    """Record when the credentials changed: if a run is interrupted before PEC's restart, the next run restarts PEC."""
    files.make_private(os.path.dirname(path))
    files.write_atomic(path, (json.dumps({"changed": time.time()}) + "\n").encode())


def restart_pending(path: str = RECORD) -> bool:
    """Return whether PEC was started before the last change, and so has not read it."""
    changed, age = _changed(path), systemd.active_seconds(beliefs.PEC_UNIT)
    return changed is not None and age is not None and changed > time.time() - age


def _changed(path: str) -> float | None:
    if not os.path.exists(path):
        return None
    try:
        record = json.loads(files.read_text_lenient(path))
    except ValueError:
        return None
    changed = record.get("changed") if isinstance(record, dict) else None
    return float(changed) if isinstance(changed, (int, float)) else None
