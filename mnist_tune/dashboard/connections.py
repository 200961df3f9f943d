"""Limits how many clients are connected at once, and how long each may take to ask."""

from __future__ import annotations

import resource
import socket
import threading
import time
from contextlib import suppress

MOST = 64
SHARE_OF_DESCRIPTORS = 4
"""Connections get at most this part of the descriptors: the database and files need some too."""
SECONDS_TO_ASK = 20.0
"""The time, in seconds, in which a whole request must arrive."""


class Connections:
    """The open connections, and which of them have not sent a request yet. Safe in threads.

    If there is no room, the oldest of these is closed: a browser asks at once, and only a client that wants
    to keep others out says nothing.
    """

    def __init__(self) -> None:
        may_open, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most = min(MOST, max(may_open // SHARE_OF_DESCRIPTORS, 4)) if may_open > 0 else MOST
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._silent: dict[socket.socket, float] = {}
        """The start on the monotonic clock of each connection without a request, oldest first."""

    def add(self, connection: socket.socket) -> bool:
        """Add a connection; returns False if there is no room."""
        with self._lock:
            if len(self._open) >= self._most:
                if not self._silent:
                    return False
                self._end(next(iter(self._silent)))
            self._open.add(connection)
            self._silent[connection] = time.monotonic()
            return True

    def has_asked(self, connection: socket.socket) -> bool:
        """Note that a connection's request has arrived; returns False if the connection was closed before."""
        with self._lock:
            return self._silent.pop(connection, None) is not None

    def remove(self, connection: socket.socket) -> None:
        """Note that a connection is closed."""
        with self._lock:
            self._open.discard(connection)
            self._silent.pop(connection, None)

    def end_silent(self) -> None:
        """Close the connections whose requests take too long."""
        with self._lock:
            too_long_ago = time.monotonic() - SECONDS_TO_ASK
            for connection in [each for each, since in self._silent.items() if since < too_long_ago]:
                self._end(connection)

    def _end(self, connection: socket.socket) -> None:
        del self._silent[connection]
        self._open.discard(connection)
        with suppress(OSError):  # it may have just ended; the thread that waits for it closes it
            connection.shutdown(socket.SHUT_RDWR)
