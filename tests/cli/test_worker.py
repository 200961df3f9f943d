"""`worker`: its output for a study with nothing left to run."""

from __future__ import annotations

from pathlib import Path

from tests.support.commands import Command
from tests.support.made_studies.cells import fail_all_cells
from tests.support.studies import new_study


def test_a_worker_on_a_study_that_ended_with_cells_missing_says_so_and_exits_with_1(
    tmp_path: Path, command: Command, mnist_directory: Path
) -> None:
    fail_all_cells(new_study(tmp_path), "training loss is nan in epoch 1")
    answer = command("worker", "tiny", "--data-dir", str(mnist_directory))
    assert (answer.code, answer.err) == (1, "")
    assert "cells are missing: see mnist-tune status tiny" in answer.out
