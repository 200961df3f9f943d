"""What a worker and its training process tell each other: plain values that need neither torch nor Optuna."""

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
    """To the training process, once: what it works on and with."""

    device: str
    threads: int | None
    data_directory: Path | None
    data: DataConfig
    checkpoints: Path


@dataclass(frozen=True)
class Ready:
    """From it, once: the device that it will use."""

    device: str
    device_name: str


@dataclass(frozen=True)
class Refused:
    """From it, instead: why it cannot begin, and with which exit code the worker leaves."""

    message: str
    exit_code: int


@dataclass(frozen=True)
class Run:
    """To it: train this configuration, from the checkpoint if there is one.

    Its state is saved at the end of an epoch once `checkpoint_interval` seconds have passed since the last.
    """

    config: TrainingConfig
    checkpoint: Checkpoint | None
    trial_id: int
    token: str
    checkpoint_interval: float


@dataclass(frozen=True)
class Drain:
    """To it: save the state at the end of this epoch and stop there."""


@dataclass(frozen=True)
class Abandon:
    """To it: stop at the next batch."""


@dataclass(frozen=True)
class Began:
    """From it: what the trial runs on, the epochs done already, and why a checkpoint could not be used."""

    environment: dict[str, Any]
    history: list[EpochMetrics] = field(default_factory=list)
    problem: str | None = None


@dataclass(frozen=True)
class EpochDone:
    """From it: an epoch's metrics and, if the state was saved, the pointer to it; or why it could not be."""

    metrics: EpochMetrics
    checkpoint: Checkpoint | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Trained:
    """From it: all epochs are done; the weights as a safetensors file."""

    weights: bytes


@dataclass(frozen=True)
class Stopped:
    """From it: it drained or abandoned the trial after so many epochs, and is free again."""

    epoch: int


@dataclass(frozen=True)
class Failed:
    """From it: the trial failed, and it is free again."""

    failure: Failure
