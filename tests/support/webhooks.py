"""Receivers of a head's events: a web server that notes what is posted, and how it is to answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from mnist_tune.serve.notify.notifier import notifying, outbox_for
from mnist_tune.serve.notify.receivers import receivers
from mnist_tune.storage.guarded import GuardedStorage, open_storage
from tests.support.waiting import wait_until

SECRET = "a-secret-that-nobody-may-see"
REDIRECTION = 302


@dataclass(frozen=True)
class Posted:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> Any:
        return json.loads(self.body)


class Webhook(ThreadingHTTPServer):
    """Notes what is posted to it, at a free port of 127.0.0.1."""

    daemon_threads = True
    status = 204
    hangs = False
    """Whether requests are answered only when the test is over."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.posted: list[Posted] = []
        """In the order in which they came, those too that were refused."""
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"

    @property
    def events(self) -> list[tuple[str, str]]:
        """Kind and study of each event that came."""
        return [(posted.event["event"], posted.event["study"]) for posted in list(self.posted)]

    def events_when(self, count: int) -> list[tuple[str, str]]:
        """Kind and study of each event, when so many have come."""
        self.wait_for(count)
        return self.events

    def wait_for(self, count: int) -> list[Posted]:
        """What has come, which is so many events."""
        wait_until(lambda: len(self.posted) >= count)
        assert len(self.posted) == count, self.events
        return list(self.posted)


class _Handler(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posted.append(Posted(self.path, dict(self.headers), body))
        if self.server.hangs:
            self.server.over.wait(60)
            return
        self.send_response(self.server.status)
        if self.server.status == REDIRECTION:
            self.send_header("Location", f"{self.server.url}/elsewhere")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def webhook() -> Iterator[Webhook]:
    """A web server that receives events."""
    with closing(_Closing()) as closed:
        yield closed.server


class _Closing:
    def __init__(self) -> None:
        self.server = Webhook()
        self._thread = threading.Thread(target=self.server.serve_forever, args=[0.05], daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.server.over.set()
        self.server.shutdown()
        self.server.server_close()


@contextmanager
def telling(storage: GuardedStorage, *named: str, secret: str | None = None) -> Iterator[list[str]]:
    """Tell these receivers of the events of a storage, as a head does; what it logs."""
    lines: list[str] = []
    told, url = receivers(named, secret), storage.engine.url
    with (
        outbox_for(url, told, lines.append) as outbox,
        notifying(open_storage(url), outbox, told, lines.append),
    ):
        yield lines


def after_a_look(storage: GuardedStorage, *named: str) -> None:
    """Have these receivers known to the storage's heads, of which one has looked at the studies."""
    from mnist_tune.serve.notify.outbox import outbox_file

    file = outbox_file(storage.engine.url)
    with telling(storage, *named):
        wait_until(file.is_file)


def script(folder: Path, text: str, name: str = "told.sh") -> str:
    """A script for the shell, in a folder with a space in its name; as it is written for `--notify`."""
    path = folder / "a folder" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return f"'{path}'"


def lines_of(file: Path, count: int) -> Sequence[str]:
    """The lines of a file that a command writes, when there are so many."""
    wait_until(lambda: file.is_file() and file.read_bytes().count(b"\n") >= count)
    return file.read_text("utf-8").splitlines()
