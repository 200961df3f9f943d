"""The messages between a worker and its training process: plain values without torch or Optuna."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mnist_tune.failures import Failure
from mnist_tune.files.checkpoints import Checkpoint
from mnist_tune.jobs.metrics import EpochMetrics
from mnist_tune.jobs.mnist.hyperparameters import DataConfig, TrainingConfig


@dataclass(frozen=True)
class SetUp:
    """To the training process, once: the device, data and folder that it must use."""

    device: str
    threads: int | None
    data_directory: Path | None
    data: DataConfig
    checkpoints: Path


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
    """To the training process: train this configuration, from the checkpoint if there is one.

    At the end of an epoch the state is saved if `checkpoint_interval` seconds have passed since the last
    time.
    """

    config: TrainingConfig
    checkpoint: Checkpoint | None
    trial_id: int
    token: str
    checkpoint_interval: float


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
class Trained:
    """From the training process: all epochs are done; the weights as a safetensors file."""

    weights: bytes


@dataclass(frozen=True)
class Stopped:
    """From the training process: it stopped the trial after so many epochs, and is free for another."""

    epoch: int


@dataclass(frozen=True)
class Failed:
    """From the training process: the trial failed, and the process is free for another."""

    failure: Failure
