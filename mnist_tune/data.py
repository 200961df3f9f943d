"""MNIST as resident tensors, and the split into training and validation images."""

import functools
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mnist_tune.configuration import DataConfig
from mnist_tune.errors import MnistTuneError, UserError
from mnist_tune.mnist_files import data_directory, provide

CLASSES = 10


def normalize(pixels: Tensor) -> Tensor:
    """uint8 to float32, -1 to 1: torchvision's ToTensor and Normalize((0.5,), (0.5,)), bit for bit."""
    return pixels.to(torch.float32).div_(255).sub_(0.5).div_(0.5)


@dataclass(frozen=True)
class LabeledImages:
    """n images with their labels, on one device.

    pixels: (n, 1, 28, 28) uint8, as the files have them: a quarter of float32's memory in every worker, while
        normalising a batch costs under 1 % of a training step.
    labels: (n,) int64, 0 to 9.
    """

    pixels: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def images(self) -> Tensor:
        """(n, 1, 28, 28) float32, normalised; made anew at each call (3 KB an image)."""
        return normalize(self.pixels)

    def take(self, rows: Tensor) -> "LabeledImages":
        """The images at `rows` (int64 indices on the same device), copied."""
        return LabeledImages(self.pixels.index_select(0, rows), self.labels.index_select(0, rows))

    def to(self, device: torch.device | str) -> "LabeledImages":
        return LabeledImages(self.pixels.to(device), self.labels.to(device))


def prepare(directory: Path | None = None) -> Path:
    """The data directory, once all four files are there and checked. Errors: see `mnist_files.provide`."""
    directory = data_directory(directory)
    provide(directory, download=download)
    return directory


def load_training_images(directory: Path | None = None, device: torch.device | str = "cpu") -> LabeledImages:
    """The 60,000 training images on `device`, read once a process. Errors: see `mnist_files.provide`."""
    return _load(data_directory(directory), True, str(device))


def load_test_images(directory: Path | None = None, device: torch.device | str = "cpu") -> LabeledImages:
    """The 10,000 test images on `device`, read once a process. Errors: see `mnist_files.provide`."""
    return _load(data_directory(directory), False, str(device))


def split(
    data: LabeledImages, train_size: int, validation_size: int, split_seed: int = DataConfig.split_seed
) -> tuple[LabeledImages, LabeledImages]:
    """Disjoint (training, validation) images, each with the classes in `data`'s proportions.

    The validation images depend on `split_seed` and `validation_size` alone, so that studies with another
    `train_size` are measured on the same ones. Raises UserError if `data` has too few images.
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
    """`total` in proportion to `sizes`, by largest remainder: the sum is exact, no share exceeds its size."""
    whole = sum(sizes) or 1
    shares = [total * size // whole for size in sizes]
    by_remainder = sorted(range(len(sizes)), key=lambda i: (-(total * sizes[i] % whole), i))
    for i in by_remainder[: total - sum(shares)]:
        shares[i] += 1
    return shares


@functools.cache
def _load(directory: Path, train: bool, device: str) -> LabeledImages:
    prepare(directory)
    for name in ("training.pt", "test.pt"):
        if (legacy := directory / "MNIST" / "processed" / name).exists():
            # torchvision would read these files of its early versions instead of the raw ones just checked.
            raise UserError(
                f"{legacy}: left by an old torchvision, which no longer writes it; delete it and run again"
            )
    dataset = torchvision_datasets().MNIST(directory, train=train)
    return LabeledImages(dataset.data.unsqueeze(1), dataset.targets).to(device)


def download(folder: Path) -> None:
    """Fetch the four files below `folder` as torchvision does. Raises MnistTuneError if that fails."""
    try:
        torchvision_datasets().MNIST(folder, download=True)
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise MnistTuneError(
            f"this installation carries no MNIST files and they cannot be downloaded ({reason}); "
            "put them into MNIST/raw/ of the folder named by MNIST_TUNE_DATA, or reinstall mnist-tune"
        ) from error


def torchvision_datasets() -> Any:
    """The module `torchvision.datasets`. Raises MnistTuneError if torchvision does not fit torch."""
    try:
        from torchvision import datasets
    except (ImportError, RuntimeError) as error:
        # torch and torchvision from different indexes: "operator torchvision::nms does not exist".
        reason = str(error).splitlines()[0]
        raise MnistTuneError(
            f"torchvision {_version('torchvision')} does not fit torch {_version('torch')} ({reason}); "
            "run: pip install --force-reinstall torch torchvision"
        ) from error
    return datasets


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "(not installed)"
