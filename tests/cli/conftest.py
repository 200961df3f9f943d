"""Fixtures of the commands' tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commands import run_command
from tests.support.finished_run import FinishedRun
from tests.support.specs import write_spec


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, mnist_directory: Path) -> FinishedRun:
    """The tiny study, run by real workers, once for all tests of a process that only look at it."""
    folder = tmp_path_factory.mktemp("finished")
    spec = write_spec(folder)
    return FinishedRun(folder, run_command("run", str(spec), "--workers", "2", "--json", folder=folder))
