"""Bounds the connections of a head: how many there are, and how long each may take to ask."""

from __future__ import annotations

import asyncio
import resource
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

KEPT_BACK = 128
"""Descriptors for the database, the tokens, the log and the rest."""
MOST = 16_384
SECONDS_TO_ASK = 30.0
"""Within them a client's headers arrive; after an answer it may be silent for as long before it asks anew."""
LONGEST_HEAD = 32_768
"""The bytes that the address and the headers of a request may have."""
MOST_HEADERS = 100


def most_connections() -> int:
    """Let this process open as many files as it may; returns how many connections fit, each with a file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # some systems have a lower limit that they do not tell
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return MOST if soft == resource.RLIM_INFINITY else min(MOST, max(8, (soft - KEPT_BACK) // 2))


class Connections:
    """The open connections, and since when each has not asked anything. For one thread, the loop's.

    If there is no room, the one that has been silent for longest makes some: a worker asks at once, or has
    asked before and connects again, and only who wants to keep others out says nothing.
    """

    def __init__(self, most: int, seconds: float = SECONDS_TO_ASK) -> None:
        self._most = most
        self.at_once = max(1, most // 32)
        """How many are accepted in one turn of the loop, which hears of an end some turns later."""
        self.seconds = seconds
        self._open: dict[int, socket.socket] = {}
        self._silent: dict[int, float] = {}
        """The time on the monotonic clock by descriptor, oldest first."""

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: socket.socket) -> bool:
        """Add a connection; returns False if there is no room."""
        if len(self._open) >= self._most:
            return False
        if len(self._open) >= self._most - self._most // 4 and self._silent:
            self._end(next(iter(self._silent)))  # its descriptor is free when the loop hears of its end
        self._open[connection.fileno()] = connection
        self.is_silent(connection.fileno())
        return True

    def remove(self, descriptor: int) -> None:
        """Note that a connection is closed."""
        self._open.pop(descriptor, None)
        self._silent.pop(descriptor, None)

    def has_asked(self, descriptor: int) -> None:
        """Note that the headers of a request have arrived."""
        self._silent.pop(descriptor, None)

    def is_silent(self, descriptor: int) -> None:
        """Note that a request has been answered, and none follows yet."""
        if descriptor in self._open:
            self._silent[descriptor] = time.monotonic()

    def end_silent(self) -> None:
        """End the connections that have been silent for too long."""
        long_ago = time.monotonic() - self.seconds
        for descriptor in [each for each, since in self._silent.items() if since <= long_ago]:
            self._end(descriptor)

    async def keep_watch(self) -> None:
        """End silent connections for as long as the head runs."""
        while True:
            await asyncio.sleep(min(1.0, self.seconds / 4 + 0.05))
            self.end_silent()

    def _end(self, descriptor: int) -> None:
        del self._silent[descriptor]
        with suppress(OSError):  # it may have just ended; the loop hears of it and closes it
            self._open[descriptor].shutdown(socket.SHUT_RDWR)


class _Connection(socket.socket):
    """A connection that says when it is closed."""

    def __init__(self, accepted: socket.socket, on_close: Callable[[int], None]) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, accepted.detach())
        self.setblocking(False)
        self._on_close = on_close

    def close(self) -> None:
        if (descriptor := self.fileno()) != -1:
            self._on_close(descriptor)
        super().close()


class Listener(socket.socket):
    """A listening socket, which counts what it accepts: also what does not get as far as TLS."""

    def __init__(self, listener: socket.socket, connections: Connections) -> None:
        super().__init__(listener.family, listener.type, listener.proto, listener.detach())
        self._connections = connections

    def listen(self, backlog: int = 0) -> None:
        """Do nothing: it listens already, with a longer queue than asyncio asks for."""

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept a connection. Raises ConnectionAbortedError if there is no room for it."""
        accepted, address = super().accept()
        connection = _Connection(accepted, self._connections.remove)
        if not self._connections.add(connection):
            connection.close()
            raise ConnectionAbortedError
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # ends one that takes nothing of what it has asked for
            milliseconds = round(self._connections.seconds * 2000)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
        return connection, address


def protocol(connections: Connections) -> type[asyncio.Protocol]:
    """Uvicorn's protocol of HTTP, which tells `connections` who has asked, and bounds the headers."""

    class Bounded(HttpToolsProtocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            self.descriptor = transport.get_extra_info("socket").fileno()
            self.heads = self.unread = self.length = 0
            self.is_in_head = True
            super().connection_made(transport)

        def data_received(self, data: bytes) -> None:
            began, heads = self.is_in_head, self.heads
            super().data_received(data)
            still = began and self.is_in_head and heads == self.heads
            self.unread = self.unread + len(data) if still else 0
            if self.unread > LONGEST_HEAD and not self.transport.is_closing():
                self.send_400_response("The headers are too long.")

        def on_message_begin(self) -> None:
            self.length, self.is_in_head = 0, True
            super().on_message_begin()

        def on_url(self, url: bytes) -> None:
            self.count(len(url))
            super().on_url(url)

        def on_header(self, name: bytes, value: bytes) -> None:
            self.count(len(name) + len(value))
            super().on_header(name, value)
            if len(self.headers) > MOST_HEADERS:
                raise ValueError("there are too many headers")  # it is answered with status 400

        def on_headers_complete(self) -> None:
            self.heads, self.is_in_head = self.heads + 1, False
            connections.has_asked(self.descriptor)
            super().on_headers_complete()

        def on_message_complete(self) -> None:
            self.is_in_head = True
            super().on_message_complete()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if self.cycle.response_complete and not self.transport.is_closing():  # no other was sent with it
                connections.is_silent(self.descriptor)

        def count(self, size: int) -> None:
            self.length += size
            if self.length > LONGEST_HEAD:
                raise ValueError("the headers are too long")

    return Bounded
