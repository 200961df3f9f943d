"""Runs a job once in this very process, without a worker, a storage or a study: to try it, or to test it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from pydantic import ValidationError

from mnist_tune.errors import MnistTuneError, UserError
from mnist_tune.files.output_folder import output_folder, write_files
from mnist_tune.hardware.devices import resolve_runtime
from mnist_tune.jobs.description import JobDescription, Source
from mnist_tune.jobs.host import hosted_trial, in_one_line, run_job
from mnist_tune.jobs.interface import Job, JobMistake, NonFiniteMetric
from mnist_tune.jobs.metrics import EpochMetrics, unfinished
from mnist_tune.jobs.plan import Plan
from mnist_tune.jobs.states import KeptStates, problem_of

OURS = ("mnist_tune", "importlib")
"""The packages that call a job: their part of a traceback says nothing about it."""


@dataclass
class Tried:
    """What one run of a job has come to."""

    job: JobDescription
    settings: dict[str, Any] = field(default_factory=dict)
    """All hyperparameters, with those that have their defaults."""
    epochs: list[EpochMetrics] = field(default_factory=list)
    """The numbers of each epoch: `epochs[0]["error"]` is the first one's error."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What the job has noted (trial.note)."""
    files: dict[str, bytes] = field(default_factory=dict)
    """The files that a worker would keep with the trial (trial.save), by name."""
    state_bytes: int | None = None
    """How large a state is that a retry would go on from (trial.keep); None if the job keeps none."""
    state_problem: str | None = None
    """Why no retry could go on from it; None if one can."""

    @property
    def value(self) -> float | None:
        """The objective's value, as a study would rank it; None if no epoch was validated."""
        values = [value for epoch in self.epochs if (value := epoch[self.job.objective]) is not None]
        return self.job.counted_value(values) if values else None

    def as_json(self) -> dict[str, Any]:
        """The run as plain data, with the sizes of its files in bytes."""
        return {
            "objective": self.job.objective,
            "value": self.value,
            "settings": self.settings,
            "epochs": [epoch.as_json() for epoch in self.epochs],
            "facts": self.facts,
            "files": {name: len(content) for name, content in self.files.items()},
            "state_bytes": self.state_bytes,
            "state_problem": self.state_problem,
        }


class States(Protocol):
    """Keeps the states of a run, so that the same run goes on from the last one if it was stopped."""

    @property
    def is_due(self) -> bool:
        """Whether it is time to save a state."""

    def saved(self) -> tuple[bytes | None, str | None]:
        """The state to go on from; or why there is none although there should be one."""

    def keep(self, epoch: int, state: bytes) -> None:
        """Save the state after an epoch."""


@dataclass
class Alone:
    """Stands where a host has its worker: nothing is stored, and nobody asks the trial to stop."""

    tried: Tried
    on_epoch: Callable[[EpochMetrics], None]
    on_line: Callable[[str], None]
    problem_of: Callable[[bytes], str | None] = lambda _: None
    """Why no retry could go on from a state."""
    states: States | None = None
    """Where its states are kept; None if nothing goes on after a stop."""
    is_to_drain: bool = False

    def began(self, facts: dict[str, Any], history: list[EpochMetrics], problem: str | None) -> None:
        self.tried.facts = dict(facts)
        self.tried.epochs = list(history)
        if problem is not None:
            self.on_line(f"begins at the first epoch: {problem}")
        elif history:
            self.on_line(f"goes on after epoch {len(history)}")

    def epoch_done(self, metrics: EpochMetrics, state: Callable[[], bytes | None] | None, **_: bool) -> bool:
        self.tried.epochs.append(metrics)
        if self.states is not None:
            if state is not None and self.states.is_due and (content := state()) is not None:
                self.states.keep(metrics.epoch, content)
            self.on_epoch(metrics)  # told later, since from now on a stop loses no epoch
            return False
        self.on_epoch(metrics)
        # One shows whether states can be saved; there is none if the command is epochs ahead.
        if state is not None and self.tried.state_bytes is None and (content := state()) is not None:
            self.tried.state_bytes, self.tried.state_problem = len(content), self.problem_of(content)
        return False

    def saved_state(self) -> tuple[bytes | None, str | None]:
        return (None, None) if self.states is None else self.states.saved()

    def save_state(self, _epoch: int, _state: Callable[[], bytes | None]) -> None:
        pass

    def check(self) -> None:
        pass

    def say(self, line: str) -> None:
        self.on_line(line)


def try_job(
    job: Job,
    settings: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
    *,
    device: str = "auto",
    threads: int | None = None,
    data_directory: Path | None = None,
    save: Path | None = None,
    on_epoch: Callable[[EpochMetrics], None] = lambda _: None,
    on_line: Callable[[str], None] = lambda _: None,
    all_data: bool = False,
    states: States | None = None,
) -> Tried:
    """Run a job once, here and now, with the numbers that a trial of a study has with these settings.

    Args:
        job: The function with `@job`.
        settings: The fields of [training] that differ from their defaults.
        data: The fields of [data], likewise.
        device: auto, cpu, cuda, cuda:N or mps.
        threads: As a worker's: 1 unless it is given.
        data_directory: What the job gets as `trial.data_directory`.
        save: A new or empty folder for the files that the job saves; without it none is written.
        on_epoch: Is told each epoch when it is done.
        on_line: Is told each line of the trial's log.
        all_data: Whether nothing is held back for validation, so that the objective may be missing.
        states: What keeps the run's states, if it is to go on after a stop.

    Raises:
        UserError: a setting is wrong, the device is not there, the folder is not empty, or the job cannot
            train on all data.
        MnistTuneError: the job uses its trial wrongly, leaves early, or a metric became inf or nan.
        Exception: what the job has raised.
    """
    settings, data = dict(settings or {}), dict(data or {})
    tried = Tried(job.describe("job", Source()))
    check_fields(job, settings, data, on_line)
    if all_data and job.all_data is None:
        raise UserError("the job does not say how nothing is held back for validation: @job(all_data=...)")
    runtime = resolve_runtime(device, threads=threads)
    runtime.apply()
    with completing(tried, save):
        if job.prepare is not None:
            job.prepare(job.options(data, all_data=all_data), runtime.device, data_directory)
        alone = Alone(tried, on_epoch, on_line, problem_of, states)
        saved, problem = alone.saved_state()
        kept = KeptStates(None, problem) if saved is None else KeptStates(lambda: saved)
        begin = partial(
            hosted_trial,
            job,
            tried.job,
            runtime,
            alone,
            settings=settings,
            data=data,
            threads=threads,
            data_directory=data_directory,
            all_data=all_data,
        )
        try:
            trial = run_job(
                job,
                lambda may_resume: begin(states=kept if may_resume else KeptStates(None, kept.problem)),
            )
        except (JobMistake, NonFiniteMetric, SystemExit) as error:
            raise MnistTuneError(in_one_line(error)) from None
        tried.settings, tried.files = trial.settings.model_dump(mode="json"), trial.files
    return tried


@contextmanager
def completing(tried: Tried, save: Path | None) -> Iterator[None]:
    """Check after the block that the job has run all of its epochs, and write its files if there is a folder.

    Raises:
        UserError: the folder cannot be made, or is not empty.
        MnistTuneError: an epoch is missing, or a file cannot be written.
    """
    folder = nullcontext() if save is None else output_folder(save, "name a new folder", must_be_empty=True)
    with folder:
        yield
        if early := unfinished(len(tried.epochs), tried.settings["epochs"]):
            raise MnistTuneError(early)
        if save is not None:
            write_files(save, tried.files)


def check_fields(
    job: Job, settings: dict[str, Any], data: dict[str, Any], on_line: Callable[[str], None]
) -> None:
    """Check the tables [training] and [data] as the job's own classes do. Raises UserError."""
    remarks = job.remarks(Plan(table="search.grid", searched={}, training=settings, data=data))
    for remark in remarks:
        if remark.is_mistake:
            raise UserError(f"{remark.key}: {remark.text}")
    for table, fields, given in (("training", job.settings, settings), ("data", job.data_options, data)):
        try:
            if fields is not None:
                fields(**given)
        except ValidationError as error:  # all other mistakes are among the remarks
            name = error.errors()[0]["loc"][0]
            raise UserError(f"{table}.{name}: missing: the job has no default for it") from None
    for remark in remarks:
        on_line(f"note: {remark.key}: {remark.text}")


def traceback_of_job(error: BaseException) -> TracebackType | None:
    """An error's traceback from the first line of the job's own code on; whole if there is none."""
    part = error.__traceback__
    while part is not None and str(part.tb_frame.f_globals.get("__name__")).split(".")[0] in OURS:
        part = part.tb_next
    return part or error.__traceback__
