"""Fixtures of all tests. MNIST is real, unpacked once a session into a folder of pytest's own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mnist_tune import mnist_files


@pytest.fixture(scope="session")
def mnist_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with MNIST/raw/ in it; from then on also $MNIST_TUNE_DATA, which subprocesses inherit."""
    directory = tmp_path_factory.mktemp("mnist")
    mnist_files.provide(directory)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, mnist_files.ENVIRONMENT_VARIABLE, str(directory))
        yield directory
