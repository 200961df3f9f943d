"""Assembles a worker: the loop, the training process that it drives, and the folders for its files."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mnist_tune.contract.retrying import StorageRetry
from mnist_tune.contract.study import (
    COULD_NOT_BEGIN,
    StorageAway,
    StorageFailed,
    StudyForWorkers,
    WorkerFacts,
    worker_name,
)
from mnist_tune.errors import MnistTuneError, UserError
from mnist_tune.jobs.command.permitted import CommandConsent, PermittedCommand
from mnist_tune.jobs.reference import JobFile
from mnist_tune.text.wording import first_line
from mnist_tune.worker.child import TrainingProcess
from mnist_tune.worker.consent import permitted_job
from mnist_tune.worker.loop import LEAVES, Ended, Worker, words_of
from mnist_tune.worker.messages import SetUp
from mnist_tune.worker.runner import Objective
from mnist_tune.worker.signals import StopRequest

T = TypeVar("T")


@dataclass(frozen=True)
class Equipment:
    """The device, the data and the code of a worker."""

    device: str
    threads: int | None
    data_directory: Path | None
    job: JobFile | CommandConsent | None = None
    """The job's file or command, for which who starts the worker vouches."""


def run_worker(
    study: StudyForWorkers,
    equipment: Equipment,
    process: TrainingProcess,
    stop: StopRequest,
    log: Callable[[str], None],
    max_trials: int | None = None,
    *,
    pooled: bool = False,
) -> Ended:
    """Work on the study until there is a reason to leave, with a training process that is started.

    `pooled`: another command started this worker, so its output may have no reader.

    Raises:
        UserError: the device is not there, or a folder cannot keep files.
        MnistTuneError: the data is damaged, or the storage was away for too long.
        Interrupted: the worker was asked to stop before it could begin.
    """
    standing = answer_before_work(study.standing, study.spec.lease.storage_timeout, stop, log)
    if standing in LEAVES:  # told without waiting for torch
        ended, timeout = LEAVES[standing], study.spec.lease.storage_timeout
        log(f"leaving: {answer_before_work(lambda: words_of(ended, study), timeout, stop, log)}")
        return ended
    for warning in study.check_folders():
        log(f"warning: {warning}")
    job = permitted_job(study.spec.job, equipment.job)
    if isinstance(job, PermittedCommand):
        log(f"runs in {job.folder}: {first_line(job.table.label)}")
    setup = SetUp(
        equipment.device,
        equipment.threads,
        equipment.data_directory,
        study.spec.data.model_dump(exclude_none=True),
        study.state_folder,
        study.spec.description.test_metric,
        job,
    )
    process.set_up(setup)
    try:
        ready = process.wait_until_ready(stop.check)
    except MnistTuneError as error:
        if pooled or not isinstance(error, UserError):  # else the person who made the mistake reads it here
            _note_in_the_study(study, equipment.device, f"{COULD_NOT_BEGIN}{error}")
        raise
    device = f"{ready.device} ({ready.device_name})"
    log(f"worker {worker_name()} on study '{study.name}', {device}")
    objective = Objective(study.spec, process)
    return Worker(study, objective, stop, log, device=device, max_trials=max_trials).work()


def answer_before_work(
    call: Callable[[], T], seconds: float, stop: StopRequest, log: Callable[[str], None]
) -> T:
    """The answer of a call of a worker that holds no cell, for which it waits if the storage is away.

    Raises:
        MnistTuneError: the storage was away for so many seconds.
        Interrupted: the worker was asked to stop meanwhile.
    """
    try:
        return StorageRetry(seconds, log, hurry=lambda: stop.requested)(call)
    except MnistTuneError:
        stop.check()
        raise


def _note_in_the_study(study: StudyForWorkers, device: str, departure: str) -> None:
    """Store why this worker could not begin, for people who do not see its output."""
    with suppress(StorageAway, StorageFailed):  # the error itself is more important
        worker = WorkerFacts.of_this_process(device)
        study.register(worker)
        study.leave(worker, departure)
