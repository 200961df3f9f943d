"""How many clients may be connected at once, and how long one may take to say what it wants."""

from __future__ import annotations

import resource
import socket
import threading
import time
from contextlib import suppress

MOST = 64
SHARE_OF_DESCRIPTORS = 4
"""Connections have at most this part of what the process may open: the database and files need some too."""
SECONDS_TO_ASK = 20.0
"""In which a request must have come whole."""


class Connections:
    """The connections that are open; those come first that have not asked for anything yet, oldest first.

    Where there is no room, the oldest of them has to go: a browser asks at once, only what wants to keep
    others out says nothing. Safe in threads.
    """

    def __init__(self) -> None:
        may_open, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most = min(MOST, max(may_open // SHARE_OF_DESCRIPTORS, 4)) if may_open > 0 else MOST
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._silent: dict[socket.socket, float] = {}
        """Since when, on the monotonic clock."""

    def add(self, connection: socket.socket) -> bool:
        """Take one more in; whether there is room."""
        with self._lock:
            if len(self._open) >= self._most:
                if not self._silent:
                    return False
                self._end(next(iter(self._silent)))
            self._open.add(connection)
            self._silent[connection] = time.monotonic()
            return True

    def has_asked(self, connection: socket.socket) -> bool:
        """Its request has come whole; whether it was still waited for."""
        with self._lock:
            return self._silent.pop(connection, None) is not None

    def remove(self, connection: socket.socket) -> None:
        """It is closed."""
        with self._lock:
            self._open.discard(connection)
            self._silent.pop(connection, None)

    def end_silent(self) -> None:
        """End those that have taken too long."""
        with self._lock:
            too_long_ago = time.monotonic() - SECONDS_TO_ASK
            for connection in [each for each, since in self._silent.items() if since < too_long_ago]:
                self._end(connection)

    def _end(self, connection: socket.socket) -> None:
        del self._silent[connection]
        self._open.discard(connection)
        with suppress(OSError):  # it may just have ended; its thread, which waits for it, closes it
            connection.shutdown(socket.SHUT_RDWR)
