"""The dashboard's server before clients that are no browser: silent, malformed, half, too many."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from mnist_tune.dashboard import connections
from mnist_tune.dashboard.app import guarded_app
from mnist_tune.dashboard.guards import local_names
from mnist_tune.dashboard.server import MOST_TAKEN_IN, Server, find_address
from mnist_tune.files.locations import Folders
from tests.support.dashboard_client import Client
from tests.support.specs import ONE_CELL
from tests.support.studies import new_study

ASK = b"GET /api/studies HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
POST = b"POST /api/studies HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


@contextmanager
def served(app: Any) -> Iterator[int]:
    """The port of a server in a thread of this process."""
    server = Server(find_address("127.0.0.1", allow_remote=False), 0)
    server.set_app(app)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def said(connection: socket.socket) -> bytes:
    """All that comes until the other side ends the connection."""
    answer = b""
    try:
        while more := connection.recv(65536):
            answer += more
    except ConnectionResetError:
        pass  # it had more to hear than it wanted to
    return answer


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def asked(port: int, request: bytes) -> bytes:
    with connected(port) as connection:
        connection.sendall(request)
        return said(connection)


def status(answer: bytes) -> int:
    found = re.match(rb"HTTP/1\.[01] (\d{3}) ", answer)
    return int(found[1]) if found else 0


@pytest.fixture
def app(tmp_path: Path) -> Any:
    """The whole dashboard over a study of one cell."""
    study = new_study(tmp_path, ONE_CELL)
    return guarded_app(study.storage, Folders.of(study.storage.engine.url), local_names("127.0.0.1"))


@pytest.fixture
def port(app: Any) -> Iterator[int]:
    with served(app) as port:
        yield port


@pytest.mark.parametrize("begun", [b"", b"GET /api", b"GET /api/studies HTTP/1.1\r\nHost: 127.0.0.1\r\n"])
def test_connections_that_never_ask_keep_nobody_out(
    app: Any, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(connections, "MOST", 8)
    with served(app) as port, ExitStack() as stack:
        silent = [stack.enter_context(connected(port)) for _ in range(20)]
        for connection in silent:
            connection.sendall(begun)
        assert status(asked(port, ASK)) == 200
        assert said(silent[0]) == b""  # the first of them had to go
        silent[-1].sendall(ASK[len(begun) :])
        assert status(said(silent[-1])) == 200  # the last one, when it asks, is answered


def test_a_body_that_never_comes_keeps_nobody_out(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST", 8)
    with served(app) as port, ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(connected(port)).sendall(POST + b"Content-Length: 100\r\n\r\n{")
        assert status(asked(port, ASK)) == 200


def test_a_connection_that_never_asks_ends(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SECONDS_TO_ASK", 0.1)
    with served(app) as port, connected(port) as silent:
        silent.sendall(ASK[:-2])
        assert said(silent) == b""


def test_who_comes_while_all_are_being_answered_is_told_to_come_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "MOST", 4)
    begun, go_on = threading.Semaphore(0), threading.Event()

    def slow(_: Any, start_response: Callable[..., Any]) -> list[bytes]:
        begun.release()
        go_on.wait(60)
        start_response("200 OK", [])
        return [b"done"]

    with served(slow) as port, ExitStack() as stack:
        busy = [stack.enter_context(connected(port)) for _ in range(4)]
        for connection in busy:
            connection.sendall(ASK)
            assert begun.acquire(timeout=60)
        assert status(asked(port, ASK)) == 503
        go_on.set()
        assert [said(connection)[-4:] for connection in busy] == [b"done"] * 4
        assert status(asked(port, ASK)) == 200


@pytest.mark.slow
@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (b"GARBAGE\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 403),
        (b"GET / HTTP/9\r\n\r\n", 400),
        (b"GET / HTTP/3.0\r\n\r\n", 505),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\n\r\n", 403),
        (b"GET / HTTP/1.1\r\nHost: [bad\r\n\r\n", 403),
        (b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n", 403),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: elsewhere\r\n\r\n", 403),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://[bad\r\n\r\n", 403),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: \xff\r\n\r\n", 403),
        (b"GET /%00 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400),
        (b"GET /static/%00 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400),
        (b"GET /artifacts/1/1/%00 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400),
        (b"GET /api/%ff HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 404),
        (b"GET /%0d%0aX:%20y HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400),
        (b"GET /static/../../etc/passwd HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 403),
        (b"GET /static/bundle.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 200),
        (b"GET /static/bundle.js HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Encoding: gzip\r\n\r\n", 200),
        (b"GET /api/studies/999999999999999999999 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 404),
        (POST + b"Content-Length: many\r\n\r\n", 400),
        (POST + b"Content-Length: -1\r\n\r\n", 400),
        (POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x", 400),
        (POST + b"Content-Length: 99999999999\r\n\r\n" + b" " * MOST_TAKEN_IN, 413),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 411),
    ],
)
def test_a_request_that_is_wrong_is_answered_so(
    port: int, request_: bytes, expected: int, capfd: pytest.CaptureFixture[str]
) -> None:
    assert status(asked(port, request_)) == expected
    assert status(asked(port, ASK)) == 200
    assert "Traceback" not in "".join(capfd.readouterr())


def test_a_request_that_ends_in_its_body_is_not_answered(port: int) -> None:
    with connected(port) as connection:
        connection.sendall(POST + b'Content-Length: 100\r\n\r\n{"study_name": "half"')
        connection.shutdown(socket.SHUT_WR)
        assert said(connection) == b""
    assert b"half" not in asked(port, ASK)


@pytest.mark.postgres
def test_the_first_request_after_a_lost_connection_is_answered(postgres: str, tmp_path: Path) -> None:
    study = new_study(tmp_path, ONE_CELL, postgres)
    folders = Folders.of(study.storage.engine.url, tmp_path, tmp_path)
    client = Client(guarded_app(study.storage, folders, local_names("127.0.0.1")))
    assert client("GET", "/api/studies").status == 200
    with psycopg.connect(postgres, autocommit=True) as connection:
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchall()
    assert ended
    assert client("GET", "/api/studies").status == 200
    assert client.detail(study)["trials"]
