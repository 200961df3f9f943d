"""Training images moved, turned, scaled and sheared a little: torchvision's affine transform, per batch."""

from __future__ import annotations

import torch
from torch import Tensor

from mnist_tune.jobs.mnist.hyperparameters import TrainingConfig
from mnist_tune.jobs.mnist.torchvision_import import torchvision_module

BLACK = -1.0
"""A normalised pixel of the background, which moves in from the edges."""


class Augmentation:
    """Transforms normalised images (n, 1, 28, 28), a batch by one transform, drawn for it.

    Which transforms an epoch draws depends on the generator that it begins with alone.
    """

    def __init__(self, config: TrainingConfig) -> None:
        """Raises MnistTuneError if torchvision does not fit torch."""
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
        """Draw from this seed on."""
        self._generator.manual_seed(seed)

    def __call__(self, images: Tensor) -> Tensor:
        drawn = (2 * torch.rand(6, generator=self._generator) - 1) * self._strengths
        rotation, right, down, larger, shear_x, shear_y = drawn.tolist()
        transformed: Tensor = self._functional.affine(
            images.float(),  # in bf16 the pixels' places would be rounded too
            angle=rotation,
            translate=[right, down],
            scale=1 + larger,
            shear=[shear_x, shear_y],
            interpolation=self._bilinear,
            fill=BLACK,
        )
        return transformed


def is_augmented(config: TrainingConfig) -> bool:
    """Whether the recipe changes its images at all."""
    return any(
        (
            config.augmentation_shift,
            config.augmentation_rotation,
            config.augmentation_scale,
            config.augmentation_shear,
        )
    )
