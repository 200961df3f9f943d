"""Clients that connect and say little keep nobody out; those that work keep their connections."""

from __future__ import annotations

import resource
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from mnist_tune.serve import server
from mnist_tune.serve.client import IDLE_SECONDS
from mnist_tune.serve.connections import SECONDS_TO_ASK, Connections, most_connections
from mnist_tune.serve.opening import Encryption
from mnist_tune.serve.roles import Role
from tests.support.heads import ASKS, NAMES, RunningHead, begun, received, running, statuses, trickled
from tests.support.specs import TWO_CELLS
from tests.support.studies import new_study, opened_again
from tests.support.waiting import wait_until

FEW = 64
OVER_HTTP = pytest.mark.parametrize("small", ["http"], indirect=True)
"""TLS would change nothing but the socket."""


@pytest.fixture(params=["http", "https"])
def small(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RunningHead]:
    """A head with room for a few connections, each of which may be silent for half a second."""
    monkeypatch.setattr(server, "most_connections", lambda: FEW)
    monkeypatch.setattr(server, "Connections", lambda most: Connections(most, 0.5))
    study = opened_again(new_study(tmp_path, TWO_CELLS))
    encryption = Encryption()
    if request.param == "https":
        own = tmp_path / "own"
        own.mkdir()
        encryption = Encryption(True, *certificate_in(own))
    with running(study.storage, tmp_path, roles=(Role.WORKER,), encryption=encryption) as head:
        yield head


def certificate_in(folder: Path) -> tuple[Path, Path]:
    from mnist_tune.serve.certificate import own_certificate

    made = own_certificate(folder / "x.tokens", ["127.0.0.1"])
    return made.path, made.key


def asks(head: RunningHead) -> list[str]:
    with head.client(Role.WORKER, verify=False) as client:
        return list(client.post(NAMES, content=ASKS).json())


def is_closed(connection: socket.socket) -> bool:
    connection.settimeout(5)
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.slow
def test_silent_clients_keep_nobody_out_and_are_soon_ended(small: RunningHead) -> None:
    assert asks(small) == ["tiny"]  # the database is open
    time.sleep(0.5)
    before = descriptors()
    with ExitStack() as silent:
        connections = [silent.enter_context(small.connect()) for _ in range(5 * FEW)]
        assert asks(small) == ["tiny"]
        assert descriptors() - before - len(connections) <= 2 * FEW
        for connection in connections:
            assert is_closed(connection)
    wait_until(lambda: descriptors() <= before, 5)


@pytest.mark.slow
@OVER_HTTP
def test_headers_that_trickle_are_given_up(small: RunningHead) -> None:
    with small.connect() as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\n")
        assert trickled(connection, b"X: a\r\n") == b""
    with small.connect() as connection:  # after a sound request too
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert statuses(received(connection, 0.1)) == [200]
        connection.sendall(b"GET /healthz HTTP/1.1\r\n")
        assert trickled(connection, b"X: a\r\n") == b""
    with small.connect() as connection:  # while the body of a request that was refused is on its way
        connection.sendall(b"POST /api/v1/open HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
        assert statuses(received(connection, 0.1)) == [401]
        assert trickled(connection, b"x") == b""


@pytest.mark.slow
@OVER_HTTP
def test_a_request_that_takes_long_is_not_ended(small: RunningHead) -> None:
    body = b'{"study": "tiny"}'
    with small.connect() as connection:
        head = begun(small, "POST", "/api/v1/open") + b"Content-Length: %d\r\n\r\n" % len(body)
        connection.sendall(head)
        for byte in body[:-1]:
            connection.sendall(bytes([byte]))
            time.sleep(0.07)  # longer in all than one may be silent
        connection.sendall(body[-1:])
        assert statuses(received(connection, 0.1)) == [200]


@OVER_HTTP
def test_connections_are_used_again_and_pipelined_requests_answered_in_their_order(
    small: RunningHead,
) -> None:
    with small.connect() as connection:
        ask = begun(small, "POST", NAMES) + b"Content-Length: 2\r\n\r\n" + ASKS
        for _ in range(3):
            connection.sendall(ask)
            assert statuses(received(connection, 0.1)) == [200]
        connection.sendall(
            b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" + ask + b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"
        )
        assert statuses(received(connection, 0.1)) == [200, 200, 404]
        assert is_closed(connection)  # nothing more came


def test_a_client_of_the_other_protocol_is_nothing_to_speak_of(small: RunningHead) -> None:
    before = list(small.lines)
    if small.address.url.startswith("https"):
        with (
            httpx.Client(base_url=f"http://127.0.0.1:{small.port}") as client,
            pytest.raises(httpx.HTTPError),
        ):
            client.get("/healthz")
    else:
        with small.connect() as plain, pytest.raises(OSError, match=r"SSL|reset|closed"):
            ssl._create_unverified_context().wrap_socket(plain)
    assert asks(small) == ["tiny"]
    assert small.lines == before


def test_a_head_stops_at_once_although_clients_are_connected(small: RunningHead) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(small.client(Role.WORKER, verify=False)) for _ in range(3)]
        for client in clients:
            assert client.post(NAMES, content=ASKS).status_code == 200
        silent = stack.enter_context(small.connect())
        small.server.stop()
        assert is_closed(silent)
        with pytest.raises(httpx.HTTPError):
            small.client(verify=False).get("/healthz")


@pytest.mark.slow
def test_a_thousand_workers_keep_their_connections(tmp_path: Path) -> None:
    if most_connections() < 1000:
        pytest.skip("this system lets a process open too few files")
    study = opened_again(new_study(tmp_path, TWO_CELLS))
    with running(study.storage, tmp_path, roles=(Role.WORKER,)) as head, ExitStack() as stack:
        ask = begun(head, "POST", NAMES) + b"Content-Length: 2\r\n\r\n" + ASKS
        connections = [stack.enter_context(head.connect()) for _ in range(1000)]
        for _ in range(2):
            for connection in connections:
                connection.sendall(ask)
            for connection in connections:
                answer = connection.recv(1000)
                while not answer.endswith(b'["tiny"]'):
                    more = connection.recv(1000)
                    assert more, "it was closed"
                    answer += more


def test_a_worker_forgets_a_connection_before_the_head_does() -> None:
    assert IDLE_SECONDS < SECONDS_TO_ASK


def test_a_process_may_open_as_many_files_as_its_system_lets_it() -> None:
    code = """
import resource
from mnist_tune.serve.connections import MOST, most_connections
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 4096))
print(most_connections(), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"{(4096 - 128) // 2} 4096\n"


def test_there_is_room_for_a_thousand_workers_where_the_system_has_the_usual_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert most_connections() >= 1000 or hard < 4096
