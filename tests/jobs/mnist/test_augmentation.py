from pathlib import Path

import pytest
import torch
from torch import Tensor

from mnist_tune.jobs.mnist.augmentation import Augmentation, is_augmented
from mnist_tune.jobs.mnist.dataset import load_training_images
from mnist_tune.jobs.mnist.hyperparameters import TrainingConfig

EACH = ["augmentation_shift", "augmentation_rotation", "augmentation_scale", "augmentation_shear"]


@pytest.fixture(scope="module")
def digits(mnist_directory: Path) -> Tensor:
    return load_training_images(mnist_directory).take(torch.arange(40)).images


def augmentation(seed: int = 0, **strengths: float) -> Augmentation:
    made = Augmentation(TrainingConfig(**strengths))  # type: ignore[arg-type]
    made.begin(seed)
    return made


def centers(images: Tensor) -> Tensor:
    """The centre of each image's ink in pixels: (n, 2) of x and y."""
    ink = (images + 1).squeeze(1)
    places = torch.arange(28.0)
    total = ink.sum((1, 2))
    return torch.stack([(ink.sum(1) * places).sum(1), (ink.sum(2) * places).sum(1)], 1) / total[:, None]


@pytest.mark.parametrize("field", EACH)
def test_each_strength_alone_changes_the_images_and_keeps_their_range(digits: Tensor, field: str) -> None:
    assert is_augmented(TrainingConfig(**{field: 0.5}))  # type: ignore[arg-type]
    changed = augmentation(0, **{field: 0.5})(digits)
    assert changed.shape == digits.shape
    assert changed.dtype == torch.float32
    assert not torch.equal(changed, digits)
    assert (changed - digits).abs().mean() < 0.3
    assert changed.min() >= -1.0001
    assert changed.max() <= 1.0001


def test_without_a_strength_there_is_no_augmentation() -> None:
    assert not is_augmented(TrainingConfig())


def test_a_shift_moves_a_whole_batch_alike_and_no_further_than_it_may(digits: Tensor) -> None:
    shifting = augmentation(augmentation_shift=3)
    moved = torch.stack([centers(shifting(digits)) - centers(digits) for _ in range(50)])
    assert moved.std(1).max() < 0.4  # but for ink that left the image
    means = moved.mean(1)
    assert means.abs().max() < 3.1
    assert means.abs().amax(0).min() > 2  # both ways it gets near to what it may
    assert means.mean(0).abs().max() < 1


def test_what_moves_in_from_the_edges_is_background() -> None:
    white = torch.ones(1, 1, 28, 28)
    shifting = augmentation(augmentation_shift=10)
    left, right = (shifting(white)[0, 0, 14] for _ in range(2))
    assert {float(left.min()), float(right.min())} == {-1.0}


def test_an_epochs_transforms_depend_on_its_seed_alone(digits: Tensor) -> None:
    first, second = augmentation(7, augmentation_rotation=20), augmentation(8, augmentation_rotation=20)
    batches = [first(digits), first(digits)]
    assert not torch.equal(*batches)
    second(digits)
    second.begin(7)
    assert all(torch.equal(batch, second(digits)) for batch in batches)


def test_bf16_images_are_transformed_at_full_precision(digits: Tensor) -> None:
    exact = augmentation(augmentation_rotation=20)(digits)
    rounded = augmentation(augmentation_rotation=20)(digits.to(torch.bfloat16))
    assert torch.allclose(exact, rounded, atol=0.02)
