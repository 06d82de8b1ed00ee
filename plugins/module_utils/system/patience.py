# SPDX-License-Identifier: GPL-3.0-or-later
"""A time for a whole conversation, whatever the other end does with it. Private to the collection."""

from __future__ import annotations

import contextlib
import os
import socket
import threading


class Patience:
    """Ends a connection so many seconds after C(watch), unless the C(with) block has ended before.

    A socket's own timeout is for one reading, so a server that sends a byte now and then, or lines without end, would be heard for ever.
    C(over): the connection was ended. What reads it then sees its end, as if the server had closed it.
    """

    def __init__(self, seconds: float) -> None:
        self.over = False
        self._seconds = seconds
        self._timer: threading.Timer | None = None
        self._link: socket.socket | None = None

    def __enter__(self) -> Patience:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._timer and self._link:
            self._timer.cancel()
            self._timer.join()
            self._link.close()

    def watch(self, link: socket.socket) -> None:
        """Begin to count. It may be wrapped into TLS afterwards."""
        self._link = socket.socket(fileno=os.dup(link.fileno()))
        self._timer = threading.Timer(self._seconds, self._end)
        self._timer.daemon = True
        self._timer.start()

    def _end(self) -> None:
        self.over = True
        with contextlib.suppress(OSError):
            if self._link:
                self._link.shutdown(socket.SHUT_RDWR)
