"""The hyperparameters of the MNIST classifier: the recipe, and how the images are divided."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mnist_tune.jobs.hyperparameters import ADDED_LATER, DataOptions, Epochs, Hyperparameters, Seed

Dataset = Literal["MNIST", "FashionMNIST", "KMNIST", "QMNIST"]
"""The sets of MNIST's shape, as torchvision calls them."""
Optimizer = Literal["Adam", "SGD"]
Precision = Literal["auto", "fp32", "bf16"]
Scheduler = Literal["none", "cosine", "one_cycle"]
N_IMAGES = 60_000
"""The images of each set for training and validation."""


class TrainingConfig(Hyperparameters):
    """[training]: the recipe of one run. Everything else is PyTorch's default.

    From `weight_decay` on, each default means 'off': a run with it is the same, to the bit, as one without.
    """

    learning_rate: Annotated[float, Field(gt=0)] = 0.001
    batch_size: Annotated[int, Field(ge=1, le=N_IMAGES)] = 64
    optimizer: Optimizer = "Adam"
    epochs: Epochs = 10
    seed: Seed = 0
    precision: Precision = "auto"
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """L2, as in both of PyTorch's optimizers: added to the gradient."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The momentum of SGD; Adam has its own, and ignores this and `nesterov`."""
    nesterov: bool = False
    scheduler: Scheduler = "none"
    """How the learning rate changes, step by step, over all `epochs`; at most it is `learning_rate`."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The dropout of the 128 hidden values."""
    augmentation_shift: Annotated[float, Field(ge=0, le=14)] = 0.0
    """The largest shift in pixels, in each direction."""
    augmentation_rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    """The largest rotation in degrees, either way."""
    augmentation_scale: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The largest change of size: 0.1 stands for a factor of 0.9 to 1.1."""
    augmentation_shear: Annotated[float, Field(ge=0, le=60)] = 0.0
    """The largest shear in degrees, in each direction."""
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The decay per step of the weights' moving average, which then is the model; 0 means no average."""


class DataConfig(DataOptions):
    """[data]: which images, and how the 60,000 that are not for the test are divided."""

    train_size: Annotated[int, Field(ge=10, le=N_IMAGES)] = 50_000
    validation_size: Annotated[int, Field(ge=10, le=N_IMAGES)] = 10_000
    split_seed: Seed = 0
    dataset: Annotated[Dataset, Field(json_schema_extra=ADDED_LATER)] = "MNIST"

    @model_validator(mode="after")
    def _fit_into_the_training_images(self) -> Self:
        if self.train_size + self.validation_size > N_IMAGES:
            raise ValueError(
                f"train_size + validation_size is {self.train_size + self.validation_size:,}, "
                f"but there are {N_IMAGES:,} training images; make one smaller"
            )
        return self
