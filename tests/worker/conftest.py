"""Fixtures of the worker's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mnist_tune.worker.child import TrainingProcess
from tests.support.trained_attempts import AttemptsOf, attempts_in, start_training_process


@pytest.fixture(scope="module")
def process(
    tmp_path_factory: pytest.TempPathFactory, mnist_directory: Path
) -> Iterator[tuple[TrainingProcess, Path]]:
    """A process that has loaded its data, for the tests that leave it alive, and its folder of states."""
    folder = tmp_path_factory.mktemp("states")
    with start_training_process(folder) as process:
        yield process, folder


@pytest.fixture
def attempts_of(tmp_path: Path, process: tuple[TrainingProcess, Path]) -> AttemptsOf:
    return lambda text: attempts_in(tmp_path, process[0], process[1], text)
