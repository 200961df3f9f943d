"""Fixtures of the MNIST job's tests."""

from pathlib import Path

import pytest

from mnist_tune.jobs.mnist.dataset import LabeledImages, load_training_images, split


@pytest.fixture(scope="module")
def images(mnist_directory: Path) -> tuple[LabeledImages, LabeledImages]:
    """200 training images (the last batch of 64 is a part of one), 70 for validation."""
    return split(load_training_images(mnist_directory, "cpu"), 200, 70)
