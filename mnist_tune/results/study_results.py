"""A study to frozen rows: its cells, their attempts, the ranking, and what to be careful about."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import select

from mnist_tune.errors import UserError
from mnist_tune.jobs.metrics import EpochMetrics
from mnist_tune.queue.control import Control, WorkerRow, read_registry, stored_control
from mnist_tune.queue.heartbeat_monitor import seconds_since_heartbeat
from mnist_tune.records.trained import UNEXPLAINED, UNTRAINED
from mnist_tune.records.trials import StoredTrial, read_trials
from mnist_tune.records.values import Damaged, Stored
from mnist_tune.results import losses
from mnist_tune.results.evidence import evidence, reservations, verdict
from mnist_tune.results.ranking import SEED, Candidate, EndedEarly, Place, Verdict, ended_early, rank
from mnist_tune.spec.study_spec import SETTINGS, Spec
from mnist_tune.storage.engine import snapshot
from mnist_tune.storage.keys import ENVIRONMENT, FAILURE, HISTORY, LOG, NOT_KEPT, RESUMED, REUSED, WORKER
from mnist_tune.storage.optuna_internals import studies
from mnist_tune.study.store import OpenStudy
from mnist_tune.text.wording import shortened

COMPARED = ("device_name", "precision", "threads", "data_sha256", "mnist_tune", "torch")
"""Parts of the environment that change the numbers: cells that differ in them are not like for like."""


@dataclass(frozen=True)
class Attempt:
    """One trial: an attempt at a cell. Times are in UTC; accuracies in percent."""

    number: int
    cell: int
    attempt: int
    state: str
    parameters: dict[str, Any]
    value: float | None
    history: list[EpochMetrics]
    worker: str | None
    environment: dict[str, Any]
    resumed: dict[str, Any] | None
    """The epoch it went on from, whose metrics stand in its history too, or why it began anew."""
    failure: dict[str, str] | None
    started: datetime | None
    ended: datetime | None
    stale: bool
    artifacts: dict[str, str] = field(default_factory=dict)
    """The files that were kept of it: Optuna's artifact ids by file name."""
    reused: dict[str, Any] | None = None
    """The study and the trial it was taken over from, which is where and when it ran."""
    log: str | None = None
    """What its worker said, as the storage has it."""
    not_kept: dict[str, str] = field(default_factory=dict)
    """Why its `weights`, or its last `state` to go on from, could not be written."""
    problems: tuple[str, ...] = ()
    """What of it is stored and cannot be read, and why."""
    is_sound: bool = True
    """Whether it is known what was run and, of a complete one, what came of it."""
    comes_back: bool = False
    """Of one that another program has ended as failed: any worker puts its cell back."""

    def as_json(self) -> dict[str, Any]:
        """Plain data without the log; times in ISO 8601, in UTC."""
        plain = asdict(self)
        del plain["log"], plain["is_sound"], plain["comes_back"]
        times = {key: getattr(self, key) for key in ("started", "ended")}
        return plain | {key: time and time.isoformat() for key, time in times.items()}


@dataclass(frozen=True)
class Cells:
    """How many cells are in which state; `failed` counts holes: cells that nobody will try again."""

    total: int
    waiting: int
    running: int
    complete: int
    pruned: int
    failed: int


@dataclass(frozen=True)
class Results:
    """Everything a report needs to know of a study."""

    spec: Spec
    attempts: list[Attempt]
    control: Control = Control.RUNNING
    workers: list[WorkerRow] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    """What is stored and cannot be read beside the attempts: trials that are none of these, workers, ..."""
    others: list[str] = field(default_factory=list)
    """Of what other programs have made of the study's trials: what does not count, and why."""
    deleted: list[int] = field(default_factory=list)
    """The cells of which no trial is left."""

    @property
    def name(self) -> str:
        return self.spec.study.name

    @cached_property
    def latest(self) -> list[Attempt]:
        """Each cell's last attempt, which is what the cell is: a retry follows the attempt it is for."""
        return list({attempt.cell: attempt for attempt in self.attempts}.values())

    @cached_property
    def complete(self) -> list[Attempt]:
        """The attempts that have completed their cells, with a result that can be read."""
        return [attempt for attempt in self.finished if attempt.state == "complete"]

    @cached_property
    def finished(self) -> list[Attempt]:
        """Those and the ones that the pruner has ended: no cell of theirs is tried again."""
        ended = (attempt for attempt in self.attempts if attempt.state in ("complete", "pruned"))
        return [attempt for attempt in ended if attempt.is_sound]

    @cached_property
    def ranking(self) -> list[Place]:
        """The configurations of the completed cells, best mean validation accuracy over seeds first."""
        axis = self.spec.search.grid and self.spec.search.grid.get(SEED)
        data = self.spec.data
        return rank(self.finished, self.spec.training.seed, data.validation_size, len(axis) if axis else 1)

    @cached_property
    def ended_early(self) -> list[EndedEarly]:
        """The configurations that the pruner has judged worse: they are in no place."""
        return ended_early(self.finished, self.spec.training.seed)

    @cached_property
    def evidence(self) -> list[str]:
        """What the ranking shows and what it does not."""
        return list(evidence(self.ranking, self.spec, len(self.ended_early), n_open=self._n_open))

    @property
    def reservations(self) -> list[str]:
        """Of the evidence, why the ranking may change."""
        return list(reservations(self.ranking, self.spec, self._n_open))

    def verdict(self, place: Place) -> str:
        """A place's verdict, in the words in which it is shown everywhere."""
        return verdict(place, is_finished=self.is_finished)

    @cached_property
    def cells(self) -> Cells:
        """How the cells stand."""
        states = Counter("waiting" if attempt.comes_back else attempt.state for attempt in self.latest)
        return Cells(
            total=self.spec.n_cells,
            waiting=states["waiting"],
            running=states["running"],
            complete=states["complete"],
            pruned=states["pruned"],
            failed=states["failed"] + len(self.deleted),
        )

    @property
    def best(self) -> Candidate | None:
        """The configuration on top of the ranking."""
        return self.ranking[0].candidate if self.ranking else None

    @property
    def best_word(self) -> str:
        """What it is called: before the end of a study it may change."""
        return self.verdict(self.ranking[0]) if self.ranking else Verdict.BEST

    @property
    def tied(self) -> list[Candidate]:
        """The others that may be as good as the best, for all that is known."""
        return [place.candidate for place in self.ranking[1:] if place.is_tied]

    @property
    def is_finished(self) -> bool:
        """Whether every cell has ended, well or as a hole."""
        return self._n_open == 0

    @property
    def _n_open(self) -> int:
        return self.cells.waiting + self.cells.running

    @property
    def holes(self) -> list[Attempt]:
        """The last attempt at each cell that nobody will try again; of `deleted` cells there is none."""
        return [attempt for attempt in self.latest if attempt.state == "failed" and not attempt.comes_back]

    @property
    def without_weights(self) -> list[Attempt]:
        """The completed cells whose weights could not be written: no folder has what they were trained to."""
        return [attempt for attempt in self.complete if losses.WEIGHTS in attempt.not_kept]

    @property
    def problems(self) -> list[str]:
        """What is stored of the study and cannot be read, one line each."""
        of_attempts = ((attempt.number, problem) for attempt in self.attempts for problem in attempt.problems)
        return [*self.lost, *(f"trial {number}: {problem}" for number, problem in of_attempts)]

    @property
    def warnings(self) -> list[str]:
        """What makes the cells' numbers less comparable than they look, and what does not count at all."""
        seen: dict[str, set[str]] = defaultdict(set)
        for attempt in self.attempts:
            if attempt.state in ("complete", "pruned", "running"):
                for key in COMPARED:
                    if key in attempt.environment:
                        seen[key].add(shortened(str(attempt.environment[key]), 40))
        deleted = [f"no trial of cell {cell} is left: somebody deleted it" for cell in self.deleted]
        differing = [
            f"cells differ in {key} ({', '.join(sorted(values))}): not like for like"
            for key, values in seen.items()
            if len(values) > 1 and key not in self.spec.search.axes
        ]
        return [*self.others, *deleted, *differing, *losses.warnings(self)]

    def as_json(self) -> dict[str, Any]:
        """The plain data that `status --json` prints."""
        best = self.best
        return {
            "study": self.name,
            "control": self.control,
            "cells": asdict(self.cells),
            "finished": self.is_finished,
            "best": best and self.ranking[0].as_json() | {"trial": best.first.number, "value": best.mean},
            "ranking": [place.as_json() for place in self.ranking],
            "ended_early": [one.as_json() for one in self.ended_early],
            "evidence": self.evidence,
            "trials": [attempt.as_json() for attempt in self.attempts],
            "workers": [worker.as_json() for worker in self.workers],
            "settings": {table: getattr(self.spec, table).model_dump() for table in SETTINGS},
            "warnings": self.warnings,
            "problems": self.problems,
        }


def read_results(study: OpenStudy, *, with_logs: bool = False) -> Results:
    """Read the study as it is now. Writes nothing. Workers' logs, which may be long, come if they are wanted.

    Raises:
        UserError: the study has been deleted.
    """
    storage = study.storage
    silent = seconds_since_heartbeat(storage, study.study_id)
    with storage.transaction() as session:
        snapshot(session.connection())
        is_there = session.execute(select(studies.c.study_id).where(studies.c.study_id == study.study_id))
        if is_there.first() is None:
            raise UserError(f"study '{study.name}' has been deleted meanwhile")
        stored = read_trials(session, study.study_id, study.spec, with_logs=with_logs)
    tries: Counter[int] = Counter()
    attempts = []
    for trial in stored.trials:
        tries[trial.cell] += 1
        age = silent.get(trial.trial_id, 0.0)
        if isinstance(age, Damaged):
            trial = replace(trial, problems=(*trial.problems, f"its heartbeat {age}"))
        stale = isinstance(age, float) and age > study.spec.lease.grace_period
        attempts.append(_attempt(trial, tries[trial.cell], stale))
    registry = read_registry(storage, study.study_id, study.spec.lease.grace_period)
    lost = [*stored.lost, *registry.lost]
    control = Control.RUNNING
    try:
        control = stored_control(storage, study.study_id)
    except Damaged as problem:
        lost.append(f"the study's control {problem}; workers take it for '{control}'")
    return Results(study.spec, attempts, control, registry.workers, lost, stored.others, stored.deleted)


def _attempt(trial: StoredTrial, attempt: int, stale: bool) -> Attempt:
    known = trial.attributes
    failure = _plain(known.get(FAILURE))
    if not trial.is_explained:
        failure = UNEXPLAINED.stored()
    elif not trial.is_trained:
        failure = UNTRAINED.stored()
    return Attempt(
        number=trial.number,
        cell=trial.cell,
        attempt=attempt,
        state="failed" if trial.has_failed else trial.state.name.lower(),
        parameters=trial.parameters,
        value=trial.value,
        history=known.get(HISTORY, []),
        worker=known.get(WORKER),
        environment=known.get(ENVIRONMENT, {}),
        resumed=_plain(known.get(RESUMED)),
        failure=failure,
        started=trial.started,
        ended=trial.ended,
        stale=stale,
        artifacts=trial.files,
        reused=_plain(known.get(REUSED)),
        not_kept=_plain(known.get(NOT_KEPT)) or {},
        log=known.get(LOG),
        problems=trial.problems,
        is_sound=trial.is_sound,
        comes_back=not trial.is_explained,
    )


def _plain(stored: Stored | None) -> dict[str, Any] | None:
    return None if stored is None else stored.model_dump(by_alias=True, exclude_none=True)
