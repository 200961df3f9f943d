"""The two sides of the benchmark of the queue: our worker, and stock Optuna's `optimize`.

Both work on the same grid with the same objective: three parameters, one epoch reported, no time taken.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, GridSampler, RandomSampler
from optuna.storages import RDBStorage
from optuna.study import MaxTrialsCallback, Study
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import literal, select
from sqlalchemy.engine import URL

from mnist_tune.contract.claim import Claim
from mnist_tune.queue.queue import Queue
from mnist_tune.queue.trial_rows import insert_waiting
from mnist_tune.records.distributions import Waiting, distributions, suggest, waiting_cells
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage.engine import SQLITE_BUSY_SECONDS, utc_now
from mnist_tune.storage.guarded import GuardedStorage, open_storage
from mnist_tune.storage.optuna_internals import objective_values, trials
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.store import create_study, open_study
from mnist_tune.worker.loop import RunTrial
from mnist_tune.worker.trial import Trial
from tests.benchmarks.worker_pool import Call, Log, Work
from tests.support.made_studies.epochs import made_epoch
from tests.support.studies import work

ACCURACY = 50.0
Callback = Callable[[Study, FrozenTrial], None]


class Side(Protocol):
    """One way to finish a grid."""

    def create(self, url: URL, spec: Spec, left: int) -> None:
        """Make the study in an empty database, with all but its last `left` cells complete."""

    def prepare(self, url: URL, spec: Spec, folder: Path) -> Work:
        """Open the study, as a worker does before the common start; returns the work to do from then on."""


@dataclass(frozen=True)
class Ours:
    """The worker of this package, with its claims, leases, records and artifacts."""

    run_trial: RunTrial | None = None
    """Replaces the objective that all sides share, if given."""

    def create(self, url: URL, spec: Spec, left: int) -> None:
        storage = open_storage(url, create=True)
        create_study(storage, spec)
        _complete(storage, spec.n_cells - left)
        close(storage)

    def prepare(self, url: URL, spec: Spec, folder: Path) -> Work:
        study = open_study(open_storage(url), spec.study.name)

        def run(log: Log) -> None:
            logged = LoggedStudy(study.storage, study.study_id, study.spec, study.uid, log)
            work(logged, self.run_trial or run_trial, log=lambda _: None, files=folder)

        return run


def run_trial(trial: Trial) -> float:
    """The objective that all sides share: one epoch, and no time."""
    trial.check()
    trial.epoch_done(made_epoch(1, ACCURACY), last=True)
    return ACCURACY


@dataclass(frozen=True)
class LoggedStudy(OpenStudy):
    """A study whose queue logs its calls."""

    log: Log

    def queue(self) -> Queue:
        return LoggedQueue(self)


class LoggedQueue(Queue):
    """A queue that logs each claim and each completion."""

    def __init__(self, study: LoggedStudy) -> None:
        super().__init__(study.storage, study.study_id, study.spec)
        self._log = study.log

    def claim(self, worker: str, token: str | None = None) -> Claim | None:
        begun = time.monotonic()
        claim = super().claim(worker, token)
        if claim is not None:
            self._log.claims.append(Call.since(begun, claim.parameters))
        return claim

    def complete(self, claim: Claim, value: float, **stored: Any) -> None:
        begun = time.monotonic()
        super().complete(claim, value, **stored)
        self._log.tells.append(Call.since(begun, claim.parameters))


@dataclass(frozen=True)
class Stock:
    """`Study.optimize` with Optuna's `GridSampler`, which itself ends the study."""

    patient: bool = False
    """Whether to use our busy timeout instead of the 5 seconds of Python's SQLite driver."""

    def create(self, url: URL, spec: Spec, left: int) -> None:
        storage = self._storage(url)
        optuna.create_study(study_name=spec.study.name, storage=storage, direction="maximize")
        close(storage)
        if rows := self._rows(waiting_cells(spec), left):
            guarded = GuardedStorage(url)
            study_id = guarded.get_study_id_from_name(spec.study.name)
            with guarded.transaction() as session:
                insert_waiting(session, study_id, rows)
            _complete(guarded, spec.n_cells - left)
            close(guarded)

    def prepare(self, url: URL, spec: Spec, folder: Path) -> Work:  # noqa: ARG002 - it keeps no files
        storage, sampler = self._storage(url), self._sampler(spec)
        study = optuna.load_study(study_name=spec.study.name, storage=storage, sampler=sampler)
        return lambda log: optimize(study, distributions(spec), log, self._callbacks(spec))

    def _rows(self, cells: list[Waiting], left: int) -> list[Waiting]:
        return cells[: len(cells) - left]

    def _sampler(self, spec: Spec) -> BaseSampler:
        assert spec.search.grid is not None
        return GridSampler(spec.search.grid)

    def _callbacks(self, spec: Spec) -> list[Callback]:  # noqa: ARG002 - the sampler ends the study
        return []

    def _storage(self, url: URL) -> RDBStorage:
        arguments = {"connect_args": {"timeout": SQLITE_BUSY_SECONDS}} if self.patient else None
        return RDBStorage(url.render_as_string(hide_password=False), engine_kwargs=arguments)


class StockEnqueued(Stock):
    """`Study.optimize` on trials from `Study.enqueue_trial`, until as many are complete."""

    def _rows(self, cells: list[Waiting], left: int) -> list[Waiting]:
        return super()._rows(cells, left) + [
            Waiting({}, {}, {"fixed_params": cell.system_attrs["fixed_params"]})
            for cell in cells[len(cells) - left :]
        ]

    def _sampler(self, spec: Spec) -> BaseSampler:  # noqa: ARG002 - it is asked for surplus trials only
        return RandomSampler()

    def _callbacks(self, spec: Spec) -> list[Callback]:
        return [MaxTrialsCallback(spec.n_cells, states=(TrialState.COMPLETE,))]


def optimize(study: Study, axes: dict[str, BaseDistribution], log: Log, callbacks: list[Callback]) -> None:
    """Run `Study.optimize`; a claim is the time until the objective, a tell the time until the callback."""
    since = time.monotonic()

    def objective(trial: optuna.Trial) -> float:
        nonlocal since
        asked = time.monotonic()
        parameters = {name: suggest(trial, name, axis) for name, axis in axes.items()}
        log.claims.append(Call(parameters, since, asked))
        trial.report(ACCURACY, 1)
        since = time.monotonic()
        return ACCURACY

    def told(_: Study, trial: FrozenTrial) -> None:
        log.tells.append(Call.since(since, trial.params))

    def next_turn(*_: object) -> None:
        nonlocal since
        since = time.monotonic()

    study.optimize(objective, callbacks=[told, *callbacks, next_turn])


def close(storage: RDBStorage) -> None:
    """Close all connections, so that no fork inherits one."""
    storage.remove_session()
    storage.engine.dispose()


def _complete(storage: GuardedStorage, cells: int) -> None:
    """Complete the first cells of the only study, all at once."""
    first = trials.c.number < cells
    times = {"datetime_start": utc_now(), "datetime_complete": utc_now()}
    names = ["trial_id", "objective", "value", "value_type"]
    kind = literal("FINITE", objective_values.c.value_type.type)
    values = select(trials.c.trial_id, literal(0), literal(ACCURACY), kind).where(first)
    with storage.transaction() as session:
        session.execute(trials.update().where(first).values(state=TrialState.COMPLETE, **times))
        session.execute(objective_values.insert().from_select(names, values))
