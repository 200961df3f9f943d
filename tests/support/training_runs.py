"""Runtimes for training runs, and what must be equal in two of them."""

import os
import subprocess
import sys
from pathlib import Path

import torch
from torch import Tensor

import mnist_tune
from mnist_tune.hardware.devices import Runtime
from mnist_tune.jobs.metrics import EpochMetrics
from mnist_tune.jobs.mnist.trainer import Trainer

FP32 = Runtime("cpu", "a CPU", "fp32", 1)
BF16 = Runtime("cpu", "a CPU", "bf16", 1)


def weights_of(trainer: Trainer) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in trainer.model.named_parameters()}


def are_the_same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def numbers_of(metrics: EpochMetrics) -> tuple[int, float | None, float | None, float | None]:
    """What must be equal in every run: everything but the times."""
    return metrics.epoch, metrics["training_loss"], metrics["validation_loss"], metrics["validation_accuracy"]


def start_python(code: str) -> subprocess.Popen[str]:
    """Start a fresh Python that runs `code` with this project on its path."""
    environment = {**os.environ, "PYTHONPATH": str(Path(mnist_tune.__file__).parent.parent)}
    return subprocess.Popen(
        [sys.executable, "-P", "-c", code], env=environment, stdout=subprocess.PIPE, text=True
    )
