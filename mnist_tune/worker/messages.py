"""The messages between a worker and its training process, as lines of JSON.

A job's code runs in the training process, so the worker unpickles nothing that comes from there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from mnist_tune.failures import Failure
from mnist_tune.files.checkpoints import Checkpoint
from mnist_tune.jobs.command.permitted import PermittedCommand
from mnist_tune.jobs.evaluation import Evaluation
from mnist_tune.jobs.metrics import EpochMetrics
from mnist_tune.jobs.reference import BUILT_IN, JobFile


@dataclass(frozen=True)
class SetUp:
    """To the training process, once: the job, and the device, data and folder that it must use.

    `job` is the name of an installed job, the file of another, or a command.
    """

    device: str
    threads: int | None
    data_directory: Path | None
    data: dict[str, Any]
    checkpoints: Path
    test_metric: str | None = None
    """What to measure once on test data, after a training with nothing held back; None in a search."""
    job: str | JobFile | PermittedCommand = BUILT_IN


@dataclass(frozen=True)
class Ready:
    """From the training process, once: the device that it will use."""

    device: str
    device_name: str


@dataclass(frozen=True)
class Refused:
    """From the training process, instead of Ready: why it cannot begin, and the worker's exit code."""

    message: str
    exit_code: int


@dataclass(frozen=True)
class Run:
    """To the training process: train with these settings, from the checkpoint if there is one.

    At the end of an epoch the state is saved if `checkpoint_interval` seconds have passed since the last
    time; after the last epoch in any case if `keep_last` says so.
    """

    settings: dict[str, Any]
    checkpoint: Checkpoint | None
    trial_id: int
    token: str
    checkpoint_interval: float
    keep_last: bool = False


@dataclass(frozen=True)
class Drain:
    """To the training process: save the state at the end of this epoch and stop there."""


@dataclass(frozen=True)
class Abandon:
    """To the training process: stop at the next batch."""


@dataclass(frozen=True)
class Began:
    """From the training process: the trial has begun, with these epochs done already.

    `environment` is what it runs on; `problem` says why a checkpoint could not be used.
    """

    environment: dict[str, Any]
    history: list[EpochMetrics] = field(default_factory=list)
    problem: str | None = None


@dataclass(frozen=True)
class EpochDone:
    """From the training process: an epoch's metrics, and the pointer to the state or why it was not saved."""

    metrics: EpochMetrics
    checkpoint: Checkpoint | None = None
    problem: str | None = None


@dataclass(frozen=True)
class StateSaved:
    """From the training process: the pointer to a state that was saved within an epoch."""

    checkpoint: Checkpoint


@dataclass(frozen=True)
class Said:
    """From the training process: a line for the trial's log."""

    line: str


@dataclass(frozen=True)
class Measured:
    """From the training process, before Trained: the results of the model on test data, without pictures."""

    evaluation: Evaluation


@dataclass(frozen=True)
class Trained:
    """From the training process: the job is done, with these files by name."""

    files: dict[str, bytes]


@dataclass(frozen=True)
class Stopped:
    """From the training process: it stopped the trial after so many epochs, and is free for another."""

    epoch: int


@dataclass(frozen=True)
class Failed:
    """From the training process: the trial failed, and the process is free for another."""

    failure: Failure


KINDS: dict[str, TypeAdapter[Any]] = {
    kind.__name__: TypeAdapter(kind)
    for kind in (
        *(SetUp, Run, Drain, Abandon),
        *(Ready, Refused, Began, EpochDone, StateSaved, Said, Measured, Trained, Stopped, Failed),
    )
}


def send(connection: Connection, message: Any) -> None:
    """Send a message; files follow it as they are. Raises OSError."""
    name = type(message).__name__
    files = message.files if isinstance(message, Trained) else {}
    content = {"files": {}} if files else KINDS[name].dump_python(message, mode="json")
    connection.send_bytes(json.dumps([name, content, list(files)]).encode())
    for one in files.values():
        connection.send_bytes(one)


def receive(connection: Connection) -> Any:
    """The next message. Raises EOFError, OSError, and ValueError for what is no message."""
    name, content, files = json.loads(connection.recv_bytes())
    if files:
        return Trained({file: connection.recv_bytes() for file in files})
    return KINDS[name].validate_json(json.dumps(content))
