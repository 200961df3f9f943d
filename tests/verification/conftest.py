"""A grid and a sampled search with cells in every state."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mnist_tune.contract.study import new_token
from mnist_tune.failures import Failure
from mnist_tune.spec.imports import Import, ResultElsewhere
from mnist_tune.spec.revisions import Point
from mnist_tune.study.imports import import_results
from tests.support.made_studies.cells_with_files import CellsByHand
from tests.support.verified_studies import PATIENT_SPEC, SAMPLED_SPEC


@pytest.fixture(scope="session")
def grid_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A grid with cells in every state.

    Trial 0 was lost and is complete as trial 8, 1 failed for good, 2 to 4 are complete, 5 is complete by
    another job, 6 was stopped and waits as trial 9, 7 runs. Trial 10 is a result that was imported.
    """
    folder = tmp_path_factory.mktemp("grid")
    build = CellsByHand(folder, PATIENT_SPEC)
    for number in range(8):
        claim = build.claim()
        if number in (0, 6):
            build.train(claim, 1)
            kind, reason = ("lost", "no heartbeat") if number == 0 else ("preempted", "stopped")
            build.queue.give_back(claim, Failure(kind, reason))  # type: ignore[arg-type]
        elif number == 1:
            build.queue.give_back(claim, Failure("non_finite", "training loss is nan in epoch 1"))
        elif number == 5:
            build.queue.record(claim, reports={1: 41.0})
            build.queue.complete(claim, 41.0)
        elif number == 7:
            build.train(claim, 1)
        else:
            build.complete(claim)
    build.complete(build.claim())
    point: Point = {"learning_rate": 0.001, "batch_size": 64, "optimizer": "Adam"}
    elsewhere = Import(source="known.csv", results=[ResultElsewhere(parameters=point, value=99.0)])
    assert import_results(build.study, elsewhere, new_token()) == (1, 0)
    build.study.storage.engine.dispose()
    return folder


@pytest.fixture(scope="session")
def sampled_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sampled search: trial 0 failed and waits as trial 3, 1 is complete, 2 has no parameters yet."""
    folder = tmp_path_factory.mktemp("sampled")
    build = CellsByHand(folder, SAMPLED_SPEC)
    guide = build.study.guide()
    failing, completing = build.claim(), build.claim()
    for claim in (failing, completing):
        guide.parameters(claim)
    build.queue.give_back(failing, Failure("exception", "it broke"))
    build.complete(completing)
    build.study.storage.engine.dispose()
    return folder


@pytest.fixture
def grid(grid_folder: Path, tmp_path: Path) -> Path:
    """A copy of the folder of the grid."""
    return shutil.copytree(grid_folder, tmp_path, dirs_exist_ok=True)


@pytest.fixture
def sampled(sampled_folder: Path, tmp_path: Path) -> Path:
    """A copy of the folder of the sampled search."""
    return shutil.copytree(sampled_folder, tmp_path / "sampled")
