"""Runs a job's function for one trial: epochs, times, metrics, saved states, and how it ends."""

from __future__ import annotations

import math
import numbers
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from mnist_tune.jobs.description import SECONDS, JobDescription, is_taken, words
from mnist_tune.jobs.hyperparameters import Hyperparameters
from mnist_tune.jobs.interface import Job, JobMistake, NonFiniteMetric
from mnist_tune.jobs.metrics import EpochMetrics
from mnist_tune.jobs.saved_files import as_file, file_name
from mnist_tune.jobs.states import KeptStates, StateUnusable


class TrialEnded(BaseException):
    """Ends a job's function from within `report`, `check` or `epochs`; it is no error."""


class Abandoned(TrialEnded):
    """The worker has given the trial up."""


class Drained(TrialEnded):
    """The worker was asked to leave, and the trial is saved."""


class _StartAnew(TrialEnded):
    """A saved state cannot be used, and objects may have taken a part of it."""


class Worker(Protocol):
    """What a host asks of the process that it is in, and tells it."""

    def began(self, facts: dict[str, Any], history: list[EpochMetrics], problem: str | None) -> None:
        """The first epoch is about to begin, after those in `history`."""

    def epoch_done(self, metrics: EpochMetrics, state: Callable[[], bytes] | None, *, is_last: bool) -> bool:
        """An epoch is done, with a function that makes its state; returns whether to stop here."""

    def check(self) -> None:
        """Raise Abandoned if the trial must stop at once."""

    def say(self, line: str) -> None:
        """Write a line to the trial's log."""


@dataclass
class HostedTrial:
    """A trial as its job sees it: see `jobs.interface.Trial`."""

    settings: Hyperparameters
    data: Any
    device: str
    threads: int | None
    data_directory: Path | None
    _job: JobDescription
    _worker: Worker
    _states: KeptStates
    files: dict[str, bytes] = field(default_factory=dict)
    """The files that the job has saved, by name."""
    history: list[EpochMetrics] = field(default_factory=list)
    _facts: dict[str, Any] = field(default_factory=dict)
    _has_begun: bool = False
    _began_epoch: float = 0.0
    _expected: int = 0
    """The number of the epoch that is running; 0 between epochs."""

    def keep(self, **objects: Any) -> None:
        if self._has_begun:
            raise JobMistake("trial.keep comes before trial.epochs")
        try:
            self._states.keep(objects)
        except StateUnusable:
            raise _StartAnew from None

    def note(self, **facts: str | float | None) -> None:
        if self._has_begun:
            raise JobMistake("trial.note comes before trial.epochs")
        self._facts |= facts

    def log(self, line: str) -> None:
        self._worker.say(line)

    def check(self) -> None:
        self._worker.check()

    def epochs(self) -> Iterator[int]:
        if self._has_begun:
            raise JobMistake("trial.epochs is called twice; one loop runs all epochs")
        self._has_begun = True
        try:
            self.history = self._states.resume()
        except StateUnusable:
            raise _StartAnew from None
        self._worker.began(self._facts, list(self.history), self._states.problem)
        if not self._states.is_kept:
            self._worker.say("the job keeps no state (trial.keep): after a loss, a trial begins anew")
        while len(self.history) < self.settings.epochs:
            self._worker.check()
            self._expected = len(self.history) + 1
            self._began_epoch = time.perf_counter()
            yield self._expected
            if self._expected:
                raise JobMistake(f"epoch {self._expected} ended without trial.report")

    def report(self, **metrics: Any) -> None:
        seconds = time.perf_counter() - self._began_epoch
        epoch, self._expected = self._expected, 0
        if not epoch:
            raise JobMistake("trial.report comes once in each turn of the loop over trial.epochs()")
        numbers_by_name = self._checked(metrics, epoch)
        unit, rate = self._job.unit, self._job.rate
        if unit is not None and rate is not None and unit in numbers_by_name:
            count = numbers_by_name.pop(unit)
            numbers_by_name[rate] = count / seconds if seconds else 0.0
        done = EpochMetrics(epoch, {**numbers_by_name, SECONDS: seconds})
        self.history.append(done)
        is_last = epoch == self.settings.epochs
        state = partial(self._states.content, self.history) if self._states.is_kept else None
        if self._worker.epoch_done(done, state, is_last=is_last):
            raise Drained
        if not is_last:
            self._worker.check()

    def save(self, name: str, content: Any) -> None:
        self.files[file_name(name)] = as_file(content)

    def _checked(self, metrics: Mapping[str, Any], epoch: int) -> dict[str, float]:
        found: dict[str, float] = {}
        for name, value in metrics.items():
            if name != self._job.unit and self._job.only_declared and name not in self._job.metrics:
                known = ", ".join(self._job.metrics)
                raise JobMistake(f"trial.report: '{name}' is none of the job's metrics, which are {known}")
            if is_taken(name):
                raise JobMistake(f"trial.report: '{name}' has another meaning; give it another name")
            found[name] = _number(name, value)
            if not math.isfinite(found[name]):
                raise NonFiniteMetric(f"{words(name)} is {found[name]} in epoch {epoch}")
            if not self._job.metric(name).holds(found[name]):
                raise JobMistake(
                    f"trial.report: {name} = {found[name]:g} is outside the limits of the metric"
                )
        if self._job.objective not in found:
            raise JobMistake(f"trial.report: '{self._job.objective}', the job's objective, is missing")
        return found


def _number(name: str, value: Any) -> float:
    """A metric as a float: any real number, or a tensor with one element."""
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        return float(value)
    if hasattr(value, "item") and getattr(value, "size", None) is not None:
        try:
            return float(value.item())
        except (TypeError, ValueError, RuntimeError):
            pass
    raise JobMistake(f"trial.report: {name} should be a number, not {type(value).__name__}")


def run_job(job: Job, make_trial: Callable[[bool], HostedTrial]) -> HostedTrial:
    """Run the function to its end; `make_trial` is told whether a saved state may be used.

    Raises:
        TrialEnded: the trial ended before the function did.
        JobMistake, NonFiniteMetric, Exception: what went wrong in it.
    """
    trial = make_trial(True)
    try:
        job.train(trial.settings, trial)
    except _StartAnew:
        trial = make_trial(False)
        job.train(trial.settings, trial)
    return trial
