"""Ends a process before and after every statement and file operation, one by one.

    python -m tests.system.crash_points
    python -m tests.system.crash_points --postgres --every 3

Nothing that is stored changes between two of these points. A commit that is itself interrupted is tested by
`tests.system.chaos`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from signal import SIGKILL
from typing import Any

import sqlalchemy
from sqlalchemy.engine import Engine
from sqlalchemy.pool import Pool

from tests.support.forked_processes import FORK, run_each
from tests.support.postgres_server import postgres_server
from tests.system.interrupted_imports import import_three, imported_or_as_before
from tests.system.interrupted_more_epochs import all_ended, give_more, given_or_as_before
from tests.system.interrupted_processes import (
    StudyPlace,
    create,
    drain,
    extend,
    extended_or_as_before,
    finished_by_another,
    half_done,
    migrate,
    migrated_or_as_before,
    of_version_0,
    whole_or_not_there,
    work_to_the_end,
)
from tests.system.interrupted_races import judge, judged_or_as_before, round_done
from tests.system.promise_checks import STEPS

FILE_OPERATIONS = {"open", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "sqlite3.connect"}
"""Python's audit events, which are raised before the operation."""
AT_ONCE = 12


@dataclass(frozen=True)
class Run:
    """A task in a copy of a place, ended at one of its points if that is given, and a check afterwards."""

    life: Callable[[StudyPlace], None]
    check: Callable[[StudyPlace], list[str]]
    template: StudyPlace
    point: int | None = None

    @property
    def place(self) -> StudyPlace:
        name = f"{self.life.__name__}-{'whole' if self.point is None else self.point}"
        return StudyPlace(self.template.folder.with_name(name), self.template.server)


@dataclass(frozen=True)
class Campaign:
    """At how many points a task was to be ended, at how many it was, and with what result."""

    life: str
    points: int
    tried: int
    died: int
    problems: list[tuple[int, str, list[str]]]

    def __str__(self) -> str:
        verdict = "; ".join(map(str, self.problems[:10])) or "another finished each time"
        return f"{self.life}: died at {self.died} of {self.points} points: {verdict}"


def cut_short_everywhere(place: StudyPlace, first: int = 0, step: int = 1) -> Iterator[Campaign]:
    """End every task at every `step`-th of its points, each time in a fresh place."""
    empty, begun, older, raced, ended = (
        StudyPlace(place.folder / name, place.server)
        for name in ("empty", "begun", "older", "raced", "ended")
    )
    for template in (empty, begun, older, raced, ended):
        template.make()
    run_each(half_done, [begun], at_once=1)
    run_each(of_version_0, [older], at_once=1)
    run_each(round_done, [raced], at_once=1)
    run_each(all_ended, [ended], at_once=1)
    for whole in (
        Run(create, whole_or_not_there, empty),
        Run(extend, extended_or_as_before, begun),
        Run(give_more, given_or_as_before, ended),
        Run(import_three, imported_or_as_before, begun),
        Run(judge, judged_or_as_before, raced),
        Run(drain, finished_by_another, begun),
        Run(work_to_the_end, finished_by_another, begun),
        Run(migrate, migrated_or_as_before, older),
    ):
        yield campaign(whole, first, step)


def campaign(whole: Run, first: int = 0, step: int = 1) -> Campaign:
    """End one task at every `step`-th of its points."""
    passed = points(whole)
    tried = range(first, len(passed), step)
    outcomes = cut_short(whole, tried)
    died = sum(outcome.passed is None for outcome in outcomes)
    problems = [
        (point, passed[point], outcome.problems)
        for point, outcome in zip(tried, outcomes, strict=True)
        if outcome.problems
    ]
    return Campaign(whole.life.__name__, len(passed), len(tried), died, problems)


@dataclass(frozen=True)
class Outcome:
    """The result of a run: the points that it passed if it was not ended, and what is wrong."""

    passed: list[str] | None
    problems: list[str]


def points(whole: Run) -> list[str]:
    """The points of a task that nothing ends."""
    (outcome,) = run_each(_see, [whole], 1)
    assert outcome.problems == [], outcome.problems
    assert outcome.passed is not None
    return outcome.passed


def cut_short(whole: Run, every: range) -> list[Outcome]:
    """End the task at each of the points, each time in a place of its own."""
    runs = [Run(whole.life, whole.check, whole.template, point) for point in every]
    return run_each(_see, runs, AT_ONCE)


def _see(run: Run) -> Outcome:
    run.place.make(run.template)
    receiving, sending = FORK.Pipe(duplex=False)
    process = FORK.Process(target=_live, args=(run, sending))
    process.start()
    sending.close()
    try:
        passed = receiving.recv()
    except EOFError:
        passed = None
    process.join()
    problems = run.check(run.place)
    if process.exitcode != (-SIGKILL if passed is None else 0):
        problems.append(f"the process ended with {process.exitcode}")
    if not problems:
        run.place.remove()
    return Outcome(passed, problems)


def _live(run: Run, sending: Connection) -> None:
    fate = Fate(run.place.folder, run.point)
    fate.begin()
    run.life(run.place)
    sending.send(fate.passed)


class Fate:
    """Records the points that this process passes, and kills it at one of them."""

    def __init__(self, folder: Path, fatal: int | None) -> None:
        self.passed: list[str] = []
        self._fatal = fatal
        self._files, self._own_files = str(folder), str(folder / STEPS)

    def begin(self) -> None:
        """Start recording, until the process ends."""
        sqlalchemy.event.listen(Engine, "before_cursor_execute", self._statement("before"))
        sqlalchemy.event.listen(Engine, "after_cursor_execute", self._statement("after"))
        sqlalchemy.event.listen(Engine, "commit", lambda *_: self._pass("before commit"))
        sqlalchemy.event.listen(Engine, "rollback", lambda *_: self._pass("before rollback"))
        # The connection is returned after either of these.
        sqlalchemy.event.listen(Pool, "checkin", lambda *_: self._pass("after the transaction"))
        sys.addaudithook(self._file_operation)
        # fsync has no audit event.
        os.fsync = self._around(os.fsync)  # type: ignore[assignment]

    def _pass(self, point: str) -> None:
        if len(self.passed) == self._fatal:
            os.kill(os.getpid(), SIGKILL)
        self.passed.append(point)

    def _statement(self, when: str) -> Callable[..., None]:
        def passed(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            self._pass(f"{when} {' '.join(statement.split())[:60]}")

        return passed

    def _around(self, synchronise: Callable[[int], None]) -> Callable[[int], None]:
        def passed(descriptor: int) -> None:
            self._pass("before fsync")
            synchronise(descriptor)
            self._pass("after fsync")

        return passed

    def _file_operation(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in FILE_OPERATIONS:
            return
        path = str(arguments[0])
        only_read = event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if self._files in path and not path.startswith(self._own_files) and not only_read:
            self._pass(f"before {event} of {Path(path).name}")


def main() -> None:
    """End every task at every point; prints a line for each task."""
    parser = argparse.ArgumentParser(description="Kill who works or creates at every point of their lives.")
    parser.add_argument("--every", type=int, default=1, help="at one point in so many")
    parser.add_argument("--first", type=int, default=0, help="the first point")
    parser.add_argument("--postgres", action="store_true", help="on a server, started for this")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(postgres_server(folder)) if options.postgres else None
        for came in cut_short_everywhere(StudyPlace(folder, url), options.first, options.every):
            print(came, flush=True)
            if came.problems:
                sys.exit(1)


if __name__ == "__main__":
    main()
