"""Moves, turns, scales and shears training images a little, by torchvision's affine transform."""

from __future__ import annotations

import torch
from torch import Tensor

from mnist_tune.jobs.mnist.hyperparameters import TrainingConfig
from mnist_tune.jobs.mnist.torchvision_import import torchvision_module

BLACK = -1.0
"""The normalised value of a background pixel, which fills the edges of a moved image."""


class Augmentation:
    """Transforms normalised images (n, 1, 28, 28); each batch gets one random transform.

    The transforms of an epoch depend only on the seed that `begin` was given.
    """

    def __init__(self, config: TrainingConfig) -> None:
        """Load torchvision's transforms. Raises MnistTuneError if torchvision does not fit torch."""
        self._strengths = torch.tensor(
            [
                config.augmentation_rotation,
                config.augmentation_shift,
                config.augmentation_shift,
                config.augmentation_scale,
                config.augmentation_shear,
                config.augmentation_shear,
            ]
        )
        self._generator = torch.Generator()
        self._functional = torchvision_module("transforms.v2.functional")
        self._bilinear = torchvision_module("transforms").InterpolationMode.BILINEAR

    def begin(self, seed: int) -> None:
        """Draw the following transforms from this seed."""
        self._generator.manual_seed(seed)

    def __call__(self, images: Tensor) -> Tensor:
        drawn = (2 * torch.rand(6, generator=self._generator) - 1) * self._strengths
        rotation, right, down, larger, shear_x, shear_y = drawn.tolist()
        transformed: Tensor = self._functional.affine(
            images.float(),  # in bf16 the coordinates would be rounded too
            angle=rotation,
            translate=[right, down],
            scale=1 + larger,
            shear=[shear_x, shear_y],
            interpolation=self._bilinear,
            fill=BLACK,
        )
        return transformed


def is_augmented(config: TrainingConfig) -> bool:
    """Whether the recipe changes its training images."""
    return any(
        (
            config.augmentation_shift,
            config.augmentation_rotation,
            config.augmentation_scale,
            config.augmentation_shear,
        )
    )
