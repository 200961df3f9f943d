"""MNIST made ready before anything is started that would need it."""

from __future__ import annotations

from pathlib import Path

from mnist_tune.jobs.mnist.raw_files import data_directory, provide


def prepare_data(directory: Path | None) -> None:
    """See that MNIST is there and whole, without waiting for torch unless it must be downloaded."""

    def download(folder: Path) -> None:
        from mnist_tune.jobs.mnist.dataset import download

        download(folder)

    provide(data_directory(directory), download)
