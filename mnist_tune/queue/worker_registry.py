"""The registry of workers: what they tell of themselves through the storage, and what they are asked to do.

A table of our own has a row for every worker.
"""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, NamedTuple

import sqlalchemy
from pydantic import BeforeValidator, Field, TypeAdapter
from sqlalchemy import orm, select

from mnist_tune.errors import Damaged, UserError
from mnist_tune.queue.cells import lock_study
from mnist_tune.queue.control import Control, read_control
from mnist_tune.records.columns import raw
from mnist_tune.records.stored_spec import spec_text, stored_spec
from mnist_tune.records.values import Count, Moment, Stored, fit
from mnist_tune.spec.sections import LeaseSettings
from mnist_tune.storage.engine import utc_now
from mnist_tune.storage.guarded import GuardedStorage
from mnist_tune.storage.optuna_internals import studies
from mnist_tune.storage.statements import changed, upsert
from mnist_tune.storage.tables import workers

FORGOTTEN_AFTER = timedelta(days=1)
"""Rows of workers that were not heard of for so long go when another registers."""


class _Row(Stored):
    """A worker's row as it should be."""

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
    """What a worker is doing, as far as the registry tells."""

    WORKING = "working"
    IDLE = "idle"
    DRAINING = "draining"
    SILENT = "silent"
    """The grace period has passed since it was last heard of."""
    LEFT = "left"


@dataclass(frozen=True)
class WorkerRow:
    """A worker as the registry has it; `trial` is the number of the trial in hand."""

    name: str
    host: str
    pid: int
    device: str
    started: datetime
    seconds_since_beat: float
    trial: int | None
    images_per_second: float | None
    state: WorkerState
    departure: str | None
    """Why it left."""

    def as_json(self) -> dict[str, Any]:
        """Plain data; the time in ISO 8601."""
        return asdict(self) | {"started": self.started.isoformat()}


class Registry(NamedTuple):
    """The study's workers, those too that left lately, oldest first; and why others cannot be read."""

    workers: list[WorkerRow]
    lost: list[str]


def read_registry(storage: GuardedStorage, study_id: int, grace_period: float) -> Registry:
    """The study's workers, as far as their rows can be read."""
    with storage.transaction() as session:
        return registry_in(session, storage, study_id, grace_period)


def registry_in(
    session: orm.Session, storage: GuardedStorage, study_id: int, grace_period: float
) -> Registry:
    """The same, in a transaction that the caller holds."""
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
        images_per_second=row.images_per_second,
        state=state,
        departure=row.departure,
    )


def ask_to_drain(
    storage: GuardedStorage, study_id: int, *, worker: str | None = None, host: str | None = None
) -> list[str]:
    """Ask the worker of this name, or all workers of a host, to finish their epoch and leave; their names.

    Raises:
        UserError: no such worker is there.
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


@dataclass(frozen=True)
class Orders:
    """What a worker finds when it has told that it lives."""

    control: Control
    drain: bool


COULD_NOT_BEGIN = "could not begin: "
"""How the departure of a worker begins that has claimed nothing."""


class Registration:
    """This process's row in the registry. Every method may be repeated after a storage error."""

    def __init__(self, storage: GuardedStorage, study_id: int, device: str) -> None:
        self._storage = storage
        self._study_id = study_id
        self._worker_id = secrets.token_hex(16)
        self._device = device
        self._mine = workers.c.worker_id == self._worker_id

    def register(self) -> LeaseSettings | None:
        """Enter the row; forget workers that were last heard of long ago.

        Returns the study's [lease] of that moment: whoever changes it from then on finds this worker here.
        None if it cannot be read.
        """
        row: dict[str, Any] = {
            "worker_id": self._worker_id,
            "study_id": self._study_id,
            "name": worker_name(),
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "device": self._device,
            "drain": False,
        }
        self._storage.migrate()  # an older version may have made the database, or stock Optuna the copy
        with self._storage.transaction() as session:
            lock_study(session, self._study_id)
            upsert(session, workers, ("worker_id",), [row], now=("started", "last_beat"))
            now = session.execute(select(utc_now())).scalar_one()
            session.execute(workers.delete().where(workers.c.last_beat < now - FORGOTTEN_AFTER))
            spec = session.execute(spec_text(self._study_id)).scalar()
        with suppress(Damaged):
            return stored_spec(spec).lease
        return None

    def beat(self, trial: int | None, images_per_second: float | None) -> Orders:
        """Tell that the worker lives and what it does; returns what it is asked to do."""
        told = {"last_beat": utc_now(), "trial": trial, "images_per_second": images_per_second}
        with self._storage.transaction() as session:
            beaten = workers.update().where(self._mine).values(told).returning(workers.c.drain)
            drain = session.execute(beaten).scalar()
            study = select(studies.c.study_id).where(studies.c.study_id == self._study_id)
            forgotten = drain is None and session.execute(study).first() is not None
        if forgotten:  # the clock was set forward: who registered then took us for long gone
            self.register()
        return Orders(read_control(self._storage, self._study_id), bool(drain))

    def leave(self, reason: str) -> None:
        """Tell why the worker is gone."""
        told = {"last_beat": utc_now(), "trial": None, "departure": reason}
        with self._storage.transaction() as session:
            changed(session, workers.update().where(self._mine).values(told))


def worker_name() -> str:
    """This process, as it is named in trials and reports."""
    return f"{socket.gethostname()}:{os.getpid()}"
