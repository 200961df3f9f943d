"""A study worked on by processes of this machine: shared by the command `run` and the function `run`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mnist_tune.api.storages import NamedStorage
from mnist_tune.contract.retrying import StorageRetry
from mnist_tune.hardware.placement import WORKERS_PER_GPU, Placement, check_device, local_places
from mnist_tune.jobs.loading import provision
from mnist_tune.processes import fork_server
from mnist_tune.results.study_results import Results
from mnist_tune.service.calls import Created, StudiesForPeople, results_again
from mnist_tune.spec.reading import GivenSpec
from mnist_tune.terminal.display import Display
from mnist_tune.terminal.follow import follow
from mnist_tune.text.wording import counted
from mnist_tune.worker.pool import Pool, worker_arguments
from mnist_tune.worker.signals import StopRequest


@dataclass(frozen=True)
class LocalWorkers:
    """How many workers to start, and their devices, data and folders."""

    workers: int | None = None
    """None: `per_gpu` on every GPU, else one on every core, but no more than there are cells."""
    per_gpu: int = WORKERS_PER_GPU
    device: str = "auto"
    threads: int | None = None
    data_dir: Path | None = None
    checkpoints: Path | None = None
    artifacts: Path | None = None


@dataclass(frozen=True)
class LocalRun:
    """A study in its storage, and workers that are ready to start."""

    service: StudiesForPeople
    created: Created
    before: Results
    """The study before the workers start."""
    pool: Pool
    places: list[Placement]
    warnings: list[str]
    """One for each folder on a full disk."""

    def opening(self) -> str:
        """Say in one line what is about to happen."""
        name, where = self.before.name, self.service.where
        cells = counted(self.before.spec.n_cells, "cell")
        if self.before.is_finished:
            return f"study '{name}' is finished already in {where}: all of its {cells} have ended"
        if self.before.why_stopped:
            return (
                f"study '{name}' is stopped in {where}: {self.before.why_stopped}; "
                f"'mnist-tune resume {name}' goes on with it"
            )
        goes = "created" if self.created.is_new else "goes on"
        return f"study '{name}' {goes} in {where}: {cells}, {counted(len(self.places), 'worker')}"

    def work(self, stop: StopRequest, display: Display) -> Results:
        """Have the workers finish the study, or leave when they are asked to; returns the study's results."""
        if self.before.is_finished or self.before.why_stopped:
            return self.before
        start = partial(self.pool.start, self.places)
        read = partial(results_again, self.service, self.before.name)
        return follow(read, self.before, self.pool, start, stop, display)


def prepare(
    storage: NamedStorage, given: GivenSpec, wanted: LocalWorkers, say: Callable[[str], None]
) -> LocalRun:
    """Check that workers can work here, then find or create the study. A storage that is away is waited for.

    Raises:
        UserError: no such device, a folder that cannot keep files, or another study of this name.
        MnistTuneError: the job's data cannot be had, or the storage does not answer.
    """
    fork_server.begin(fork_server.WORKERS, given.spec.job.preload)  # it loads during all that follows
    check_device(wanted.device)
    provision(given.spec.job.name, given.spec.data, wanted.data_dir)
    warnings = storage.check_folders(wanted.checkpoints, wanted.artifacts)
    service = storage.service(create=True)
    name = given.spec.study.name
    ask = StorageRetry(given.spec.lease.storage_timeout, say, hurry=lambda: False)
    created = ask(lambda: service.create(given.spec, given.remarks))
    before = ask(lambda: service.results(name))
    arguments = worker_arguments(
        wanted.threads, wanted.data_dir, wanted.checkpoints, wanted.artifacts, given.job
    )
    places = local_places(
        before.cells.waiting + before.cells.running,
        wanted.device,
        wanted.workers,
        wanted.per_gpu,
        wanted.threads,
    )
    return LocalRun(service, created, before, Pool(name, storage.environment, arguments), places, warnings)
