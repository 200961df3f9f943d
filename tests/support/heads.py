"""Heads that run in this process, for tests, and what clients may send to them."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from starlette.routing import Route

from mnist_tune.files.locations import Folders
from mnist_tune.serve.address import HeadAddress
from mnist_tune.serve.app import app
from mnist_tune.serve.dashboard_port import DashboardPort
from mnist_tune.serve.desk import Desk
from mnist_tune.serve.gate import Gate
from mnist_tune.serve.opening import Encryption, Opening, door, opened, second_listener
from mnist_tune.serve.roles import Role
from mnist_tune.serve.room import Room
from mnist_tune.serve.server import Server
from mnist_tune.serve.tokens import Tokens
from mnist_tune.serve.writer import Writer
from mnist_tune.service.direct import DirectStudies
from mnist_tune.storage.guarded import GuardedStorage
from tests.support.studies import folders

NAMES = "/api/v1/people/study_names"
"""Where the names of the studies are told to whoever may look, who sends this:"""
ASKS = b"{}"


@dataclass
class RunningHead:
    """A head, and what it has logged."""

    opening: Opening
    server: Server
    folder: Path
    lines: list[str] = field(default_factory=list)
    tokens: dict[Role, str] = field(default_factory=dict)
    dashboard_port: int | None = None

    @property
    def address(self) -> HeadAddress:
        return self.opening.address

    @property
    def port(self) -> int:
        return urlsplit(self.address.url).port or 0

    def client(self, role: Role | None = None, **options: Any) -> httpx.Client:
        """A client with the token of this role, if any."""
        headers = {} if role is None else {"Authorization": f"Bearer {self.tokens[role]}"}
        return httpx.Client(base_url=self.address.url, headers=headers, timeout=120, **options)

    def dashboard(self, role: Role | None = None) -> httpx.Client:
        """A client of its dashboard, with the token of this role, if any; it waits while this starts."""
        assert self.dashboard_port is not None
        headers = {} if role is None else {"Authorization": f"Bearer {self.tokens[role]}"}
        return httpx.Client(base_url=self.address.at_port(self.dashboard_port), headers=headers, timeout=90)

    def connect(self) -> socket.socket:
        """A connection to it."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def answer_to(self, sent: bytes) -> bytes:
        """All that it answers to these bytes until it closes the connection, or is silent for a moment."""
        with self.connect() as connection:
            with suppress(OSError):  # it need not take all of them
                connection.sendall(sent)
            return received(connection, 1.0)

    def asks(self, headers: str) -> bytes:
        """A whole request for the names of the studies, with these headers beside its own."""
        own = f"Content-Length: {len(ASKS)}\r\nConnection: close\r\n\r\n"
        return f"POST {NAMES} HTTP/1.1\r\n{headers}{own}".encode() + ASKS

    def is_well(self) -> bool:
        """Whether it goes on answering."""
        with self.client() as client:
            return client.get("/healthz").text == "ok\n"


@contextmanager
def running(
    storage: GuardedStorage,
    folder: Path,
    places: Folders | None = None,
    *,
    roles: tuple[Role, ...] = (),
    room: Room | None = None,
    encryption: Encryption | None = None,
    host: str = "127.0.0.1",
    dashboard: bool = False,
) -> Iterator[RunningHead]:
    """A head over this storage that keeps its files in `folder`, with a token for each of these roles."""
    lines: list[str] = []
    places = places or folders(folder)
    url = storage.engine.url
    tokens = Tokens(folder / "head.tokens")
    made = {role: tokens.add(f"a-{role}", role) for role in roles}
    its_door = door(url, host, 0, tokens.path, encryption or Encryption())
    opening = opened(url, its_door, may_show_tokens=False)
    gate = Gate(opening.tokens, lines.append, without_tokens=True)
    room = room or Room([each.path for each in places], free_disk=0)
    shown = DashboardPort(second_listener(host, 0, 0), url, places, lines.append) if dashboard else None
    server = Server(storage, places, gate, room, lines.append, shown)
    with opening.listener as listener:
        thread = threading.Thread(target=server.run, args=[listener, opening.certificate])
        thread.start()
        try:
            yield RunningHead(opening, server, folder, lines, made, shown.port if shown else None)
        finally:
            server.stop()
            thread.join()


@contextmanager
def running_head(
    storage: GuardedStorage, folder: Path, places: Folders | None = None
) -> Iterator[HeadAddress]:
    """The address of a head over this storage that keeps its files in `folder`."""
    with running(storage, folder, places) as head:
        yield head.address


def routes_of(storage: GuardedStorage, folder: Path) -> list[tuple[str, str]]:
    """The methods and paths of a head's application, as it has them."""
    gate = Gate(Tokens(folder / "no.tokens"), print, without_tokens=False)
    places = folders(folder)
    desk, people = Desk(storage, places, Writer(storage)), DirectStudies(storage, lambda: places)
    application = app(desk, people, Room([]), gate, print)
    assert all(isinstance(route, Route) for route in application.routes), "a kind that is not enumerated here"
    found = [route for route in application.routes if isinstance(route, Route)]
    return [(method, route.path) for route in found for method in sorted(route.methods or [])]


def received(connection: socket.socket, seconds: float) -> bytes:
    """What comes until the other side closes the connection, or is silent for so long."""
    connection.settimeout(seconds)
    content = b""
    with suppress(OSError):
        while piece := connection.recv(1 << 16):
            content += piece
    return content


def trickled(connection: socket.socket, piece: bytes) -> bytes:
    """What is answered to who sends a piece ten times a second, until the other side closes or answers."""
    connection.settimeout(0.1)
    for _ in range(200):
        with suppress(TimeoutError):
            try:
                return connection.recv(1 << 16)
            except ConnectionError:
                return b""
        with suppress(ConnectionError):
            connection.sendall(piece)
    raise AssertionError("nobody has stopped it")


def begun(head: RunningHead, method: str, address: str, role: Role = Role.WORKER) -> bytes:
    """The beginning of a request."""
    token = head.tokens[role]
    return f"{method} {address} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n".encode()


def statuses(answer: bytes) -> list[int]:
    """The status of each answer that is in these bytes."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


def said(answer: httpx.Response) -> str:
    """The one line that an answer which tells of a failure says."""
    told = json.loads(answer.content)
    assert set(told) == {"kind", "message"}
    assert "\n" not in told["message"]
    return str(told["message"])
