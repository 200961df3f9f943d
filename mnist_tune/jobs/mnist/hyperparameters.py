"""What a training run is told: plain frozen values, each default written here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Optimizer = Literal["Adam", "SGD"]
Precision = Literal["auto", "fp32", "bf16"]
Scheduler = Literal["none", "cosine", "one_cycle"]


@dataclass(frozen=True)
class TrainingConfig:
    """The recipe of one run. Everything else is PyTorch's default.

    From `weight_decay` on, the defaults are 'off': such a run is the same, to the bit, as one without them.
    """

    learning_rate: float = 0.001
    batch_size: int = 64
    optimizer: Optimizer = "Adam"
    epochs: int = 10
    seed: int = 0
    precision: Precision = "auto"
    weight_decay: float = 0.0
    """L2, as both optimizers have it: added to the gradient."""
    momentum: float = 0.0
    """Of SGD; Adam has its own, and leaves this and `nesterov` alone."""
    nesterov: bool = False
    scheduler: Scheduler = "none"
    """How the learning rate goes, step by step, over all `epochs`; its highest is `learning_rate`."""
    label_smoothing: float = 0.0
    dropout: float = 0.0
    """Of the 128 hidden values."""
    augmentation_shift: float = 0.0
    """At most so many pixels, each way."""
    augmentation_rotation: float = 0.0
    """At most so many degrees, either way."""
    augmentation_scale: float = 0.0
    """At most so much larger or smaller: 0.1 is a factor of 0.9 to 1.1."""
    augmentation_shear: float = 0.0
    """At most so many degrees, in each direction."""
    ema_decay: float = 0.0
    """Of the moving average of the weights, a step, which then is the model; 0 is no average."""


@dataclass(frozen=True)
class DataConfig:
    """How the 60,000 training images are divided into training and validation images."""

    train_size: int = 50_000
    validation_size: int = 10_000
    split_seed: int = 0
