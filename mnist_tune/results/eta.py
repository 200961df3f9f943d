"""Estimates the time that trials and the whole study still take, from the epochs that are stored."""

from __future__ import annotations

import heapq
from collections import defaultdict
from datetime import datetime
from functools import cached_property
from statistics import fmean
from typing import Any

from mnist_tune.contract.study import Control
from mnist_tune.jobs.metrics import EpochMetrics
from mnist_tune.queue.worker_registry import WorkerState
from mnist_tune.results.study_results import Results
from mnist_tune.results.trial_result import State, TrialResult

COSTS_TIME = ("batch_size", "optimizer", "precision")
"""The training fields that change how long an epoch takes."""
AT_WORK = {WorkerState.WORKING, WorkerState.IDLE}
"""The states of workers that take waiting cells."""


class Pace:
    """How fast a study proceeds, from one reading of it."""

    def __init__(self, results: Results, now: datetime) -> None:
        self._results = results
        self._now = now

    @cached_property
    def n_workers(self) -> int:
        """How many workers take waiting cells."""
        if self._results.workers:
            return sum(worker.state in AT_WORK for worker in self._results.workers)
        return sum(attempt.state == State.RUNNING and not attempt.stale for attempt in self._results.latest)

    def seconds_left(self) -> float | None:
        """Seconds until the study is finished, if its workers stay; None if it cannot be estimated.

        As in the queue, each cell in turn goes to the worker that is free first.
        """
        results = self._results
        if results.is_finished or results.control is not Control.RUNNING or not self.n_workers:
            return None
        if not self._seconds_an_epoch:
            return None
        in_hand, to_come = [], []
        for attempt in results.latest:
            if attempt.state == State.RUNNING and not attempt.stale:
                in_hand.append(self._rest(attempt, self._mean(attempt)))
            elif attempt.state in (State.WAITING, State.RUNNING):
                to_come.append(self._mean(attempt) * epochs_of(results, attempt) * self._share_run)
        free_at = in_hand + [0.0] * (self.n_workers - len(in_hand))
        heapq.heapify(free_at)
        for seconds in to_come:
            heapq.heapreplace(free_at, free_at[0] + seconds)
        return max(free_at)

    def seconds_left_of(self, attempt: TrialResult) -> float | None:
        """Seconds until a running trial is done, at its own pace; None before its first epoch."""
        seconds = seconds_of(attempt)
        if attempt.state != State.RUNNING or attempt.stale or not seconds:
            return None
        return self._rest(attempt, fmean(seconds))

    def _rest(self, attempt: TrialResult, pace: float) -> float:
        """Seconds for the remaining epochs, less the time that the present epoch has taken already."""
        to_go = (epochs_of(self._results, attempt) - len(attempt.history)) * pace
        if attempt.started is None or to_go <= 0:
            return max(to_go, 0.0)
        done = sum(seconds_of(attempt))
        running = (self._now - attempt.started).total_seconds() - done
        # The database's clock and ours may differ; the bound limits the error.
        return to_go - min(max(running, 0.0), pace)

    @cached_property
    def _share_run(self) -> float:
        """The mean share of its epochs that a trial runs: less than 1 where a pruner ends some."""
        shares = [
            len(attempt.history) / epochs_of(self._results, attempt) if attempt.state == State.PRUNED else 1.0
            for attempt in self._results.finished
        ]
        return fmean(shares) if shares else 1.0

    def _mean(self, attempt: TrialResult) -> float:
        known = self._seconds_an_epoch
        return known.get(self._cost(attempt)) or known[None]

    @cached_property
    def _seconds_an_epoch(self) -> dict[Any, float]:
        """Mean seconds of an epoch by the fields in `COSTS_TIME`, and of all epochs under None.

        Only epochs of present workers count once there are any: others may have been faster. Empty before the
        first epoch.
        """
        here = {worker.name for worker in self._results.workers if worker.state in AT_WORK}
        attempts = [attempt for attempt in self._results.attempts if seconds_of(attempt)]
        attempts = [attempt for attempt in attempts if attempt.worker in here] or attempts
        seconds: dict[Any, list[float]] = defaultdict(list)
        for attempt in attempts:
            for key in (None, self._cost(attempt)):
                seconds[key] += seconds_of(attempt)
        return {key: fmean(values) for key, values in seconds.items()}

    def _cost(self, attempt: TrialResult) -> tuple[Any, ...]:
        return tuple(attempt.parameters.get(name) for name in COSTS_TIME)


def own_epochs(attempt: TrialResult) -> list[EpochMetrics]:
    """The epochs that the attempt ran itself, without those of the attempt from which it went on."""
    return attempt.history[(attempt.resumed or {}).get("epoch", 0) :]


def seconds_of(attempt: TrialResult) -> list[float]:
    """The seconds of each epoch that the attempt ran itself, where they are known."""
    return [epoch.seconds for epoch in own_epochs(attempt) if epoch.seconds is not None]


def epochs_of(results: Results, attempt: TrialResult) -> int:
    """How many epochs the attempt is to have."""
    return int(results.spec.epochs(attempt.parameters))
