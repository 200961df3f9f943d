"""The sets of images that the job can train on: their files and the names of their classes. Without torch.

All have MNIST's shape. Folders and names are those of torchvision.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from mnist_tune.jobs.mnist.hyperparameters import N_IMAGES, DataConfig

N_TEST_IMAGES = 10_000
BYTES, INTEGERS = 0x08, 0x0C
"""The codes of an IDX file for values of one byte, and of four bytes, the highest first."""
SIZES = {BYTES: 1, INTEGERS: 4}


@dataclass(frozen=True)
class RawFile:
    """One raw file as its authors published it: an IDX header, then values in this shape."""

    set: str
    """The name of its set, which is also the name of its folder."""
    name: str
    shape: tuple[int, ...]
    sha256: str | None = None
    """In hex; None if only the form of the file is known."""
    values: int = BYTES

    @property
    def header(self) -> bytes:
        """The first bytes of the file: the type of the values, and the shape."""
        numbers = (length.to_bytes(4, "big") for length in self.shape)
        return bytes((0, 0, self.values, len(self.shape))) + b"".join(numbers)

    @property
    def size(self) -> int:
        """How many bytes the file has."""
        return len(self.header) + math.prod(self.shape) * SIZES[self.values]


@dataclass(frozen=True)
class ImageSet:
    """60,000 images for training and validation and 10,000 test images, of ten classes."""

    name: str
    files: tuple[RawFile, RawFile, RawFile, RawFile]
    """Training images, training labels, test images, test labels."""
    class_names: tuple[str, ...] = tuple("0123456789")
    one_class: str = "digit"
    classes: str = "digits"
    """What to call one of the classes, and all of them."""
    parts: tuple[str, ...] = ()
    """What torchvision downloads separately."""


def _files(of: str, sums: tuple[str | None, ...] = (None,) * 4) -> tuple[RawFile, RawFile, RawFile, RawFile]:
    """The four files under MNIST's own names."""
    return (
        RawFile(of, "train-images-idx3-ubyte", (N_IMAGES, 28, 28), sums[0]),
        RawFile(of, "train-labels-idx1-ubyte", (N_IMAGES,), sums[1]),
        RawFile(of, "t10k-images-idx3-ubyte", (N_TEST_IMAGES, 28, 28), sums[2]),
        RawFile(of, "t10k-labels-idx1-ubyte", (N_TEST_IMAGES,), sums[3]),
    )


MNIST = ImageSet(
    "MNIST",
    _files(
        "MNIST",
        (
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
)
FASHION_MNIST = ImageSet(
    "FashionMNIST",
    _files("FashionMNIST"),
    (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
    "class",
    "classes",
)
KMNIST = ImageSet(
    "KMNIST",
    _files("KMNIST"),
    ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    "character",
    "characters",
)
QMNIST = ImageSet(
    "QMNIST",
    (
        RawFile("QMNIST", "qmnist-train-images-idx3-ubyte", (60_000, 28, 28)),
        RawFile("QMNIST", "qmnist-train-labels-idx2-int", (60_000, 8), values=INTEGERS),
        # The first 10,000 of them are MNIST's test images, which torchvision calls test10k.
        RawFile("QMNIST", "qmnist-test-images-idx3-ubyte", (60_000, 28, 28)),
        RawFile("QMNIST", "qmnist-test-labels-idx2-int", (60_000, 8), values=INTEGERS),
    ),
    parts=("train", "test10k"),
)
IMAGE_SETS = {images.name: images for images in (MNIST, FASHION_MNIST, KMNIST, QMNIST)}


def image_set(data: Any) -> ImageSet:
    """The set that a table [data] names; studies of before there were several name none."""
    return IMAGE_SETS[getattr(data, "dataset", DataConfig().dataset)]
