# SPDX-License-Identifier: GPL-3.0-or-later
"""The login of PEC with Gov.br: what credentials look like, what is registered for a domain, and what makes a login fail."""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import dataclass

from ansible_collections.esus.pec.plugins.module_utils import beliefs, brazil
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import files, process, systemd

RECORD = os.path.join(files.STATE_DIRECTORY, "govbr.json")
CLOCK_TOLERANCE = 60
"""Seconds. Spring, which PEC is made with, lets a token be this much off by default."""

_PLACEHOLDERS = re.compile(
    r"(?:(?:seu|sua|your|my|meu|o|the)?(?:govbr)?(?:client|cliente)(?:id|secret|segredo|senha)?|id|secret|segredo|senha|changeme|mudar|trocar|"
    r"todo|tbd|exemplo|example|test|teste|none|null|x+)"
)


@dataclass(frozen=True)
class Clock:
    """C(synchronized) as systemd says; C(ahead_seconds) by how much this host's clock is ahead of the reference; None is not known."""

    synchronized: bool | None = None
    ahead_seconds: float | None = None


def credential_problems(name: str, value: str) -> list[str]:
    """What keeps a text from being what Gov.br sent; the text itself is in no sentence."""
    problems = []
    if value and not value.strip():
        return [f"{name} has only blanks in it; give what Gov.br sent"]
    if not value:
        return [f"{name} is empty; give what Gov.br sent"]
    if re.search(r"\s", value):
        problems.append("has a blank or a line end in it, as happens when it is copied; remove it")
    elif not value.isascii() or not value.isprintable():
        problems.append("has characters that Gov.br does not use, such as a dash or a quotation mark from a text processor; type it anew")
    if value.strip()[:1] in ("'", '"') or value.strip()[-1:] in ("'", '"'):
        problems.append("has a quotation mark around it; a properties file has none, so remove it")
    if "${" in value:
        problems.append("has ${ in it, which PEC would replace by a setting of that name; ask Gov.br for another one")
    if _is_placeholder(value):
        problems.append("is the placeholder of an example; give what Gov.br sent")
    return [f"{name} {problem}" for problem in problems]


def _is_placeholder(value: str) -> bool:
    text = value.strip().casefold()
    bracketed = re.fullmatch(r"<.*>|\[.*\]|\{.*\}|\(.*\)", text) is not None
    return bracketed or _PLACEHOLDERS.fullmatch(re.sub(r"[ _.-]", "", text)) is not None


def redirect_urls(domain: str) -> list[str]:
    """What Gov.br must know before anybody can log in: the addresses that it may send people back to."""
    return [f"https://{domain}{path}" for path in beliefs.GOVBR_REDIRECTS] if domain else []


def logout_url(domain: str) -> str | None:
    return f"https://{domain}{beliefs.GOVBR_LOGOUT}" if domain else None


def domain_warnings(domain: str) -> list[str]:
    """What Gov.br may refuse. Raises PecError for what is no domain at all."""
    if not domain:
        return ["no domain is given, so the addresses to register with Gov.br are not known; give domain (role: pec_domain)"]
    problems = brazil.domain_problems(domain)
    if problems:
        raise PecError("; ".join(problems))
    if domain.lower().endswith(".gov.br"):
        return []
    return [
        f"the domain {domain} does not end in .gov.br; Gov.br may refuse it (Portaria SGD/MGI 7.076/2024). Ask your state for one "
        "(procedure 5.1), or find out from Gov.br before people rely on this login"
    ]


def read_clock(reference: float | None) -> Clock:
    """Ask systemd, and compare with C(reference), in seconds since 1970 by a clock that is right."""
    ahead = None if reference is None else round(time.time() - reference, 1)
    try:
        answer = process.run(["timedatectl", "show", "--property=NTPSynchronized", "--value"]).stdout.strip()
    except PecError:
        answer = ""
    return Clock({"yes": True, "no": False}.get(answer), ahead)


def clock_warnings(clock: Clock) -> list[str]:
    warnings = []
    if clock.ahead_seconds is not None and abs(clock.ahead_seconds) > CLOCK_TOLERANCE:
        direction = "ahead of" if clock.ahead_seconds > 0 else "behind"
        warnings.append(
            f"this server's clock is {abs(clock.ahead_seconds):.0f} seconds {direction} the controller's; a login with Gov.br fails with a "
            "clock that is off. Look which one is right, then set it"
        )
    if clock.synchronized is False:
        warnings.append("this server's clock is not kept right by anything (timedatectl); install chrony or enable systemd-timesyncd")
    return warnings


def note_change(path: str = RECORD) -> None:
    """Remember when the credentials changed, so that a run that is interrupted before PEC's restart is made good by the next."""
    files.make_private(os.path.dirname(path))
    files.write_atomic(path, (json.dumps({"changed": time.time()}) + "\n").encode())


def restart_pending(path: str = RECORD) -> bool:
    """Whether PEC runs since before the last change, so that it does not know it."""
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
