"""Cuts a process's life short before and after every statement and file operation, one by one.

Nothing that is stored changes between two of these points. What a commit leaves that is itself cut short is
for `tests.chaos` to find out.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from signal import SIGKILL
from typing import Any

import sqlalchemy
from sqlalchemy.engine import Engine
from sqlalchemy.pool import Pool

from tests.lives import Place
from tests.loaded import FORK, run_each
from tests.promises import STEPS

FILE_OPERATIONS = {"open", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "sqlite3.connect"}
"""Python's audit events, which are raised before what they tell of."""
AT_ONCE = 12


@dataclass(frozen=True)
class Run:
    """A life in a copy of a place that ends at a point of it, if there is one, and a look at what is left."""

    life: Callable[[Place], None]
    check: Callable[[Place], list[str]]
    template: Place
    point: int | None = None

    @property
    def place(self) -> Place:
        name = f"{self.life.__name__}-{'whole' if self.point is None else self.point}"
        return Place(self.template.folder.with_name(name), self.template.server)


@dataclass(frozen=True)
class Outcome:
    """What came of a run: the points it passed if it lived to its end, and what is wrong."""

    passed: list[str] | None
    problems: list[str]


def points(whole: Run) -> list[str]:
    """Those of a life that nothing ends."""
    (outcome,) = run_each(_see, [whole], 1)
    assert outcome.problems == []
    assert outcome.passed is not None
    return outcome.passed


def cut_short(whole: Run, every: range) -> list[Outcome]:
    """Let the life end at each of the points, each time in a place of its own."""
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
    """Notes the points that this process passes, and kills it at one of them."""

    def __init__(self, folder: Path, fatal: int | None) -> None:
        self.passed: list[str] = []
        self._fatal = fatal
        self._files, self._own_files = str(folder), str(folder / STEPS)

    def begin(self) -> None:
        """From now on, and for good."""
        sqlalchemy.event.listen(Engine, "before_cursor_execute", self._statement("before"))
        sqlalchemy.event.listen(Engine, "after_cursor_execute", self._statement("after"))
        sqlalchemy.event.listen(Engine, "commit", lambda *_: self._pass("before commit"))
        sqlalchemy.event.listen(Engine, "rollback", lambda *_: self._pass("before rollback"))
        # The connection goes back when either is done.
        sqlalchemy.event.listen(Pool, "checkin", lambda *_: self._pass("after the transaction"))
        sys.addaudithook(self._file_operation)
        # Files are synchronised without an audit event.
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
