"""The studies of a head as they stand now, for its pages: read when somebody looks, and not too often."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from mnist_tune.contract.study import StorageAway
from mnist_tune.errors import MnistTuneError
from mnist_tune.service.calls import StudiesForPeople

if TYPE_CHECKING:  # they load Optuna, for which a head's start need not wait
    from mnist_tune.queue.worker_registry import WorkerRow
    from mnist_tune.results.study_results import Results

SECONDS = 1.0
"""A study is read at most once in so many seconds."""
SECONDS_OF_A_FINISHED_ONE = 15.0
"""The same for one that is finished and that nobody works on: little happens in it."""
SHARE = 0.2
"""The most of a time that goes into reading: answers to workers come first."""
ORDER = ("complete", "pruned", "running", "waiting", "failed")
"""The states of cells as a bar shows them."""


@dataclass(frozen=True)
class WorkerNow:
    """A worker that has not left, in words."""

    name: str
    host: str
    device: str
    state: str
    trial: str
    speed: str
    last_beat: str


@dataclass(frozen=True)
class StudyNow:
    """How a study stands."""

    name: str
    standing: str = ""
    """How far it is, in one line."""
    best: str = ""
    """The first configuration of the ranking; empty while there is none."""
    by_state: dict[str, int] = field(default_factory=dict)
    """How many cells are in each state, in the order of `ORDER`."""
    workers: tuple[WorkerNow, ...] = ()
    epochs: int = 0
    """How many epochs its trials have stored."""
    claims: int = 0
    """How many attempts were claimed."""
    warnings: int = 0
    """How many things there are to be careful about."""
    problem: str | None = None
    """Why it cannot be read."""

    @property
    def total(self) -> int:
        """How many cells it has."""
        return sum(self.by_state.values())

    @property
    def finished(self) -> int:
        """How many cells have ended, with a result or as failed for good."""
        return sum(self.by_state.get(state, 0) for state in ("complete", "pruned", "failed"))

    @property
    def is_quiet(self) -> bool:
        """Whether it is finished, and nobody works on it."""
        return self.problem is None and self.finished == self.total and not self.workers

    def bar(self) -> list[tuple[str, int, int]]:
        """The parts of a bar that shows the cells: each state, where its part begins, and its length."""
        parts, begin = [], 0
        for state, count in self.by_state.items():
            if count:
                parts.append((state, begin, count))
            begin += count
        return parts


class Lookout:
    """Reads the studies for all who look at them; nothing is read while nobody does."""

    def __init__(self, people: StudiesForPeople, clock: Callable[[], float] = time.monotonic) -> None:
        self._people = people
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()
        self._studies: dict[str, tuple[StudyNow, float]] = {}
        """By name, in their order, and when each was read."""
        self._again_at = float("-inf")

    async def now(self) -> list[StudyNow]:
        """The studies as they were a moment ago, oldest first. Raises StorageAway or StorageFailed."""
        async with self._one_at_a_time:
            if self._clock() >= self._again_at:
                began = self._clock()
                try:
                    self._studies = await run_in_threadpool(self._read)
                finally:
                    took = self._clock() - began
                    self._again_at = self._clock() + max(SECONDS, took * (1 / SHARE - 1))
            return [study for study, _ in self._studies.values()]

    def _read(self) -> dict[str, tuple[StudyNow, float]]:
        return {name: self._study(name) for name in self._people.study_names()}

    def _study(self, name: str) -> tuple[StudyNow, float]:
        now = self._clock()
        known = self._studies.get(name)
        if known is not None and known[0].is_quiet and now < known[1] + SECONDS_OF_A_FINISHED_ONE:
            return known
        try:
            return _study_now(name, self._people.results(name)), now
        except StorageAway:
            raise
        except MnistTuneError as error:
            return StudyNow(name, problem=str(error)), now


def _study_now(name: str, results: Results) -> StudyNow:
    from mnist_tune.queue.worker_registry import WorkerState
    from mnist_tune.results.eta import own_epochs
    from mnist_tune.results.standing import totals
    from mnist_tune.results.trial_result import State
    from mnist_tune.text.wording import configuration

    claimed = [attempt for attempt in results.attempts if attempt.state != State.WAITING]
    claimed = [attempt for attempt in claimed if attempt.reused is None]
    best = results.best
    return StudyNow(
        name=name,
        standing=totals(results),
        best="" if best is None else f"{results.best_word}: {configuration(best.parameters)}",
        by_state={state: getattr(results.cells, state) for state in ORDER},
        workers=tuple(
            _worker_now(worker, results) for worker in results.workers if worker.state != WorkerState.LEFT
        ),
        epochs=sum(len(own_epochs(attempt)) for attempt in claimed),
        claims=len(claimed),
        warnings=len(results.warnings) + len(results.problems),
    )


def _worker_now(worker: WorkerRow, results: Results) -> WorkerNow:
    from mnist_tune.text.wording import duration, first_line

    return WorkerNow(
        name=first_line(worker.name),
        host=first_line(worker.host),
        device=first_line(worker.device),
        state=str(worker.state),
        trial="" if worker.trial is None else str(worker.trial),
        speed=results.job.speed(worker.units_per_second),
        last_beat=f"{duration(worker.seconds_since_beat)} ago",
    )
