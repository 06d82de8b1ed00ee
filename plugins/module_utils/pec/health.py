# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a PEC answers, judged from outside by HTTP."""

from __future__ import annotations

import http.client
import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

_MAXIMUM_ANSWER = 1 << 20
_ESUS_STATUSES = (200, 401)


@dataclass(frozen=True)
class Health:
    """What the server answered. The statuses are HTTP codes, None when there was no answer; C(error) says why it is not healthy."""

    url: str
    reachable: bool
    root_status: int | None
    esus_status: int | None
    version: str | None
    error: str | None
    healthy: bool


@dataclass(frozen=True)
class _Answer:
    status: int | None
    body: str
    error: str | None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_arguments: object, **_options: object) -> None:
        return None


def probe(
    base_url: str = f"http://127.0.0.1:{beliefs.HTTP_PORT}", timeout: float = 5, verify: bool = True, ca_path: str | None = None
) -> Health:
    """Ask the server's three public addresses and judge; never raises for an answer, however bad, nor for none.

    timeout is in seconds and per request; verify checks the certificate of an https server, against the file ca_path when given.
    Proxies of the environment and redirections are not followed. Raises PecError when ca_path cannot be read.
    """
    opener = _opener(verify, ca_path)
    base = base_url.rstrip("/")
    root = _get(opener, base + beliefs.ROOT_PATH, timeout)
    if root.status is None:
        return Health(base, False, None, None, None, root.error, False)
    esus = _get(opener, base + beliefs.ESUS_PATH, timeout)
    info = _get(opener, base + beliefs.INFO_PATH, timeout)
    error = _complaint(beliefs.ROOT_PATH, root, (200,)) or _complaint(beliefs.ESUS_PATH, esus, _ESUS_STATUSES)
    return Health(base, True, root.status, esus.status, _version(info), error, error is None)


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
    """Probe until one of the server's addresses is healthy, C(seconds) have passed, or C(still_starting) says that nothing more will come.

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


def _opener(verify: bool, ca_path: str | None) -> urllib.request.OpenerDirector:
    try:
        context = ssl.create_default_context(cafile=ca_path)
    except OSError as error:
        raise PecError(f"cannot read the certificate authorities in {ca_path}: {error.strerror or error}") from None
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context), _NoRedirect())


def _get(opener: urllib.request.OpenerDirector, url: str, timeout: float) -> _Answer:
    try:
        with opener.open(url, timeout=timeout) as response:
            return _Answer(response.status, response.read(_MAXIMUM_ANSWER).decode("utf-8", "replace"), None)
    except urllib.error.HTTPError as error:
        with error:
            return _Answer(error.code, "", None)
    except urllib.error.URLError as error:
        return _Answer(None, "", f"{url}: {error.reason}")
    except (OSError, http.client.HTTPException, ValueError) as error:
        return _Answer(None, "", f"{url}: {str(error) or type(error).__name__}")


def _complaint(path: str, answer: _Answer, expected: tuple[int, ...]) -> str | None:
    if answer.status in expected:
        return None
    said = f"answered {answer.status}" if answer.status is not None else f"gave no answer ({answer.error})"
    return f"GET {path} {said}, expected {' or '.join(str(status) for status in expected)}; PEC's log says why"


def _version(info: _Answer) -> str | None:
    try:
        content = json.loads(info.body)
    except ValueError:
        return None
    version = content.get(beliefs.INFO_VERSION_KEY) if isinstance(content, dict) else None
    return version if isinstance(version, str) else None
