"""Short tasks of processes that write to a study, and what must be true after one was killed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL
from typing import Any, LiteralString
from unittest.mock import patch

import psycopg
from psycopg.sql import SQL, Identifier
from sqlalchemy import func, select
from sqlalchemy.engine import make_url

from mnist_tune.cli.studies import create_study
from mnist_tune.errors import UserError
from mnist_tune.spec.growth import Growth
from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.guarded import GuardedStorage, open_storage
from mnist_tune.storage.migrations import version_of
from mnist_tune.storage.optuna_internals import trials
from mnist_tune.storage.tables import epochs, has_table, versions
from mnist_tune.study.extend import extend_study
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.store import open_study
from mnist_tune.verification import verify
from mnist_tune.worker.loop import Ended
from mnist_tune.worker.signals import StopRequest
from tests.support.forked_processes import FORK
from tests.support.logged_job import InEpoch, Job, LoggedStorage, StepLog
from tests.support.specs import write_spec
from tests.support.studies import work
from tests.system.promise_checks import STEPS, broken_promises

SPEC = """
[study]
name = "tiny"

[search.grid]
seed = [0, 1, 2]

[training]
epochs = 2

[lease]
heartbeat_interval = 0.2
grace_period = 0.6

[retry]
lost = -1

[limits]
checkpoint_interval = 0
"""
CELLS = 3
GROWN = 8
"""How many cells it has after `extend`: four seeds at two learning rates."""


@dataclass(frozen=True)
class StudyPlace:
    """A folder and its database: a file in the folder, or a database of the folder's name on a server."""

    folder: Path
    server: str | None = None

    @property
    def url(self) -> str:
        if self.server is None:
            return f"sqlite:///{self.folder}/studies.db"
        return make_url(self.server).set(database=self.folder.name).render_as_string(hide_password=False)

    def make(self, like: StudyPlace | None = None) -> None:
        """Make the place, empty or as a copy of another."""
        if like is None:
            self.folder.mkdir(parents=True)
        else:
            shutil.copytree(like.folder, self.folder)
        self._on_server(
            "CREATE DATABASE {} TEMPLATE {}", self.folder.name, like.folder.name if like else "template1"
        )

    def remove(self) -> None:
        """Delete the folder and its database."""
        shutil.rmtree(self.folder)
        self._on_server("DROP DATABASE {} WITH (FORCE)", self.folder.name)

    def study(self) -> OpenStudy:
        """The study in this place."""
        return open_study(LoggedStorage(storage_url(self.url), StepLog(self.folder / STEPS)), "tiny")

    def _on_server(self, statement: LiteralString, *names: str) -> None:
        if self.server is not None:
            with psycopg.connect(self.server, autocommit=True) as connection:
                connection.execute(SQL(statement).format(*map(Identifier, names)))


def create(place: StudyPlace) -> None:
    """Make a study."""
    with redirect_stdout(None):
        create_study(write_spec(place.folder, SPEC), storage=place.url)


def work_to_the_end(place: StudyPlace) -> None:
    """Run a new cell, resume one that was given back, and take one over from a dead worker."""
    with heartbeat_in_hand() as beat:
        _work(place, lambda _: beat())


def extend(place: StudyPlace) -> None:
    """Give the study a value of an axis that it has, and one of a new axis."""
    wanted = Growth(values={"seed": [3], "learning_rate": [0.003]})
    extend_study(open_study(open_storage(storage_url(place.url)), "tiny"), wanted, "0" * 32)


def drain(place: StudyPlace) -> None:
    """Work, and be asked to stop in the first epoch."""
    stop = StopRequest()
    with heartbeat_in_hand() as beat:

        def asked(_: Any) -> None:
            beat()
            stop.request("stopped")

        _work(place, asked, stop)


def half_done(place: StudyPlace) -> None:
    """Make a study with a cell that was given back, one whose worker died, and a new one."""
    create(place)
    stop = StopRequest()
    for life in (
        lambda: _work(place, lambda _: stop.request("stopped"), stop),
        lambda: _work(place, in_epoch=_dies_in_the_second()),
    ):
        process = FORK.Process(target=life)
        process.start()
        process.join()


def of_version_0(place: StudyPlace) -> None:
    """Make a study as version 0.5.0 left it: without our table of epochs and our tables' version."""
    create(place)
    with open_storage(storage_url(place.url)).transaction() as session:
        for table in (epochs, versions):
            table.drop(session.connection())
        if place.server is None:
            session.connection().exec_driver_sql("DROP TRIGGER mnist_tune_delete_epochs")


def migrate(place: StudyPlace) -> None:
    """Bring our tables up to date, as a worker does when it registers."""
    open_storage(storage_url(place.url)).migrate()


def migrated_or_as_before(place: StudyPlace) -> list[str]:
    """Check after `migrate`: our tables, and the study after a worker has then finished it."""
    with open_storage(storage_url(place.url)).transaction() as session:
        version, has_epochs = version_of(session.connection()), has_table(session.connection(), epochs)
    problems = [] if (version, has_epochs) in ((0, False), (1, True)) else [f"{version}, {has_epochs}"]
    return problems + finished_by_another(place)


def whole_or_not_there(place: StudyPlace) -> list[str]:
    """Check after `create`: what it left, and the study after it was created again."""
    try:
        before = _trials(open_storage(storage_url(place.url)))
    except UserError:  # no database yet, or an empty one
        before = 0
    create(place)
    storage = open_storage(storage_url(place.url))
    after = _trials(storage)
    verification = verify(storage, "tiny", place.folder, place.folder)
    problems = [str(outcome) for outcome in verification.outcomes if outcome.findings]
    if before not in (0, CELLS) or after != CELLS:
        problems.append(f"{before} trials are left of the first try, {after} are there after the second")
    return problems


def extended_or_as_before(place: StudyPlace) -> list[str]:
    """Check after `extend`: all or nothing of it, and the study after it was extended again and finished."""
    storage = open_storage(storage_url(place.url))
    problems = []
    before = open_study(storage, "tiny").spec.n_cells
    for _ in range(2):
        verification = verify(storage, "tiny", place.folder / "artifacts", place.folder / "checkpoints")
        problems += [str(outcome) for outcome in verification.broken]
        extend(place)
    after = open_study(storage, "tiny").spec.n_cells
    if before not in (CELLS, GROWN) or after != GROWN:
        problems.append(f"it had {before} cells after the first try, and {after} after the second")
    return problems + finished_by_another(place)


def finished_by_another(place: StudyPlace) -> list[str]:
    """Check after any worker was killed: the study after another worker has finished it."""
    study = place.study()
    ended = _work(place, lambda _: None, study=study)
    problems = [] if ended is Ended.FINISHED else [f"the other worker left: {ended}"]
    return problems + broken_promises(study, place.folder)


@contextmanager
def heartbeat_in_hand() -> Iterator[Callable[[], None]]:
    """Replace the heartbeat's thread by a call, so that every run does the same in the same order."""
    beats: list[Callable[[], None]] = []

    @contextmanager
    def noted(beat: Callable[[], None], *_: object) -> Iterator[None]:
        beats.append(beat)
        yield

    with patch("mnist_tune.worker.loop.Heartbeat", noted):
        yield lambda: beats[-1]()


def _work(
    place: StudyPlace, in_epoch: InEpoch, stop: StopRequest | None = None, study: OpenStudy | None = None
) -> Ended:
    study = study or place.study()
    states = place.folder / "checkpoints" / study.uid
    job = Job(study.spec, states, StepLog(place.folder / STEPS), in_epoch)
    return work(study, job, stop, log=lambda _: None, files=place.folder)


def _dies_in_the_second() -> InEpoch:
    epochs = iter((1, 2))
    return lambda _: os.kill(os.getpid(), SIGKILL) if next(epochs) == 2 else None


def _trials(storage: GuardedStorage) -> int:
    with storage.transaction() as session:
        return session.execute(select(func.count()).select_from(trials)).scalar_one()
