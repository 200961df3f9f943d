"""Runs a job's function for one trial: epochs, times, metrics, saved states, and how it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from mnist_tune.hardware.devices import Runtime
from mnist_tune.jobs.description import JobDescription
from mnist_tune.jobs.hyperparameters import Hyperparameters
from mnist_tune.jobs.interface import Job, JobMistake, NonFiniteMetric
from mnist_tune.jobs.metrics import EpochMetrics
from mnist_tune.jobs.reported import reported_epoch
from mnist_tune.jobs.saved_files import as_file, file_name
from mnist_tune.jobs.states import KeptStates, StateUnusable, seed_everything


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

    def epoch_done(
        self, metrics: EpochMetrics, state: Callable[[], bytes | None] | None, *, is_last: bool
    ) -> bool:
        """An epoch is done, with a function that makes its state; returns whether to stop here.

        The function returns None if the next epoch is done too, and that state is the one to save.
        """

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
    _is_validated: bool = True
    """Whether the objective must be reported: not if nothing is held back for validation."""
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
        done = reported_epoch(self._job, epoch, metrics, seconds, is_validated=self._is_validated)
        self.history.append(done)
        is_last = epoch == self.settings.epochs
        state = partial(self._states.content, self.history) if self._states.is_kept else None
        if self._worker.epoch_done(done, state, is_last=is_last):
            raise Drained
        if not is_last:
            self._worker.check()

    def save(self, name: str, content: Any) -> None:
        self.files[file_name(name)] = as_file(content)


def hosted_trial(
    job: Job,
    description: JobDescription,
    runtime: Runtime,
    worker: Worker,
    states: KeptStates,
    *,
    settings: Mapping[str, Any],
    data: Mapping[str, Any],
    threads: int | None,
    data_directory: Path | None,
    all_data: bool = False,
) -> HostedTrial:
    """The trial that a job is given. Each call seeds the random number generators, and sets up the device."""
    given = job.settings(**settings)
    seed_everything(given.seed)
    runtime.apply()
    return HostedTrial(
        given,
        job.options(data, all_data=all_data),
        runtime.device,
        threads,
        data_directory,
        description,
        worker,
        states,
        not all_data,
    )


def in_one_line(error: JobMistake | NonFiniteMetric | SystemExit) -> str:
    """Why a job's function has ended, where its author needs no traceback."""
    if isinstance(error, SystemExit):
        return f"the job called sys.exit({error.code!r})"
    return f"the job's mistake: {error}" if isinstance(error, JobMistake) else str(error)


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
