# SPDX-License-Identifier: GPL-3.0-or-later
"""Downloads what somebody sent, once, into a directory of root's. Private to the collection.

Names in the directory are made of a hash of the link, never of what a server says: KEY.part while it arrives, KEY when it is complete, and
KEY.known with what is known of it; KEY.json would be the manifest of a dump. A link is a secret, so it is in none of them.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from html.parser import HTMLParser
from http.client import responses
from typing import BinaryIO
from urllib.parse import urlencode, urlsplit

from ansible_collections.esus.pec.plugins.module_utils.archive import reading
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.received import messages, share_links
from ansible_collections.esus.pec.plugins.module_utils.received.conversation import HEAD, Answer, Conversation
from ansible_collections.esus.pec.plugins.module_utils.received.messages import InterruptedDownloadError, NotReceivedError
from ansible_collections.esus.pec.plugins.module_utils.received.share_links import Link
from ansible_collections.esus.pec.plugins.module_utils.system import files, host
from ansible_collections.esus.pec.plugins.module_utils.system.directory import opened

DIRECTORY = "/var/lib/esus-pec/received"
_ATTEMPTS = 3  # without progress in between
_PROGRESS = 1 << 20
_LOOK_AT_DISK = 64 << 20
_PART, _NO_SUCH_RANGE, _TOO_MANY = 206, 416, (429, 509)
_WITH_QUOTA = ("google.com", "dropbox.com", "dropboxusercontent.com")
_QUOTA = re.compile(rb"quota|too many users|muitos usu", re.IGNORECASE)
_LOGIN_HOSTS = ("accounts.google.com", "login.microsoftonline.com", "login.live.com")
_LOGIN = re.compile(rb"type=[\"']?password|ServiceLogin|need access|precisa (?:ter|de) acesso", re.IGNORECASE)
_FORM_FIELDS = ("id", "export", "confirm", "uuid", "at", "authuser", "resourcekey")


@dataclass(frozen=True)
class Desired:
    """C(sha256) and C(most_bytes) are empty or 0 where anything goes; C(stall) and C(timeout) are in seconds."""

    url: str
    directory: str = DIRECTORY
    sha256: str = ""
    most_bytes: int = 0
    allow_http: bool = False
    stall: float = 60
    timeout: float = 86400

    @property
    def key(self) -> str:
        """The name of the file."""
        return hashlib.sha256(self.url.strip().encode()).hexdigest()[:32]

    @property
    def path(self) -> str:
        """Where the file is once it is complete."""
        return os.path.join(self.directory, self.key)


@dataclass(frozen=True)
class Record:
    """What is known of a file: its size if the server told it, the mark by which the server knows it again, its SHA-256 once complete."""

    bytes: int | None = None
    mark: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class Current:
    """C(complete): the file is there. C(part): how many bytes of it are there otherwise."""

    record: Record
    complete: bool = False
    part: int = 0


@dataclass(frozen=True)
class Received:
    """C(action) is none, download or resume; C(bytes) is None in check mode if the server does not tell it."""

    action: str
    host: str
    bytes: int | None
    sha256: str


def read_current(desired: Desired) -> Current:
    """Return what is there already. A damaged record counts as none."""
    try:
        record = Record(**json.loads(files.read_bytes(f"{desired.path}.known")))
    except (PecError, ValueError, TypeError):
        return Current(Record())
    if record.sha256 and os.path.isfile(desired.path) and os.path.getsize(desired.path) == record.bytes:
        return Current(record, complete=True)
    part = f"{desired.path}.part"
    return Current(record, part=os.path.getsize(part) if record.mark and os.path.isfile(part) else 0)


def plan(current: Current, desired: Desired) -> str:
    """Return what to do: none, download or resume. A complete file is downloaded again if another SHA-256 is desired by now."""
    if current.complete and desired.sha256 in ("", current.record.sha256):
        return "none"
    return "resume" if current.part and not current.complete else "download"


def receive(desired: Desired, *, check: bool = False) -> Received:
    """Have the file of the link in the directory. With check only its first bytes are asked for. Raises PecError when it cannot be had."""
    link = share_links.direct(desired.url, allow_http=desired.allow_http)
    if not check:
        files.make_private(desired.directory)
    current = read_current(desired)
    action = plan(current, desired)
    if action == "none":
        return Received(action, link.host, current.record.bytes, current.record.sha256)
    conversation = Conversation(allow_http=desired.allow_http, stall=desired.stall, timeout=desired.timeout)
    if check:
        with _begin(conversation, link, {"Range": f"bytes=0-{HEAD - 1}"}) as answer:
            total = _total(answer)
            require_room(desired, total, current.part)
        return Received(action, link.host, total, "")
    with opened_part(desired) as part:
        record = _download(desired, conversation, link, part, replace(current.record, sha256="") if action == "resume" else Record())
    return Received(action, link.host, record.bytes, record.sha256)


def forget(desired: Desired, *, check: bool = False) -> bool:
    """Remove the file, or what arrived of it, and its record. Return whether there was any."""
    found = [path for path in (desired.path, f"{desired.path}.part", f"{desired.path}.known") if os.path.lexists(path)]
    for path in found if not check else ():
        files.unlink(path)
    return bool(found)


@contextmanager
def opened_part(desired: Desired) -> Iterator[BinaryIO]:
    """Open the unfinished file for this run alone."""
    path = f"{desired.path}.part"
    try:
        with opened(desired.directory) as here:
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            stream = os.fdopen(os.open(os.path.basename(path), flags, 0o600, dir_fd=here.descriptor), "r+b")
    except OSError as error:
        raise PecError(files.cannot("write", path, error)) from None
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            alone = os.path.samestat(os.fstat(stream.fileno()), os.stat(path))
        except (BlockingIOError, FileNotFoundError):
            alone = False
        if not alone:  # it may have been renamed before it was locked
            raise PecError(f"another run downloads the same link to {path}; wait until it ends, then run again")
        yield stream


def _download(desired: Desired, conversation: Conversation, link: Link, part: BinaryIO, record: Record) -> Record:
    """Fill the file, however often the connection ends, as long as something arrives; then give it its name."""
    left = _ATTEMPTS
    if not record.mark:
        part.truncate(0)
    while True:
        before = os.fstat(part.fileno()).st_size
        try:
            record, digest = _attempt(desired, conversation, link, part, record)
            break
        except InterruptedDownloadError:
            record = read_current(desired).record
            left = _ATTEMPTS if os.fstat(part.fileno()).st_size - before >= _PROGRESS else left - 1
            if not left:
                raise
    if desired.sha256 not in ("", digest):
        part.truncate(0)
        raise NotReceivedError(f"the file from {link.host} has the SHA-256 {digest}, not {desired.sha256}", messages.OTHER_FILE)
    return completed(desired, part, record, digest)


def completed(desired: Desired, part: BinaryIO, record: Record, digest: str) -> Record:
    """Give the unfinished file its name, and record what is known of it now."""
    os.fsync(part.fileno())
    record = replace(record, bytes=os.fstat(part.fileno()).st_size, sha256=digest)
    files.rename(f"{desired.path}.part", desired.path)
    write(desired, record)
    return record


def _attempt(desired: Desired, conversation: Conversation, link: Link, part: BinaryIO, record: Record) -> tuple[Record, str]:
    digest, offset = hashlib.sha256(), 0
    part.seek(0)
    if record.mark:
        for data in iter(lambda: part.read(1 << 20), b""):
            digest.update(data)
        offset = part.tell()
    with _begin(conversation, link, {"Range": f"bytes={offset}-", "If-Range": record.mark} if offset else {}) as answer:
        mark = _mark(answer)
        if not answer.headers.get("Content-Range", "").startswith(f"bytes {offset}-") or mark not in ("", record.mark):
            # From the beginning: the file was replaced, or the server does not resume.
            digest, offset = hashlib.sha256(), 0
            part.seek(0)
            part.truncate(0)
        elif offset:
            mark = record.mark
        record = Record(_total(answer), mark)
        write(desired, record)
        if answer.status == _NO_SUCH_RANGE or (answer.status == _PART and not offset):
            raise InterruptedDownloadError(f"{answer.host} does not continue the download where it ended", messages.INCOMPLETE_FILE)
        require_room(desired, record.bytes, offset)
        _fill(desired, answer, part, digest.update, record.bytes)
    return record, digest.hexdigest()


def _fill(desired: Desired, answer: Answer, part: BinaryIO, update: Callable[[bytes], object], total: int | None) -> None:
    done = looked = part.tell()
    try:
        try:
            for data in iter(answer.read, b""):
                part.write(data)
                update(data)
                done += len(data)
                too_many = 0 < desired.most_bytes < done
                if too_many:
                    part.truncate(0)
                if too_many or done - looked >= _LOOK_AT_DISK:
                    require_room(desired, None, done)
                    looked = done
        finally:
            part.flush()
    except OSError as error:
        raise PecError(files.cannot("write", f"{desired.path}.part", error)) from None
    if total is not None and done != total:
        raise InterruptedDownloadError(f"{answer.host} sent {done} of {total} bytes", messages.INCOMPLETE_FILE)


def require_room(desired: Desired, total: int | None, done: int) -> None:
    """Raise PecError if the file is larger than it may be, or than the disk has room for; C(done) of its bytes are there."""
    size = max(total or 0, done)
    if desired.most_bytes and size > desired.most_bytes:
        least = "at least " if total is None else ""
        allowed = f"more than max_bytes allows ({desired.most_bytes})"
        raise PecError(f"the file has {least}{size} bytes, {allowed}; raise max_bytes if it is the right one")
    disk = host.disk_usage(desired.directory)
    if size - done > disk.spare_bytes or disk.spare_bytes < 0:
        missing = f"the file needs {host.describe_size(size - done)} more, and " if size > done else ""
        left = f"only {host.describe_size(disk.free_bytes)} are free in {desired.directory}, of which some must stay free"
        raise PecError(f"{missing}{left}; make room there, or set directory to another disk")


def _begin(conversation: Conversation, link: Link, headers: Mapping[str, str]) -> Answer:
    """Return the answer that begins as a dump does, from the first address of the link that gives one."""
    for address in link.addresses[:-1]:
        with suppress(PecError):
            return _file_at(conversation, address, headers)
    return _file_at(conversation, link.addresses[-1], headers)


def _file_at(conversation: Conversation, address: str, headers: Mapping[str, str]) -> Answer:
    """Return the answer with the file, after the form of Google's warning if there is one."""
    with ExitStack() as stack:
        answer = stack.enter_context(conversation.get(address, headers))
        following = _judge(answer, resumes="If-Range" in headers)
        if following:
            answer = stack.enter_context(conversation.get(following, headers))
            if _judge(answer, resumes="If-Range" in headers):
                raise NotReceivedError(f"{answer.host} warns again and again, and sends no file", messages.PAGE)
        stack.pop_all()
        return answer


def _judge(answer: Answer, *, resumes: bool) -> str | None:
    """Return None for an answer with a dump, or the address of Google's form. Raises PecError for anything else."""
    if resumes and answer.status in (_PART, _NO_SUCH_RANGE):
        return None
    if answer.status == _NO_SUCH_RANGE:
        raise NotReceivedError(f"the file at {answer.host} is empty", messages.EMPTY)
    head = answer.read_head()
    popular = answer.status in _TOO_MANY or (answer.host.endswith(_WITH_QUOTA) and _QUOTA.search(head))
    if answer.status not in (200, _PART):
        raise _refused(answer, popular=bool(popular))
    if not head:
        raise NotReceivedError(f"the file at {answer.host} is empty", messages.EMPTY)
    if not reading.is_page(head):
        try:
            reading.require_dump(f"the file from {answer.host}", head)
        except PecError as error:
            raise NotReceivedError(str(error), messages.NO_DUMP) from None
        return None
    form = _Form(head.decode("utf-8", "replace")).address if answer.host in share_links.GOOGLE else None
    if form:
        return form
    if popular:
        raise NotReceivedError(f"{answer.host} refuses the download because there were too many", messages.QUOTA)
    if answer.host in _LOGIN_HOSTS or _LOGIN.search(head):
        raise NotReceivedError(f"{answer.host} asks for a login instead of sending the file", messages.ACCESS)
    raise NotReceivedError(f"{answer.host} sends a web page instead of the file", messages.PAGE)


def _refused(answer: Answer, *, popular: bool) -> PecError:
    what = f"{answer.host} answers with {answer.status} ({responses.get(answer.status, 'unknown')})"
    if popular:
        return NotReceivedError(f"{what}, because there were too many downloads", messages.QUOTA)
    if answer.status in (404, 410) or (answer.status in (400, 403) and b"expired" in answer.head.lower()):
        return NotReceivedError(what, messages.MISSING)
    if answer.status in (401, 403):
        return NotReceivedError(what, messages.ACCESS)
    if answer.status >= 500:
        return PecError(f"{what}; run again later")
    return NotReceivedError(what, messages.INCOMPLETE)


class _Form(HTMLParser):
    """The form of Google's page about a file that is too large to scan for viruses; C(address) is None if there is none."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self._action = ""
        self._fields: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form" and not self._action:
            self._action = given.get("action", "")
        elif tag == "input" and self._action and given.get("name") in _FORM_FIELDS:
            self._fields[given["name"]] = given.get("value", "")

    @property
    def address(self) -> str | None:
        """Where the form leads, if that is a host of Google Drive's."""
        try:
            parts = urlsplit(self._action)
            known = parts.scheme == "https" and parts.netloc in share_links.GOOGLE
        except ValueError:
            return None
        if not known or "confirm" not in self._fields:
            return None
        return parts._replace(query=urlencode(self._fields), fragment="").geturl()


def _total(answer: Answer) -> int | None:
    part = answer.headers.get("Content-Range", "").rpartition("/")[2]
    told = part if answer.status == _PART else answer.headers.get("Content-Length", "")
    return int(told) if told.isascii() and told.isdigit() else None


def _mark(answer: Answer) -> str:
    """What If-Range accepts: a strong ETag, else the time of the last change."""
    etag = answer.headers.get("ETag", "")
    return etag if etag.startswith('"') else answer.headers.get("Last-Modified", "")


def write(desired: Desired, record: Record) -> None:
    """Record what is known of the file."""
    files.write_atomic(f"{desired.path}.known", (json.dumps(asdict(record)) + "\n").encode(), mode=0o600)
