"""The main function of a worker's training process, which knows no storage and no Optuna.

It is a separate process, so that a step that hangs, a driver that crashes or the kernel's out-of-memory
killer ends the trial and not the worker, and so that training goes on while the worker waits for something.
"""

from __future__ import annotations

import io
import os
import queue
import re
import signal
import threading
import time
import traceback
from contextlib import suppress
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection

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
from mnist_tune.jobs.metrics import EpochMetrics
from mnist_tune.jobs.mnist.dataset import LabeledImages, load_training_images, split
from mnist_tune.jobs.mnist.network import model_bytes
from mnist_tune.jobs.mnist.trainer import NonFiniteLoss, Trainer
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
    SetUp,
    Stopped,
    Trained,
)
from mnist_tune.worker.provenance import environment

SHORTAGES = "can't allocate memory|out of memory|ALLOC_FAILED"


class Abandoned(Exception):  # noqa: N818 - a request more than an error
    """The worker has given this trial up."""


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
                order = self._connection.recv()
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
class Job:
    """Trains trials on data that was loaded once, and sends the worker their results."""

    setup: SetUp
    connection: Connection
    orders: WorkerMessages
    training: LabeledImages
    validation: LabeledImages

    def run(self, run: Run) -> None:
        """Train one configuration and tell the worker how it ended."""
        try:
            self._train(run)
        except Abandoned:
            self.connection.send(Stopped(0))
        except NonFiniteLoss as error:
            self.connection.send(Failed(Failure("non_finite", str(error))))
        except Exception as error:
            self.connection.send(Failed(_failure(error)))
        with suppress(RuntimeError):  # a broken GPU raises here again
            torch.cuda.empty_cache()  # other processes may share the GPU; without one this does nothing

    def _train(self, run: Run) -> None:
        runtime = resolve_runtime(self.setup.device, run.config.precision, self.setup.threads)
        trainer = Trainer(run.config, runtime, self.training, self.validation)
        states = States(CheckpointFolder(self.setup.checkpoints), run)
        history, problem = states.resume(trainer, runtime)
        self.connection.send(Began(environment(runtime, self.setup.data_directory), history, problem))
        for metrics in trainer.epochs(self.orders.check):
            history.append(metrics)
            drain = self.orders.drain and metrics.epoch < run.config.epochs
            self.connection.send(states.after_epoch(trainer, runtime, history, now=drain))
            if drain:
                self.connection.send(Stopped(metrics.epoch))
                return
        self.connection.send(Trained(model_bytes(trainer.model)))


class States:
    """The checkpoints of one attempt: model, optimizer, epoch, and the metrics so far."""

    def __init__(self, store: CheckpointFolder, run: Run) -> None:
        self._store = store
        self._run = run
        self._saved = time.monotonic()

    def resume(self, trainer: Trainer, runtime: Runtime) -> tuple[list[EpochMetrics], str | None]:
        """Load the last attempt's state into the trainer; returns its epochs, or none and the reason."""
        if self._run.checkpoint is None:
            return [], None
        try:
            content = load(self._store, self._run.checkpoint)
        except CheckpointUnusable as unusable:
            return [], str(unusable)
        stored = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
        if stored["precision"] != runtime.precision:
            return [], f"the checkpoint was trained in {stored['precision']}, this is {runtime.precision}"
        trainer.load_state_dict(stored["trainer"])
        return [EpochMetrics(**epoch) for epoch in stored["history"]], None

    def after_epoch(
        self, trainer: Trainer, runtime: Runtime, history: list[EpochMetrics], *, now: bool
    ) -> EpochDone:
        """Save the state if its interval has passed or `now` is set; returns the message about the epoch."""
        metrics = history[-1]
        if not now and time.monotonic() - self._saved < self._run.checkpoint_interval:
            return EpochDone(metrics)
        self._saved = time.monotonic()
        content = io.BytesIO()
        epochs = [asdict(epoch) for epoch in history]
        torch.save(
            {"trainer": trainer.state_dict(), "history": epochs, "precision": runtime.precision}, content
        )
        try:
            return EpochDone(metrics, self._save(metrics.epoch, content.getbuffer()))
        except OSError as error:
            return EpochDone(metrics, problem=error.strerror or str(error))

    def _save(self, epoch: int, content: memoryview) -> Checkpoint:
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
        setup: SetUp = connection.recv()
    except (EOFError, OSError):  # the worker ended before it needed this process
        return
    orders = WorkerMessages(connection)
    try:
        runtime = resolve_runtime(setup.device, threads=setup.threads)
        runtime.apply()
        images = load_training_images(setup.data_directory, runtime.device)
        training, validation = split(images, **setup.data.model_dump())
    except MnistTuneError as error:
        connection.send(Refused(str(error), error.exit_code))
        return
    connection.send(Ready(runtime.device, runtime.device_name))
    job = Job(setup, connection, orders, training, validation)
    while True:
        job.run(orders.next_run())
