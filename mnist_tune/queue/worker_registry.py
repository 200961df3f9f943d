"""The registry of workers: what each tells about itself, and what it is asked to do.

A table of our own has one row for each worker.
"""

from __future__ import annotations

import functools
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, NamedTuple

import sqlalchemy
from pydantic import BeforeValidator, Field, TypeAdapter
from sqlalchemy import bindparam, orm, select

from mnist_tune.contract.study import Orders, WorkerFacts
from mnist_tune.errors import Damaged, UserError
from mnist_tune.jobs.hyperparameters import Count
from mnist_tune.queue.cells import lock_study
from mnist_tune.queue.control import control_in
from mnist_tune.records.columns import raw
from mnist_tune.records.stored_spec import spec_text, stored_spec
from mnist_tune.records.values import Moment, StoredModel, Text, fit
from mnist_tune.spec.sections import LeaseSettings
from mnist_tune.storage.engine import utc_now
from mnist_tune.storage.guarded import GuardedStorage
from mnist_tune.storage.optuna_internals import studies
from mnist_tune.storage.prepared import Prepared
from mnist_tune.storage.statements import database_time, upsert
from mnist_tune.storage.tables import workers

FORGOTTEN_AFTER = timedelta(days=1)
"""The row of a worker that has been silent for so long is deleted when another worker registers."""


class _Row(StoredModel):
    """The types that a worker's row must have."""

    name: str
    host: str
    pid: Count
    device: str
    started: Moment
    last_beat: Moment
    now: datetime
    trial: Count | None
    images_per_second: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None
    drain: Annotated[bool, BeforeValidator(bool)]
    departure: str | None


ROW = TypeAdapter(_Row)


class WorkerState(StrEnum):
    """What a worker is doing, as far as the registry knows."""

    WORKING = "working"
    IDLE = "idle"
    DRAINING = "draining"
    SILENT = "silent"
    """It has not been heard of for longer than the grace period."""
    LEFT = "left"


@dataclass(frozen=True)
class WorkerRow:
    """A worker as the registry knows it; `trial` is the number of the trial that it works on."""

    name: str
    host: str
    pid: int
    device: str
    started: datetime
    seconds_since_beat: float
    trial: int | None
    units_per_second: float | None
    """How fast it trains, in the job's unit."""
    state: WorkerState
    departure: str | None
    """Why the worker left; None while it has not."""

    def as_json(self, rate: str | None) -> dict[str, Any]:
        """The row as plain data for JSON; the start is in ISO 8601, the speed has the job's name for it."""
        plain = asdict(self) | {"started": self.started.isoformat()}
        named = {rate if key == "units_per_second" else key: value for key, value in plain.items()}
        return {key: value for key, value in named.items() if key is not None}


class Registry(NamedTuple):
    """The study's workers, oldest first, with those that left lately; `lost`: why rows cannot be read."""

    workers: list[WorkerRow]
    lost: list[str]


def read_registry(storage: GuardedStorage, study_id: int, grace_period: float) -> Registry:
    """Read the study's workers, as far as their rows can be read."""
    with storage.transaction() as session:
        return registry_in(session, storage, study_id, grace_period)


def registry_in(
    session: orm.Session, storage: GuardedStorage, study_id: int, grace_period: float
) -> Registry:
    """Read the study's workers in a transaction that the caller holds."""
    rows = (
        select(*raw(workers, *workers.c.keys()), utc_now().label("now"))
        .where(workers.c.study_id == study_id)
        .order_by(workers.c.started, workers.c.worker_id)
    )
    registry = Registry([], [])
    if not storage.has(session, workers):
        return registry
    for row in session.execute(rows).mappings():
        try:
            registry.workers.append(_worker(fit(ROW, dict(row)), grace_period))
        except Damaged as problem:
            registry.lost.append(f"worker {row['worker_id']}: its row: {problem}")
    return registry


def _worker(row: _Row, grace_period: float) -> WorkerRow:
    silent = (row.now - row.last_beat).total_seconds()
    if row.departure is not None:
        state = WorkerState.LEFT
    elif silent > grace_period:
        state = WorkerState.SILENT
    elif row.drain:
        state = WorkerState.DRAINING
    else:
        state = WorkerState.IDLE if row.trial is None else WorkerState.WORKING
    return WorkerRow(
        name=row.name,
        host=row.host,
        pid=row.pid,
        device=row.device,
        started=row.started,
        seconds_since_beat=silent,
        trial=row.trial,
        units_per_second=row.images_per_second,
        state=state,
        departure=row.departure,
    )


def ask_to_drain(
    storage: GuardedStorage, study_id: int, *, worker: str | None = None, host: str | None = None
) -> list[str]:
    """Ask one worker, or all workers of a host, to finish their epoch and leave; returns their names.

    Raises:
        UserError: no such worker is on the study.
    """
    which = workers.c.name == worker if worker is not None else workers.c.host == host
    there = sqlalchemy.and_(workers.c.study_id == study_id, workers.c.departure.is_(None), which)
    with storage.transaction() as session:
        known = storage.has(session, workers)
        asked = workers.update().where(there).values(drain=True).returning(workers.c.name)
        names = list(session.execute(asked).scalars()) if known else []
    if not names:
        wanted = f"no worker '{worker}'" if worker is not None else f"no worker on host '{host}'"
        here = select(workers.c.name).where(workers.c.study_id == study_id, workers.c.departure.is_(None))
        with storage.transaction() as session:
            present = list(session.execute(here).scalars()) if known else []
        there_are = f"there are: {', '.join(map(str, present))}" if present else "there are none"
        raise UserError(f"{wanted} is on this study; {there_are}")
    return names


def _mine(change: sqlalchemy.Update) -> sqlalchemy.Update:
    """A change of one worker's row."""
    is_mine = workers.c.worker_id == bindparam("of_worker"), workers.c.study_id == bindparam("of_study")
    return change.where(*is_mine)


TOLD = {
    workers.c.last_beat: utc_now(),
    workers.c.trial: bindparam("in_hand"),
    workers.c.images_per_second: bindparam("rate"),
}
BEAT = Prepared(_mine(workers.update()).values(TOLD).returning(workers.c.drain))
LEAVE = Prepared(
    _mine(workers.update()).values(last_beat=utc_now(), trial=None, departure=bindparam("reason"))
)
FORGET = Prepared(workers.delete().where(workers.c.last_beat < bindparam("long_ago")))


class Registration:
    """A worker's row in the registry. Every method may be repeated after a storage error."""

    def __init__(self, storage: GuardedStorage, study_id: int, worker: WorkerFacts) -> None:
        self._storage = storage
        self._study_id = study_id
        self._worker = worker
        self._mine = {"of_worker": worker.id, "of_study": study_id}

    def register(self) -> LeaseSettings | None:
        """Write this worker's row, and forget workers that were last heard of long ago.

        Returns the study's [lease] as it is now, or None if it cannot be read. Whoever changes it later finds
        this worker in the registry.
        """
        row: dict[str, Any] = {
            "worker_id": self._worker.id,
            "study_id": self._study_id,
            "name": self._worker.name,
            "host": self._worker.host,
            "pid": self._worker.pid,
            "device": self._worker.device,
            "drain": False,
        }
        self._storage.have_tables()  # an older version, or a copy by stock Optuna, has no such table
        with self._storage.transaction() as session:
            lock_study(session, self._study_id)
            # A call that a slow network delivers late must not take back what the worker was asked to do.
            once = ("started", "drain")
            upsert(session, workers, ("worker_id",), [row], now=("started", "last_beat"), once=once)
            now = database_time(session)
            FORGET.execute(session, {"long_ago": now - FORGOTTEN_AFTER})
            text = spec_text(session, self._study_id)
        with suppress(Damaged):
            return _lease(text)
        return None

    def beat(self, trial: int | None, units_per_second: float | None) -> Orders:
        """Store that the worker lives and what it does; returns what it is asked to do."""
        told = {"in_hand": trial, "rate": units_per_second}
        with self._storage.transaction() as session:
            mine = BEAT.execute(session, self._mine | told).first()
            study = select(studies.c.study_id).where(studies.c.study_id == self._study_id)
            is_forgotten = mine is None and session.execute(study).first() is not None
            control = control_in(session, self._study_id)
        if is_forgotten:  # the clock was set forward, and another worker has deleted this one's row
            self.register()
        return Orders(control, mine is not None and bool(mine.drain))

    def leave(self, reason: str) -> None:
        """Store why the worker has left."""
        with self._storage.transaction() as session:
            LEAVE.execute(session, self._mine | {"reason": reason})


@functools.lru_cache(maxsize=64)
def _lease(spec: Text) -> LeaseSettings:
    """The [lease] in the JSON text of a spec, which all workers of a study read. Raises Damaged."""
    return stored_spec(spec).lease
