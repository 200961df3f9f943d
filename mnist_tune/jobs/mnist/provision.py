"""Makes images ready before processes are started that need them."""

from __future__ import annotations

from pathlib import Path

from mnist_tune.jobs.mnist.image_sets import ImageSet
from mnist_tune.jobs.mnist.raw_files import data_directory, provide


def prepare_data(images: ImageSet, directory: Path | None) -> None:
    """Check that a set is there and whole; torch is loaded only if it must be downloaded.

    Errors: see `raw_files.provide`.
    """

    def download(folder: Path) -> None:
        from mnist_tune.jobs.mnist.dataset import download

        download(folder, images)

    provide(data_directory(directory), download, images=images)
