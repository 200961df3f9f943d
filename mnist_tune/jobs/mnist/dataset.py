"""A set of images as tensors in memory, and the split into training and validation images."""

import functools
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from pathlib import Path

import torch
from torch import Tensor

from mnist_tune.errors import MnistTuneError, UserError
from mnist_tune.jobs.mnist.hyperparameters import N_IMAGES, DataConfig
from mnist_tune.jobs.mnist.image_sets import INTEGERS, MNIST, N_TEST_IMAGES, ImageSet, RawFile
from mnist_tune.jobs.mnist.raw_files import data_directory, provide, raw_path
from mnist_tune.jobs.mnist.torchvision_import import torchvision_module

CLASSES = 10
IMAGE = (1, 28, 28)  # channels, height, width
SILENCE = 30
"""Seconds without a byte after which a download has failed."""


def normalize(pixels: Tensor) -> Tensor:
    """uint8 to float32 from -1 to 1: the bits of torchvision's ToTensor and Normalize((0.5,), (0.5,))."""
    return pixels.to(torch.float32).div_(255).sub_(0.5).div_(0.5)


@dataclass(frozen=True)
class LabeledImages:
    """n images with their labels, on one device.

    stored: (m, 1, 28, 28), a tensor that holds these images and maybe others; uint8 as in the file, or
        normalised floats.
    labels: (n,) int64, 0 to 9.
    rows: (n,) int64, the indices of these images in `stored`; None: all of them, in their order.
    """

    stored: Tensor
    labels: Tensor
    rows: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def pixels(self) -> Tensor:
        """The pixels as stored, (n, 1, 28, 28); a copy unless these are all stored images."""
        return self.stored if self.rows is None else self.stored.index_select(0, self.rows)

    @property
    def images(self) -> Tensor:
        """Normalised images, (n, 1, 28, 28); float32 (3 KB an image) unless other floats are stored."""
        pixels = self.pixels
        return pixels if pixels.is_floating_point() else normalize(pixels)

    def take(self, which: Tensor) -> "LabeledImages":
        """The images at `which` (int64 indices on the same device); no pixel is copied."""
        rows = which if self.rows is None else self.rows.index_select(0, which)
        return LabeledImages(self.stored, self.labels.index_select(0, which), rows)

    def to(self, device: torch.device | str) -> "LabeledImages":
        """These images on `device`, copied unless they are there already."""
        if torch.device(device) == self.labels.device:
            return self
        return LabeledImages(self.pixels.to(device), self.labels.to(device))

    def normalized(self, dtype: torch.dtype) -> "LabeledImages":
        """Normalised copies of the images: for a device with much memory, where each kernel launch counts."""
        return LabeledImages(self.images.to(dtype), self.labels)


def prepare(directory: Path | None = None, images: ImageSet = MNIST) -> Path:
    """The data directory, after all four files were found and checked. Errors: see `raw_files.provide`."""
    directory = data_directory(directory)
    provide(directory, partial(download, images=images), images=images)
    return directory


def load_training_images(
    directory: Path | None = None, device: torch.device | str = "cpu", images: ImageSet = MNIST
) -> LabeledImages:
    """The 60,000 training images on `device`, read once a process. Errors: see `raw_files.provide`."""
    return _load(data_directory(directory), True, str(device), images)


def load_test_images(
    directory: Path | None = None, device: torch.device | str = "cpu", images: ImageSet = MNIST
) -> LabeledImages:
    """The 10,000 test images on `device`, read once a process. Errors: see `raw_files.provide`."""
    return _load(data_directory(directory), False, str(device), images)


def split(
    data: LabeledImages, train_size: int, validation_size: int, split_seed: int = DataConfig().split_seed
) -> tuple[LabeledImages, LabeledImages]:
    """Disjoint (training, validation) images, each with the classes in `data`'s proportions.

    The validation images depend on `split_seed` and `validation_size` alone, so that studies with different
    `train_size` are measured on the same images.

    Raises:
        UserError: `data` has too few images.
    """
    if train_size < 1 or validation_size < 0:
        raise UserError(
            f"train_size {train_size} and validation_size {validation_size}: write 1 or more, and 0 or more"
        )
    if train_size + validation_size > len(data):
        raise UserError(
            f"train_size {train_size:,} and validation_size {validation_size:,} are more than the "
            f"{len(data):,} images there are"
        )
    labels = data.labels.cpu()
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(split_seed))
    by_class = [order[labels[order] == digit] for digit in range(CLASSES)]
    held_out = _shares(validation_size, [len(rows) for rows in by_class])
    validation = torch.cat([rows[:count] for rows, count in zip(by_class, held_out, strict=True)])
    rest = [rows[count:] for rows, count in zip(by_class, held_out, strict=True)]
    kept = _shares(train_size, [len(rows) for rows in rest])
    training = torch.cat([rows[:count] for rows, count in zip(rest, kept, strict=True)])
    device = data.labels.device
    return data.take(training.sort().values.to(device)), data.take(validation.sort().values.to(device))


def _shares(total: int, sizes: list[int]) -> list[int]:
    """Divide `total` in proportion to `sizes`, by largest remainder: the sum is exact, no size exceeded."""
    whole = sum(sizes) or 1
    shares = [total * size // whole for size in sizes]
    by_remainder = sorted(range(len(sizes)), key=lambda i: (-(total * sizes[i] % whole), i))
    for i in by_remainder[: total - sum(shares)]:
        shares[i] += 1
    return shares


@functools.cache
def _load(directory: Path, train: bool, device: str, images: ImageSet) -> LabeledImages:
    prepare(directory, images)
    pixels, labels = images.files[:2] if train else images.files[2:]
    n = N_IMAGES if train else N_TEST_IMAGES  # a file may have more
    stored = _mapped(directory, pixels).view(-1, *IMAGE)[:n]
    return LabeledImages(stored, _classes(directory, labels)[:n].to(torch.int64)).to(device)


def _classes(directory: Path, file: RawFile) -> Tensor:
    values = _mapped(directory, file)
    if file.values != INTEGERS:
        return values
    return values.view(*file.shape, -1)[:, 0, -1]  # of each image's integers the first, of that the last byte


def _mapped(directory: Path, file: RawFile) -> Tensor:
    """The bytes of a file after its header."""
    # Mapped, not read: all workers of a machine share the page cache, and none has a copy of its own.
    path = str(raw_path(directory, file))
    return torch.from_file(path, shared=False, size=file.size, dtype=torch.uint8)[len(file.header) :]


def download(folder: Path, images: ImageSet = MNIST) -> None:
    """Fetch the four files below `folder` as torchvision does. Raises MnistTuneError if that fails."""
    of_torchvision = getattr(torchvision_module("datasets"), images.name)
    try:
        with _silence_ends():
            for part in images.parts or (None,):
                of_torchvision(folder, download=True, **({} if part is None else {"what": part}))
    except (OSError, RuntimeError, HTTPException, EOFError) as error:
        raise MnistTuneError(" ".join(str(error).split()) or type(error).__name__) from error


@contextmanager
def _silence_ends() -> Iterator[None]:
    """Give up on a server that says nothing: torchvision itself would wait for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
