"""Ends a head before and after every statement and file operation, one by one, and starts another.

    python -m tests.system.interrupted_heads
    python -m tests.system.interrupted_heads --every 3

The head serves one worker, which is never killed, through a whole small study: a new cell, one that was given
back with a state, and one whose worker has died.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any
from unittest.mock import patch

from mnist_tune.contract.retrying import StorageRetry
from mnist_tune.serve.address import HeadAddress
from mnist_tune.serve.client import Head
from mnist_tune.serve.desk import Desk
from mnist_tune.serve.gate import Gate
from mnist_tune.serve.remote_study import RemoteStudy
from mnist_tune.serve.room import Room
from mnist_tune.serve.server import Server
from mnist_tune.serve.tokens import Tokens
from mnist_tune.worker.loop import Ended, Worker
from mnist_tune.worker.signals import StopRequest
from tests.support.forked_processes import FORK, run_each
from tests.support.logged_job import Job, StepLog
from tests.support.studies import folders
from tests.system.crash_points import Fate
from tests.system.interrupted_processes import SPEC, StudyPlace, half_done, heartbeat_in_hand
from tests.system.promise_checks import STEPS, broken_promises

GRACE = "grace_period = 0.6", "grace_period = 2.0"
"""The worker must not lose its lease while a head starts again."""
AT_ONCE = 6


@dataclass(frozen=True)
class HeadLife:
    """A head in a copy of a place, killed at one of its points if that is given."""

    template: StudyPlace
    point: int | None = None

    @property
    def place(self) -> StudyPlace:
        name = f"head-{'whole' if self.point is None else self.point}"
        return StudyPlace(self.template.folder.with_name(name))


@dataclass(frozen=True)
class Outcome:
    """The points that the first head passed if it was not killed, and what is wrong."""

    passed: list[str] | None
    problems: list[str]


@dataclass(frozen=True)
class Campaign:
    """At how many points a head was to be killed, at how many it was, and with what result."""

    points: int
    tried: int
    died: int
    problems: list[tuple[int, str, list[str]]]

    def __str__(self) -> str:
        verdict = "; ".join(map(str, self.problems[:10])) or "its worker finished each time"
        return f"the head died at {self.died} of {self.points} points: {verdict}"


def killed_everywhere(folder: Path, first: int = 0, step: int = 1) -> Campaign:
    """Kill a head at every `step`-th of its points, each time in a fresh place."""
    template = StudyPlace(folder / "begun")
    template.make()
    run_each(begun, [template], at_once=1)
    (whole,) = run_each(see, [HeadLife(template)], 1)
    assert whole.problems == []
    assert whole.passed is not None
    tried = range(first, len(whole.passed), step)
    outcomes = run_each(see, [HeadLife(template, point) for point in tried], AT_ONCE)
    died = sum(outcome.passed is None for outcome in outcomes)
    problems = [
        (point, whole.passed[point], outcome.problems)
        for point, outcome in zip(tried, outcomes, strict=True)
        if outcome.problems
    ]
    return Campaign(len(whole.passed), len(tried), died, problems)


def begun(place: StudyPlace) -> None:
    """Make a study with a cell that was given back, one whose worker died, and a new one."""
    with patch("tests.system.interrupted_processes.SPEC", SPEC.replace(*GRACE)):
        half_done(place)


def see(life: HeadLife) -> Outcome:
    """Work with a head until the study is finished, and check the study."""
    life.place.make(life.template)
    receiving, sending = FORK.Pipe(duplex=False)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        keeper = FORK.Process(target=keep_a_head, args=(life, listener, sending))
        keeper.start()
        sending.close()
        ended = _work(life.place, listener.getsockname()[1])
        keeper.terminate()
        keeper.join()
    passed = None
    with suppress(EOFError):
        passed = receiving.recv()
    problems = [] if ended is Ended.FINISHED else [f"the worker left: {ended}"]
    if keeper.exitcode != 0:
        problems.append(f"a head has not ended well: {keeper.exitcode}")
    problems += broken_promises(life.place.study(), life.place.folder)
    if not problems:
        life.place.remove()
    return Outcome(passed, problems)


def keep_a_head(life: HeadLife, listener: socket.socket, sending: Connection) -> None:
    """Have a head run until SIGTERM: the first one with its fate, and another when it has died of that."""
    asked = []

    def start(target: Callable[..., None], *arguments: object) -> Any:
        head = FORK.Process(target=target, args=(life.place, listener, *arguments))
        head.start()
        return head

    def ask_to_end(*_: int | FrameType | None) -> None:
        asked.append(True)
        with suppress(ProcessLookupError):
            os.kill(head.pid, signal.SIGTERM)

    head = start(be_a_head, life.point, sending)
    sending.close()
    signal.signal(signal.SIGTERM, ask_to_end)
    head.join()
    if head.exitcode == -signal.SIGKILL and not asked:
        head = start(be_a_head)
        head.join()
    # One that was still starting when the worker had left dies of the request to stop.
    sys.exit(0 if head.exitcode in (0, -signal.SIGKILL, -signal.SIGTERM) else 1)


def be_a_head(
    place: StudyPlace,
    listener: socket.socket,
    point: int | None = None,
    sending: Connection | None = None,
) -> None:
    """Serve the study in this place until SIGTERM; with `sending` die at a point, or tell all points."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    fate = Fate(place.folder, point)
    if sending is not None:
        fate.begin()
    answer = Desk.answer

    def look_and_answer(desk: Desk, name: str, uid: str, call: str, arguments: Mapping[str, Any]) -> Any:
        if call == "claim":
            desk.put_back_stale()
        return answer(desk, name, uid, call, arguments)

    # Not by the clock, so that every run does the same in the same order.
    with patch("mnist_tune.serve.watch.LOOK_SECONDS", 1e6), patch.object(Desk, "answer", look_and_answer):
        gate = Gate(Tokens(place.folder / "tokens"), print, without_tokens=True)
        places = folders(place.folder)
        server = Server(place.study().storage, places, gate, Room([], free_disk=0), print)
        server.heed_signals()
        server.run(listener)
    if sending is not None:
        sending.send(fate.passed)


def _work(place: StudyPlace, port: int) -> Ended:
    """Be the worker, with its heartbeat in its hand."""
    ask = StorageRetry(60, lambda _: None, hurry=lambda: False)
    head, on_their_way = Head(HeadAddress(f"http://127.0.0.1:{port}")), place.folder / "on their way"
    remote = ask(lambda: RemoteStudy(head, "tiny", on_their_way))
    with heartbeat_in_hand() as beat:

        def in_epoch(_: object) -> None:
            ask(beat)

        job = Job(remote.spec, remote.state_folder, StepLog(place.folder / STEPS), in_epoch)
        return Worker(remote, job, StopRequest(), lambda _: None).work()


def main() -> None:
    """Kill a head at every point; prints one line."""
    parser = argparse.ArgumentParser(description="Kill a head at every point of its life.")
    parser.add_argument("--every", type=int, default=1, help="at one point in so many")
    parser.add_argument("--first", type=int, default=0, help="the first point")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        came = killed_everywhere(Path(folder), options.first, options.every)
    print(came)
    sys.exit(1 if came.problems else 0)


if __name__ == "__main__":
    main()
