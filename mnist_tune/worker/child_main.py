"""The main function of a worker's training process, which knows no storage and no Optuna.

It is a separate process, so that a step that hangs, a driver that crashes or the kernel's out-of-memory
killer ends the trial and not the worker, and so that training goes on while the worker waits for something.
"""

from __future__ import annotations

import os
import queue
import re
import signal
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import torch

from mnist_tune.errors import FAILED, MnistTuneError
from mnist_tune.failures import Failure
from mnist_tune.files.checkpoints import (
    Checkpoint,
    CheckpointFolder,
    CheckpointUnusable,
    checkpoint_key,
    load,
    save,
)
from mnist_tune.hardware.devices import Runtime, resolve_runtime
from mnist_tune.jobs.description import JobDescription
from mnist_tune.jobs.host import Abandoned, Drained, HostedTrial, run_job
from mnist_tune.jobs.interface import Job, JobMistake, NonFiniteMetric
from mnist_tune.jobs.loading import load_job
from mnist_tune.jobs.metrics import EpochMetrics
from mnist_tune.jobs.states import KeptStates, seed_everything
from mnist_tune.processes import standard_streams
from mnist_tune.worker.messages import (
    Abandon,
    Began,
    Drain,
    EpochDone,
    Failed,
    Ready,
    Refused,
    Run,
    Said,
    SetUp,
    Stopped,
    Trained,
    receive,
    send,
)
from mnist_tune.worker.provenance import environment

SHORTAGES = "can't allocate memory|out of memory|ALLOC_FAILED"


class WorkerMessages:
    """Reads the worker's messages in a thread of its own, so that training only looks at flags."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._runs: queue.SimpleQueue[Run] = queue.SimpleQueue()
        self.drain = False
        self.abandon = False
        threading.Thread(target=self._read, name="orders", daemon=True).start()

    def next_run(self) -> Run:
        """Wait for a trial to run."""
        return self._runs.get()

    def check(self) -> None:
        """Raise Abandoned if the worker has given the trial up."""
        if self.abandon:
            raise Abandoned

    def _read(self) -> None:
        while True:
            try:
                order = receive(self._connection)
            except (EOFError, OSError):
                os._exit(0)  # the worker is gone; this also ends a step that hangs
            except Exception:  # an unreadable message: the worker would wait for an answer for ever
                traceback.print_exc()
                os._exit(FAILED)
            if isinstance(order, Run):
                self.drain = self.abandon = False
                self._runs.put(order)
            self.drain |= isinstance(order, Drain)
            self.abandon |= isinstance(order, Abandon)


@dataclass
class Trainings:
    """Runs the job for one trial after another, and sends the worker their results."""

    setup: SetUp
    connection: Connection
    orders: WorkerMessages
    runtime: Runtime
    job: Job
    description: JobDescription

    def run(self, run: Run) -> None:
        """Run the job with one configuration and tell the worker how it ended."""
        attempt = RunningAttempt(self, run)
        try:
            trial = run_job(self.job, attempt.trial)
            send(self.connection, Trained(trial.files))
        except Abandoned:
            send(self.connection, Stopped(0))
        except Drained:
            send(self.connection, Stopped(attempt.epoch))
        except NonFiniteMetric as error:
            send(self.connection, Failed(Failure("non_finite", str(error))))
        except SystemExit as left:
            send(self.connection, Failed(Failure("exception", f"the job called sys.exit({left.code!r})")))
        except JobMistake as mistake:
            send(self.connection, Failed(Failure("exception", f"the job's mistake: {mistake}")))
        except Exception as error:
            send(self.connection, Failed(_failure(error)))
        with suppress(RuntimeError):  # a broken GPU raises here again
            torch.cuda.empty_cache()  # other processes may share the GPU; without one this does nothing


class RunningAttempt:
    """One attempt in this process: where its states are, and what its worker is told."""

    def __init__(self, of: Trainings, run: Run) -> None:
        self.epoch = 0
        """The last epoch that was done."""
        self._of = of
        self._run = run
        self._store = CheckpointFolder(of.setup.checkpoints)
        self._saved = time.monotonic()
        self._states_used: KeptStates | None = None

    def trial(self, may_resume: bool) -> HostedTrial:
        """The trial that the job is given. Each call seeds the random number generators."""
        job, setup = self._of.job, self._of.setup
        settings = job.settings(**self._run.settings)
        seed_everything(settings.seed)
        self._of.runtime.apply()
        return HostedTrial(
            settings,
            job.data_options(**setup.data) if job.data_options is not None else None,
            self._of.runtime.device,
            setup.threads,
            setup.data_directory,
            self._of.description,
            self,
            self._states(may_resume=may_resume),
        )

    def began(self, facts: dict[str, Any], history: list[EpochMetrics], problem: str | None) -> None:
        self.epoch = len(history)
        known = environment(self._of.runtime, self._of.description.source) | facts
        self._tell(Began(known, history, problem))

    def epoch_done(self, metrics: EpochMetrics, state: Callable[[], bytes] | None, *, is_last: bool) -> bool:
        self.epoch = metrics.epoch
        drains = self._of.orders.drain and not is_last
        is_due = drains or time.monotonic() - self._saved >= self._run.checkpoint_interval
        if state is None or not is_due:
            self._tell(EpochDone(metrics))
            return drains
        self._saved = time.monotonic()
        try:
            self._tell(EpochDone(metrics, self._save(metrics.epoch, state())))
        except OSError as error:
            self._tell(EpochDone(metrics, problem=error.strerror or str(error)))
        return drains

    def check(self) -> None:
        self._of.orders.check()

    def say(self, line: str) -> None:
        self._tell(Said(line))

    def _tell(self, message: Any) -> None:
        send(self._of.connection, message)

    def _states(self, *, may_resume: bool) -> KeptStates:
        checkpoint = self._run.checkpoint
        if checkpoint is None:
            return KeptStates(None)
        if self._states_used is not None and not may_resume:
            return KeptStates(None, self._states_used.problem)
        try:
            content = load(self._store, checkpoint)
        except CheckpointUnusable as unusable:
            return KeptStates(None, str(unusable))
        self._states_used = KeptStates(lambda: content)
        return self._states_used

    def _save(self, epoch: int, content: bytes) -> Checkpoint:
        name = checkpoint_key(self._run.trial_id, self._run.token, epoch)
        return save(self._store, name, epoch, content)


def _failure(error: Exception) -> Failure:
    """The failure to store for an error. The error itself would keep the trial's memory, by its traceback."""
    cause: BaseException | None = error
    while cause is not None:
        # Only torch's GPU allocator has a type for this error, and a failing CUDA graph wraps it in another.
        if isinstance(cause, torch.OutOfMemoryError | MemoryError) or re.search(SHORTAGES, str(cause)):
            return Failure("out_of_memory", str(cause) or "the process is out of memory")
        cause = cause.__cause__ or cause.__context__
    return Failure.of_exception(error)


def main(connection: Connection) -> None:
    """Load the data, then run trials until the worker at the other end is gone."""
    standard_streams.take_over()
    standard_streams.work_on()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the worker gets these signals too, and decides
    try:
        setup: SetUp = receive(connection)
    except (EOFError, OSError):  # the worker ended before it needed this process
        return
    orders = WorkerMessages(connection)
    try:
        runtime = resolve_runtime(setup.device, threads=setup.threads)
        runtime.apply()
        job, description = load_job(setup.job)
        if job.prepare is not None:
            data = job.data_options(**setup.data) if job.data_options is not None else None
            job.prepare(data, runtime.device, setup.data_directory)
    except MnistTuneError as error:
        send(connection, Refused(str(error), error.exit_code))
        return
    send(connection, Ready(runtime.device, runtime.device_name))
    trainings = Trainings(setup, connection, orders, runtime, job, description)
    while True:
        trainings.run(orders.next_run())
