"""What a training run is told: plain frozen values, each default written here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Optimizer = Literal["Adam", "SGD"]
Precision = Literal["auto", "fp32", "bf16"]


@dataclass(frozen=True)
class TrainingConfig:
    """The recipe of one run. Everything else is PyTorch's default."""

    learning_rate: float = 0.001
    batch_size: int = 64
    optimizer: Optimizer = "Adam"
    epochs: int = 10
    seed: int = 0
    precision: Precision = "auto"


@dataclass(frozen=True)
class DataConfig:
    """How the 60,000 training images are divided into training and validation images."""

    train_size: int = 50_000
    validation_size: int = 10_000
    split_seed: int = 0


def parameters_text(parameters: dict[str, Any]) -> str:
    """Searched fields and their values on one line."""
    return ", ".join(f"{name}={value}" for name, value in parameters.items())
