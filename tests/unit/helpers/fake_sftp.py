# SPDX-License-Identifier: GPL-3.0-or-later
"""A server of SFTP on stdin and stdout that serves this machine's files, and may misbehave: fake_sftp.py [FAULT]."""

from __future__ import annotations

import os
import struct
import sys
from typing import Any

FAULT = sys.argv[1] if len(sys.argv) > 1 else ""
HANDLES: dict[bytes, Any] = {}


def take(size: int) -> bytes:
    data = sys.stdin.buffer.read(size)
    if len(data) < size:
        sys.exit(0)
    return data


def send(kind: int, body: bytes) -> None:
    sys.stdout.buffer.write(struct.pack(">IB", len(body) + 1, kind) + body)
    sys.stdout.buffer.flush()


def text(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def attributes(path: bytes) -> bytes:
    status = os.lstat(path)
    times = (int(status.st_atime), int(status.st_mtime))
    extended = struct.pack(">I", 1) + text(b"x") + text(b"y")
    return struct.pack(">IQIIIII", 0x8000000F, status.st_size, 7, 7, status.st_mode, *times) + extended


def status(number: bytes, code: int) -> None:
    send(101, number + struct.pack(">I", code) + text(b"") + text(b""))


def handle(number: bytes, value: Any) -> None:
    name = str(len(HANDLES)).encode()
    HANDLES[name] = value
    send(102, number + text(name))


def string(body: bytes) -> tuple[bytes, bytes]:
    (length,) = struct.unpack(">I", body[:4])
    return body[4 : 4 + length], body[4 + length :]


def answer(kind: int, number: bytes, body: bytes) -> None:
    name, rest = string(body)
    if kind == 7:
        send(105, number + attributes(name))
    elif kind == 11 and FAULT == "directories" and os.path.basename(name).startswith(b"d"):
        handle(number, (name, []))
    elif kind == 11:
        handle(number, (name, [b".", b"..", *sorted(os.listdir(name))]))
    elif kind == 12:
        directory, names = HANDLES[name]
        if FAULT == "no names":
            send(104, number + struct.pack(">I", 0))
            return
        if FAULT == "only dots" or (FAULT == "directories" and names):
            each = b"." if FAULT == "only dots" else b"d"
            send(104, number + struct.pack(">I", 1) + text(each) + text(b"") + attributes(b"/"))
            return
        if not names:
            status(number, 1)
            return
        each = names.pop(0)
        shown = b"../up" if FAULT == "up" and each not in (b".", b"..") else each
        send(104, number + struct.pack(">I", 1) + text(shown) + text(b"long name") + attributes(os.path.join(directory, each)))
    elif kind == 3:
        handle(number, os.fdopen(os.open(name, os.O_RDONLY), "rb"))
    elif kind == 5:
        offset, length = struct.unpack(">QI", rest)
        stream = HANDLES[name]
        stream.seek(offset)
        data = b"x" * length if FAULT == "endless" else stream.read(min(length, 1000) if FAULT == "short" else length)
        send(103, number + text(data)) if data else status(number, 1)
    else:
        status(number, 0)


take(int(struct.unpack(">I", take(4))[0]))
if FAULT == "says no":
    sys.exit("Permission denied (publickey).")
if FAULT == "page":
    sys.stdout.write("Welcome to this server")
    sys.exit(0)
send(2, struct.pack(">I", 3))
while True:
    (size,) = struct.unpack(">I", take(4))
    packet = take(size)
    if FAULT == "cut":
        sys.stdout.buffer.write(b"\0\0")
        sys.exit(0)
    asked = bytes(8) if FAULT == "another number" else packet[1:5]
    try:
        answer(packet[0], asked[:4], packet[5:])
    except FileNotFoundError:
        status(asked, 2)
    except PermissionError:
        status(asked, 3)
    except OSError:
        status(asked, 4)
