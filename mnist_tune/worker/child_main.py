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
import traceback
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Protocol

import torch

from mnist_tune.errors import FAILED, MnistTuneError
from mnist_tune.failures import Failure
from mnist_tune.hardware.devices import Runtime, resolve_runtime
from mnist_tune.jobs.command.ending import CommandFailed
from mnist_tune.jobs.command.hosted import HostedCommand
from mnist_tune.jobs.command.permitted import PermittedCommand
from mnist_tune.jobs.description import JobDescription, Source
from mnist_tune.jobs.host import Abandoned, Drained, HostedTrial, hosted_trial, in_one_line, run_job
from mnist_tune.jobs.interface import Job, JobMistake, NonFiniteMetric
from mnist_tune.jobs.loading import load_job
from mnist_tune.jobs.measuring import measure_files
from mnist_tune.jobs.states import KeptStates
from mnist_tune.processes import standard_streams
from mnist_tune.worker.messages import (
    Abandon,
    Drain,
    Failed,
    Ready,
    Refused,
    Run,
    SetUp,
    Stopped,
    Trained,
    receive,
    send,
)
from mnist_tune.worker.running_attempt import RunningAttempt

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


class HostedJob(Protocol):
    """A job that is loaded, and runs one attempt after another."""

    @property
    def source(self) -> Source:
        """The code that runs."""

    def run(self, attempt: RunningAttempt, settings: dict[str, Any]) -> dict[str, bytes]:
        """Run the job for an attempt; returns the files to keep. Raises what ends the trial early."""


@dataclass
class HostedFunction:
    """A job that is a function, run in this process."""

    setup: SetUp
    runtime: Runtime
    job: Job
    description: JobDescription

    @property
    def source(self) -> Source:
        return self.description.source

    def run(self, attempt: RunningAttempt, settings: dict[str, Any]) -> dict[str, bytes]:
        saved, problem = attempt.saved_state()
        states = KeptStates(None, problem) if saved is None else KeptStates(lambda: saved)

        def trial(may_resume: bool) -> HostedTrial:
            return hosted_trial(
                self.job,
                self.description,
                self.runtime,
                attempt,
                states if may_resume else KeptStates(None, states.problem),
                settings=settings,
                data=self.setup.data,
                threads=self.setup.threads,
                data_directory=self.setup.data_directory,
                all_data=self.setup.test_metric is not None,
            )

        trained = run_job(self.job, trial)
        if self.setup.test_metric is not None:
            self._measure(attempt, trained, self.setup.test_metric)
        return trained.files

    def _measure(self, attempt: RunningAttempt, trained: HostedTrial, metric: str) -> None:
        if attempt.epoch < trained.settings.epochs:  # the worker refuses it
            return
        attempt.check()  # who has lost the lease reads no test data
        attempt.say("measures the model on test data")
        found = measure_files(
            self.job,
            trained.settings,
            trained.files,
            device=self.runtime.device,
            data=self.job.options(self.setup.data),
            data_directory=self.setup.data_directory,
            metric=metric,
        )
        attempt.measured(found)


def load(setup: SetUp, runtime: Runtime) -> HostedJob:
    """Load the job and its data. Raises MnistTuneError."""
    if isinstance(setup.job, PermittedCommand):
        return HostedCommand(setup.job, runtime.device, runtime.threads)
    job, description = load_job(setup.job)
    if job.prepare is not None:
        options = job.options(setup.data, all_data=setup.test_metric is not None)
        job.prepare(options, runtime.device, setup.data_directory)
    return HostedFunction(setup, runtime, job, description)


@dataclass
class Trainings:
    """Runs the job for one trial after another, and sends the worker their results."""

    setup: SetUp
    connection: Connection
    orders: WorkerMessages
    runtime: Runtime
    job: HostedJob

    def run(self, run: Run) -> None:
        """Run the job with one configuration and tell the worker how it ended."""
        attempt = RunningAttempt(run, self.setup, self.connection, self.orders, self.runtime, self.job.source)
        ending = self._ending(attempt, run.settings)
        standard_streams.flush()  # what the job has printed is this trial's
        send(self.connection, ending)
        with suppress(RuntimeError):  # a broken GPU raises here again
            torch.cuda.empty_cache()  # other processes may share the GPU; without one this does nothing

    def _ending(self, attempt: RunningAttempt, settings: dict[str, Any]) -> Trained | Stopped | Failed:
        try:
            return Trained(self.job.run(attempt, settings))
        except Abandoned:
            return Stopped(0)
        except Drained:
            return Stopped(attempt.epoch)
        except CommandFailed as failed:
            return Failed(failed.failure)
        except NonFiniteMetric as error:
            return Failed(Failure("non_finite", in_one_line(error)))
        except (SystemExit, JobMistake) as error:
            return Failed(Failure("exception", in_one_line(error)))
        except Exception as error:
            return Failed(_failure(error))


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
    standard_streams.have_c_print_lines()
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
        job = load(setup, runtime)
    except MnistTuneError as error:
        send(connection, Refused(str(error), error.exit_code))
        return
    send(connection, Ready(runtime.device, runtime.device_name))
    trainings = Trainings(setup, connection, orders, runtime, job)
    while True:
        trainings.run(orders.next_run())
