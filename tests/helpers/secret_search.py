# SPDX-License-Identifier: GPL-3.0-or-later
"""Searches a server, or a text, for secrets in every spelling in which one leaks. As a program: a text that it reads as JSON.

A search that finds nothing proves nothing unless it can find. So each search of a server first plants a canary, in every spelling, in
each of the places, and fails as blind unless it finds all of them there.
"""

from __future__ import annotations

import base64
import json
import shlex
import string
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterable
from urllib.parse import quote, quote_plus

JOURNAL = "journal"
_LETTERS = string.ascii_uppercase, string.ascii_lowercase
_NEXT_LETTER = str.maketrans("".join(_LETTERS), "".join(letters[1:] + letters[0] for letters in _LETTERS))
# Runs on the server with: the canary's spellings, all spellings (both as by _lines), the name of the plants, the places.
# It prints "PLACE<TAB>FOUND IN<TAB>TEXT IN BASE64" for each finding. A place that does not exist is left out.
_SCRIPT = r"""
export LC_ALL=C
canary=$1 patterns=$2 name=$3
shift 3
decode() { printf %s "$1" | tr B-ZAb-za A-Za-z | base64 -d; }
report() { while IFS= read -r line; do printf '%s\t%s\t%s\n' "$place" "$1" "$(printf %s "$line" | base64 -w 0)"; done; }
for place in "$@"; do
  if [ "$place" = journal ]; then
    decode "$canary" | systemd-cat -t "$name"
    journalctl --sync
    journalctl --quiet --no-pager --all --output=cat |
      { decode "$patterns" | grep -aoF -f - /dev/fd/3; } 3<&0 | sort -u | report journal
    continue
  elif [ -d "$place" ]; then
    plant=$place/$name size=
    decode "$canary" >"$plant"
  elif [ -f "$place" ]; then
    plant=$place size=$(stat -c %s "$place")
    { echo; decode "$canary"; } >>"$plant"
  else
    continue
  fi
  decode "$patterns" | grep -rlaF -f - -- "$place" 2>/dev/null | while IFS= read -r file; do
    decode "$patterns" | grep -aohF -f - -- "$file" 2>/dev/null | sort -u | report "$file"
  done
  if [ "$size" ]; then truncate -s "$size" "$plant"; else rm "$plant"; fi
done
"""


def spellings(secret: str) -> set[str]:
    """A secret as it is, and as other layers write it: quoted, escaped, encoded for a URL, in base64 behind anything."""
    found = {secret, repr(secret)[1:-1], shlex.quote(secret)[1:-1], quote(secret, safe=""), quote_plus(secret)}
    found |= {secret.replace("'", "''"), secret.replace("\\", "\\\\"), secret.replace("\\", "\\\\").replace(":", "\\:")}
    for ascii_only in (True, False):
        once = json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        found |= {once, json.dumps(once, ensure_ascii=ascii_only)[1:-1]}
    for before in range(3):  # base64 takes three bytes at a time; what shares its group with a neighbour is cut off
        data = bytes(before) + secret.encode()
        found.add(base64.b64encode(data).decode()[(0, 2, 3)[before] :].rstrip("=")[: len(data) // 3 * 4 - (0, 2, 3)[before]])
    return {spelling for spelling in found if len(spelling) > 3}


def in_text(text: str, secrets: Iterable[str]) -> list[str]:
    """The secrets that a text has in it, in whatever spelling."""
    return [secret for secret in secrets if any(spelling in text for spelling in spellings(secret))]


def on_server(shell: Callable[[str], str], secrets: Iterable[str], *places: str) -> list[tuple[str, str]]:
    """Where secrets are on a server, as pairs of a file and a text.

    shell runs a script of the shell there as root and returns its output. A place is a directory, a file to which
    nothing is written meanwhile, or JOURNAL.
    """
    token = uuid.uuid4().hex[:16]
    canary = spellings(f"""{token}: canário '"\\%$ {token}""")
    wanted = {spelling for secret in secrets for spelling in spellings(secret)}
    assert wanted and places
    argv = [_lines(canary), _lines(canary | wanted), f"secret-search-{token}", *places]
    output = shell(f"set -- {shlex.join(argv)}\n{_SCRIPT}")
    seen: dict[str, set[str]] = {}
    leaks = []
    for line in output.splitlines():
        place, file, text = line.split("\t")
        found = base64.b64decode(text).decode("utf-8", "replace")
        if found in canary:
            seen.setdefault(place, set()).add(found)
        else:
            leaks.append((file, found))
    assert seen, f"the search is blind: none of {places} exists"
    for place, found_there in seen.items():
        assert found_there == canary, f"the search of {place} is blind for {canary - found_there}"
    return leaks


def _lines(texts: set[str]) -> str:
    """One text to a line, in base64 with other letters: every account sees the arguments of the search, and base64 it would recognise."""
    return base64.b64encode("".join(f"{text}\n" for text in sorted(texts)).encode()).decode().translate(_NEXT_LETTER)


def here(script: str) -> str:
    """The shell of this machine, to search the controller."""
    return subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    given = json.load(sys.stdin)
    assert given["secrets"] and given["text"]
    if found := in_text(given["text"], given["secrets"]):
        sys.exit(f"secrets are in the text, by their numbers: {[given['secrets'].index(secret) for secret in found]}")
