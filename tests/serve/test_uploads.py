"""Files that workers keep at a head: whole or not there, whatever happens, and no more than fit."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest

from mnist_tune.contract.study import new_token
from mnist_tune.serve import bodies, server
from mnist_tune.serve.roles import Role
from mnist_tune.serve.room import Room
from mnist_tune.study.open_study import OpenStudy
from tests.support.contract_calls import ME
from tests.support.heads import RunningHead, begun, received, running, said, statuses, trickled
from tests.support.specs import TWO_CELLS
from tests.support.studies import folders, new_study, opened_again
from tests.support.waiting import wait_until

OLD, NEW = b"old" * 100_000, b"new" * 1_000_000


class Attempt:
    """An attempt that keeps files, as a client other than ours may do."""

    def __init__(self, head: RunningHead, study: OpenStudy) -> None:
        self.head = head
        self.artifacts = head.folder / "artifacts"
        self.client = head.client(Role.WORKER)
        of_study = {"study": study.name, "uid": study.uid}
        body = json.dumps({**of_study, "worker": asdict(ME), "token": new_token()})
        claim = self.client.post("/api/v1/calls/claim", content=body).json()
        self.key = f"{claim['trial_id']}-{claim['token']}"
        self.query = of_study | {name: str(claim[name]) for name in ("trial_id", "token")}

    def keep(self, content: bytes, name: str = "a", digest: str = "") -> httpx.Response:
        of_file = {"name": name, "sha256": digest or sha256(content).hexdigest()}
        path = "/api/v1/states" if name.endswith(".pt") else "/api/v1/files"
        return self.client.put(path, params=self.query | of_file, content=content)

    def begun(self, content: bytes, length: int) -> bytes:
        """The bytes of a request up to its body."""
        query = urlencode(self.query | {"name": "a", "sha256": sha256(content).hexdigest()})
        return begun(self.head, "PUT", f"/api/v1/files?{query}") + b"Content-Length: %d\r\n\r\n" % length

    def kept(self) -> list[bytes]:
        """The contents of all files, also of half written ones, but of those that the head deletes now."""
        contents = []
        for path in self.head.folder.rglob("*"):
            if path.parent in self.folders():
                with suppress(FileNotFoundError):
                    contents.append(path.read_bytes())
        return contents

    def folders(self) -> list[Path]:
        return [self.artifacts, *(self.head.folder / "checkpoints").glob("*")]


@pytest.fixture(scope="module")
def attempt(head: RunningHead, study: OpenStudy) -> Iterator[Attempt]:
    attempt = Attempt(head, study)
    with closing(attempt.client):
        yield attempt


@pytest.fixture(autouse=True)
def only_the_old_file_is_there(attempt: Attempt) -> Iterator[None]:
    """A file is kept before each test, and it alone is there in the end."""
    assert attempt.keep(OLD).status_code == 200
    yield
    wait_until(lambda: len(attempt.kept()) == 1, 10)
    assert attempt.kept() == [OLD]
    assert attempt.head.is_well()


def test_a_file_that_is_cut_leaves_nothing_behind(attempt: Attempt) -> None:
    before = list(attempt.head.lines)
    for how in (0, 1):
        for sent in (b"", NEW[:10], NEW[:-1]):
            with attempt.head.connect() as connection:
                connection.sendall(attempt.begun(NEW, len(NEW)) + sent)
                if how:  # a reset
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_until(lambda: len(attempt.kept()) == 1, 10)
    assert attempt.head.lines == before


def test_a_file_that_is_not_what_it_says_is_refused(attempt: Attempt) -> None:
    answer = attempt.keep(NEW, digest=sha256(OLD).hexdigest())
    assert answer.status_code == 400
    assert "its hash differs" in said(answer)


def test_a_length_that_lies_makes_no_file(attempt: Attempt) -> None:
    short = attempt.head.answer_to(attempt.begun(NEW, len(NEW) - 1) + NEW)
    assert statuses(short)[0] == 400
    with attempt.head.connect() as connection:
        connection.sendall(attempt.begun(NEW, len(NEW) + 1) + NEW)
        connection.shutdown(socket.SHUT_WR)
        assert statuses(received(connection, 1)) in ([], [400])


@pytest.mark.slow
def test_a_file_that_trickles_is_given_up(attempt: Attempt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "SECONDS_FOR_A_PIECE", 0.3)
    with attempt.head.connect() as connection:  # each piece comes in time, and all of them do not
        connection.sendall(attempt.begun(NEW[:4000], 4000))
        assert statuses(trickled(connection, b"x")) == [408]
    with attempt.head.connect() as connection:
        connection.sendall(attempt.begun(NEW, len(NEW)))
        assert statuses(trickled(connection, b"")) == [408]


def test_a_head_that_stops_does_not_wait_long_for_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "GRACEFUL_SECONDS", 0.3)
    study = new_study(tmp_path, TWO_CELLS)
    with running(opened_again(study).storage, tmp_path, roles=(Role.WORKER,)) as head:
        attempt = Attempt(head, study)
        with closing(attempt.client), head.connect() as connection:
            connection.sendall(attempt.begun(NEW, len(NEW)) + NEW[:1000])
            wait_until(lambda: len(attempt.kept()) == 1, 10)
            head.server.stop()
            assert statuses(received(connection, 20)) in ([503], [])  # a worker asks again after both
    assert attempt.kept() == []
    assert [line for line in head.lines if "Traceback" in line or "Error" in line] == []


def test_who_has_lost_the_lease_keeps_no_file(attempt: Attempt) -> None:
    of_other = attempt.query | {"token": "f" * 32, "name": "b", "sha256": sha256(NEW).hexdigest()}
    answer = attempt.client.put("/api/v1/files", params=of_other, content=NEW)
    assert (answer.status_code, answer.json()["kind"]) == (409, "lease_lost")


def test_a_state_of_another_attempt_is_no_file_of_this_one(attempt: Attempt) -> None:
    answer = attempt.keep(NEW, name=f"{attempt.query['trial_id']}-{'0' * 32}-1.pt")
    assert answer.status_code == 400


def test_a_state_that_is_cut_on_its_way_out_is_nothing_to_speak_of(attempt: Attempt) -> None:
    name = f"{attempt.key}-1.pt"
    assert attempt.keep(NEW, name=name).status_code == 200
    before = list(attempt.head.lines)
    query = urlencode({name: attempt.query[name] for name in ("study", "uid")} | {"key": name})
    for linger in (False, True):
        with attempt.head.connect() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(begun(attempt.head, "GET", f"/api/v1/states?{query}") + b"\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
            if linger:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    answer = attempt.client.get(f"/api/v1/states?{query}", headers={"Range": "bytes=0-1,2-3"})
    assert (answer.status_code, answer.content) == (200, NEW)
    assert attempt.head.lines == before
    next((attempt.head.folder / "checkpoints").rglob("*.pt")).unlink()
    assert attempt.client.get(f"/api/v1/states?{query}").status_code == 404


def test_there_is_no_room_beyond_the_quota_and_what_was_refused_takes_none(tmp_path: Path) -> None:
    study = new_study(tmp_path, TWO_CELLS)
    room = Room([each.path for each in folders(tmp_path)], quota=1_000_000, free_disk=0)
    with running(opened_again(study).storage, tmp_path, roles=(Role.WORKER,), room=room) as head:
        attempt = Attempt(head, study)
        for _ in range(3):
            answer = attempt.keep(NEW, "b")
            assert (answer.status_code, answer.json()["kind"]) == (507, "file")
            assert said(answer) == "the head's files have reached their quota of 1.0 MB"
        with head.connect() as connection:  # what is cut takes no room
            connection.sendall(attempt.begun(NEW, 900_000) + NEW[:100_000])
        wait_until(lambda: attempt.kept() == [], 10)
        wait_until(lambda: attempt.keep(OLD, "a").status_code == 200, 10)  # its room is free a moment later
        assert attempt.keep(OLD, "a").status_code == 200
        assert attempt.keep(OLD + OLD, "c").status_code == 507
        attempt.client.close()


def test_a_part_of_the_disk_stays_free(tmp_path: Path) -> None:
    study = new_study(tmp_path, TWO_CELLS)
    room = Room([each.path for each in folders(tmp_path)], free_disk=10**15)
    with running(opened_again(study).storage, tmp_path, roles=(Role.WORKER,), room=room) as head:
        attempt = Attempt(head, study)
        answer = attempt.keep(b"x")
        assert answer.status_code == 507
        assert "left, and keeps 1.0 PB free" in said(answer)
        body = json.dumps({name: attempt.query[name] for name in ("study", "uid")})
        assert attempt.client.post("/api/v1/calls/standing", content=body).status_code == 200
        attempt.client.close()
