"""What a training run of the MNIST classifier is told: the recipe, and how the images are divided."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mnist_tune.jobs.hyperparameters import Hyperparameters, Seed

Optimizer = Literal["Adam", "SGD"]
Precision = Literal["auto", "fp32", "bf16"]
Scheduler = Literal["none", "cosine", "one_cycle"]
N_IMAGES = 60_000
"""Of MNIST that may be trained on and validated on."""
MOST_EPOCHS = 2**31 - 1
"""The largest number that a database counts epochs to."""


class TrainingConfig(Hyperparameters):
    """[training]: the recipe of one run. Everything else is PyTorch's default.

    From `weight_decay` on, the defaults are 'off': such a run is the same, to the bit, as one without them.
    """

    learning_rate: Annotated[float, Field(gt=0)] = 0.001
    batch_size: Annotated[int, Field(ge=1, le=N_IMAGES)] = 64
    optimizer: Optimizer = "Adam"
    epochs: Annotated[int, Field(ge=1, le=MOST_EPOCHS)] = 10
    seed: Seed = 0
    precision: Precision = "auto"
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """L2, as both optimizers have it: added to the gradient."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Of SGD; Adam has its own, and leaves this and `nesterov` alone."""
    nesterov: bool = False
    scheduler: Scheduler = "none"
    """How the learning rate goes, step by step, over all `epochs`; its highest is `learning_rate`."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Of the 128 hidden values."""
    augmentation_shift: Annotated[float, Field(ge=0, le=14)] = 0.0
    """At most so many pixels, each way."""
    augmentation_rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    """At most so many degrees, either way."""
    augmentation_scale: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """At most so much larger or smaller: 0.1 is a factor of 0.9 to 1.1."""
    augmentation_shear: Annotated[float, Field(ge=0, le=60)] = 0.0
    """At most so many degrees, in each direction."""
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Of the moving average of the weights, a step, which then is the model; 0 is no average."""


class DataConfig(Hyperparameters):
    """[data]: how the 60,000 training images are divided; the test images are not part of it."""

    train_size: Annotated[int, Field(ge=10, le=N_IMAGES)] = 50_000
    validation_size: Annotated[int, Field(ge=10, le=N_IMAGES)] = 10_000
    split_seed: Seed = 0

    @model_validator(mode="after")
    def _fit_into_the_training_images(self) -> Self:
        if self.train_size + self.validation_size > N_IMAGES:
            raise ValueError(
                f"train_size + validation_size is {self.train_size + self.validation_size:,}, "
                f"but there are {N_IMAGES:,} training images; make one smaller"
            )
        return self
