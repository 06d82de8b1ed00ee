# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges from outside, by HTTP, if a PEC is healthy. Private to the collection."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.system.http import Answer, HttpClient, UnansweredError

_ESUS_STATUSES = (200, 401)


@dataclass(frozen=True)
class Health:
    """What the server answered. The statuses are HTTP codes, None without an answer; C(error) says why it is not healthy."""

    url: str
    reachable: bool
    root_status: int | None
    esus_status: int | None
    version: str | None
    error: str | None
    healthy: bool


def probe(
    base_url: str = f"http://127.0.0.1:{beliefs.HTTP_PORT}", timeout: float = 5, verify: bool = True, ca_path: str | None = None
) -> Health:
    """Ask the server's three public addresses and judge; never raises for an answer, however bad, nor for none.

    timeout is in seconds and per request; verify checks the certificate of an https server, against the file ca_path if given.
    Raises PecError if ca_path cannot be read.
    """
    client = HttpClient(timeout, verify=verify, ca_path=ca_path)
    base = base_url.rstrip("/")
    root = _get(client, base + beliefs.ROOT_PATH)
    if isinstance(root, UnansweredError):
        return Health(base, False, None, None, None, str(root), False)
    esus = _get(client, base + beliefs.ESUS_PATH)
    info = _get(client, base + beliefs.INFO_PATH)
    error = _complaint(beliefs.ROOT_PATH, root, (200,)) or _complaint(beliefs.ESUS_PATH, esus, _ESUS_STATUSES)
    esus_status = esus.status if isinstance(esus, Answer) else None
    return Health(base, True, root.status, esus_status, _version(info), error, error is None)


def wait(
    urls: Sequence[str],
    *,
    seconds: float,
    interval: float = 2,
    still_starting: Callable[[], bool] | None = None,
    timeout: float = 5,
    verify: bool = True,
    ca_path: str | None = None,
) -> Health:
    """Probe until one of the server's addresses is healthy, C(seconds) have passed, or C(still_starting) returns False.

    Returns the best of the last answers, healthy or not; interval is the pause between probes in seconds.
    """
    deadline = time.monotonic() + seconds
    while True:
        starting = still_starting is None or still_starting()
        health = _probe_each(urls, timeout, verify, ca_path)
        if health.healthy or not starting or time.monotonic() + interval > deadline:
            return health
        time.sleep(interval)


def _probe_each(urls: Sequence[str], timeout: float, verify: bool, ca_path: str | None) -> Health:
    """The first healthy answer, else the first answer, else the silence of the first address."""
    answers: list[Health] = []
    for url in urls:
        answers.append(probe(url, timeout, verify, ca_path))
        if answers[-1].healthy:
            return answers[-1]
    return next((answer for answer in answers if answer.reachable), answers[0])


def _get(client: HttpClient, url: str) -> Answer | UnansweredError:
    try:
        return client.ask(url)
    except UnansweredError as error:
        return error


def _complaint(path: str, answer: Answer | UnansweredError, expected: tuple[int, ...]) -> str | None:
    if isinstance(answer, Answer) and answer.status in expected:
        return None
    said = f"answered {answer.status}" if isinstance(answer, Answer) else f"gave no answer ({answer})"
    return f"GET {path} {said}, expected {' or '.join(str(status) for status in expected)}; look into PEC's log"


def _version(info: Answer | UnansweredError) -> str | None:
    try:
        content = json.loads(info.text) if isinstance(info, Answer) and info.status == 200 else None
    except (ValueError, RecursionError):  # nested too deep
        return None
    version = content.get(beliefs.INFO_VERSION_KEY) if isinstance(content, dict) else None
    return version if isinstance(version, str) else None
