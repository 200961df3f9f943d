"""Makes MNIST ready before processes are started that need it."""

from __future__ import annotations

from pathlib import Path

from mnist_tune.jobs.mnist.raw_files import data_directory, provide


def prepare_data(directory: Path | None) -> None:
    """Check that MNIST is there and whole; torch is loaded only if MNIST must be downloaded."""

    def download(folder: Path) -> None:
        from mnist_tune.jobs.mnist.dataset import download

        download(folder)

    provide(data_directory(directory), download)
