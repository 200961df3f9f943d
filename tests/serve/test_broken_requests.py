"""Requests that break off, come from nobody any more, or are answered by something else than a head."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from mnist_tune.contract.claim import Claim
from mnist_tune.contract.study import StorageAway
from mnist_tune.files.checkpoints import Checkpoint, checkpoint_key
from mnist_tune.serve.address import HeadAddress
from mnist_tune.serve.bodies import PIECE
from mnist_tune.serve.client import Head
from mnist_tune.serve.remote_study import RemoteStudy
from mnist_tune.study.open_study import OpenStudy
from tests.support.contract_calls import ME, asked, taken
from tests.support.heads import received, running_head
from tests.support.specs import TWO_CELLS
from tests.support.studies import fail_behind_its_back, new_study, opened_again
from tests.support.waiting import wait_until

CONTENT = b"a state" * (PIECE // 7 + 1)
"""Longer than a piece, so that it is written while the rest of it arrives."""
SHORT = b"a state"


@pytest.fixture
def study(tmp_path: Path) -> OpenStudy:
    return new_study(tmp_path, TWO_CELLS)


@pytest.fixture
def address(study: OpenStudy, tmp_path: Path) -> Iterator[HeadAddress]:
    with running_head(opened_again(study).storage, tmp_path) as address:
        yield address


@pytest.fixture
def worker(address: HeadAddress, tmp_path: Path) -> RemoteStudy:
    remote = RemoteStudy(Head(address), "tiny", tmp_path / "on their way")
    remote.register(ME)
    return remote


@contextmanager
def asking(address: HeadAddress, request: str, body: bytes = b"") -> Iterator[socket.socket]:
    """A connection over which this has been sent; it is closed at the end of the block."""
    at = urlsplit(address.url)
    with socket.create_connection((at.hostname or "", at.port or 0)) as connection:
        connection.sendall(f"{request}\r\nHost: localhost\r\n".encode() + body)
        yield connection


def state_of(study: OpenStudy, claim: Claim, content: bytes = CONTENT) -> tuple[str, str]:
    """The request that keeps a state of a claim, and the name of the state's file."""
    key = checkpoint_key(claim.trial_id, claim.token, 1)
    query = {
        "study": "tiny",
        "uid": study.uid,
        "trial_id": claim.trial_id,
        "token": claim.token,
        "name": key,
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    return f"PUT /api/v1/states?{urlencode(query)} HTTP/1.1", key


def length(size: int) -> bytes:
    return f"Content-Length: {size}\r\n\r\n".encode()


def files_in(folder: Path, pattern: str) -> list[str]:
    return sorted(path.name for path in folder.rglob(pattern))


def test_a_client_that_goes_away_within_its_request_leaves_nothing_and_no_traceback(
    study: OpenStudy,
    address: HeadAddress,
    worker: RemoteStudy,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    claim = taken(worker)
    put, key = state_of(study, claim)
    with asking(address, "POST /api/v1/calls/claim HTTP/1.1", length(100) + b"{"):
        pass
    with asking(address, put, length(len(CONTENT)) + CONTENT[:100]):
        wait_until(lambda: files_in(tmp_path / "checkpoints", f"{key}.*.tmp") != [])
    wait_until(lambda: files_in(tmp_path / "checkpoints", f"{key}*") == [])
    worker.renew(claim)
    assert capfd.readouterr() == ("", "")


def test_a_state_whose_attempt_ends_while_it_is_sent_is_not_kept(
    study: OpenStudy, address: HeadAddress, worker: RemoteStudy, tmp_path: Path
) -> None:
    claim = taken(worker)
    put, key = state_of(study, claim)
    with asking(address, put, length(len(CONTENT)) + CONTENT[:100]) as connection:
        wait_until(lambda: files_in(tmp_path / "checkpoints", f"{key}.*.tmp") != [])
        fail_behind_its_back(f"sqlite:///{tmp_path}/studies.db", claim.trial_id)
        connection.sendall(CONTENT[100:])
        assert b"lease_lost" in received(connection, 1.0)
    assert files_in(tmp_path / "checkpoints", f"{key}*") == []


def test_a_short_state_whose_attempt_ends_while_it_is_sent_is_not_kept(
    study: OpenStudy, address: HeadAddress, worker: RemoteStudy, tmp_path: Path
) -> None:
    claim = taken(worker)
    put, key = state_of(study, claim, SHORT)
    with asking(address, put, length(len(SHORT)) + SHORT[:1]) as connection:
        worker.renew(claim)
        fail_behind_its_back(f"sqlite:///{tmp_path}/studies.db", claim.trial_id)
        connection.sendall(SHORT[1:])
        assert b"lease_lost" in received(connection, 1.0)
    assert files_in(tmp_path / "checkpoints", f"{key}*") == []


def test_a_short_state_that_is_not_the_one_that_was_sent_is_not_kept(
    study: OpenStudy, address: HeadAddress, worker: RemoteStudy, tmp_path: Path
) -> None:
    claim = taken(worker)
    put, key = state_of(study, claim, SHORT)
    with asking(address, put, length(len(SHORT)) + SHORT[::-1]) as connection:
        assert b"its hash differs" in received(connection, 1.0)
    assert files_in(tmp_path / "checkpoints", f"{key}*") == []
    worker.renew(claim)


@pytest.fixture
def no_head() -> Iterator[HeadAddress]:
    """Something that answers each request with a page, as the network of a hotel does."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<html>Welcome! Please log in.</html>")

        do_POST = do_PUT = do_GET  # noqa: N815 - the names are the library's

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield HeadAddress(f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
        thread.join()


def test_what_is_no_head_is_taken_for_one_that_is_away(
    worker: RemoteStudy, no_head: HeadAddress, tmp_path: Path
) -> None:
    claim = taken(worker)
    worker._head.address, worker._head._http = no_head, None  # where a head has answered before
    state = Checkpoint(checkpoint_key(claim.trial_id, claim.token, 1), "0" * 64, 1)
    going_on = Claim(claim.trial_id, claim.number, claim.token, checkpoint=state)
    for ask in (
        lambda: asked(worker),
        lambda: worker.keep_files(claim, {"model.bin": b"weights"}),
        lambda: worker.fetch_state(going_on),
    ):
        with pytest.raises(StorageAway, match="something else than a head answers there now"):
            ask()
    assert files_in(tmp_path / "on their way", "*.pt") == []
