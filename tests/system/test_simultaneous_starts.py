"""Processes that start within milliseconds of each other: what all of them want is done once, every time."""

from __future__ import annotations

import sqlite3
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from mnist_tune.results.reading import read_results
from mnist_tune.spec.study_spec import Spec
from mnist_tune.study.store import create_study, open_study
from mnist_tune.worker.loop import Ended
from mnist_tune.worker.trial import Trial
from tests.support.forked_processes import run_each
from tests.support.made_studies.epochs import made_epoch
from tests.support.specs import tiny_spec
from tests.support.studies import new_study, open_file, work
from tests.system.process_pool import ProcessPool, Treatment

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("n_workers", [2, 8, 16])
def test_workers_make_exactly_eight_trials_every_time(tmp_path: Path, n_workers: int) -> None:
    folders = [tmp_path / str(repetition) for repetition in range(5)]
    pools = [(folder, n_workers) for folder in folders]
    assert run_each(pool_finishes_the_grid, pools, at_once=3) == [[]] * len(pools)
    for folder in folders:
        attempts = read_results(open_study(open_file(folder), "tiny")).attempts
        assert [attempt.state for attempt in attempts] == ["complete"] * 8
        assert sorted(attempt.cell for attempt in attempts) == list(range(8))
        with sqlite3.connect(folder / "studies.db") as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def pool_finishes_the_grid(pool: tuple[Path, int]) -> list[str]:
    """Start so many workers on a new study at once; returns what is wrong with how they left."""
    folder, n_workers = pool
    folder.mkdir()
    new_study(folder).storage.engine.dispose()
    return ProcessPool(
        partial(work_for_a_moment, folder), Treatment(workers=n_workers), seed=0
    ).let_all_leave()


def work_for_a_moment(folder: Path) -> None:
    def run_trial(trial: Trial) -> float:
        time.sleep(0.01)
        trial.epoch_done(made_epoch(1, 50.0), last=True)
        return 50.0

    study = open_study(open_file(folder), "tiny")
    if work(study, run_trial, log=lambda _: None) is not Ended.FINISHED:
        sys.exit("left before the study was finished")


def test_creators_make_one_set_of_cells_every_time(tmp_path: Path) -> None:
    folders = [tmp_path / str(repetition) for repetition in range(5)]
    assert run_each(pool_creates_the_study, folders, at_once=1) == [[]] * len(folders)
    for folder in folders:
        assert len(read_results(open_study(open_file(folder), "tiny")).attempts) == 8


def pool_creates_the_study(folder: Path) -> list[str]:
    """Start twenty-four creators in a folder without a database; returns what is wrong with how they left."""
    folder.mkdir()
    spec = tiny_spec(folder)
    return ProcessPool(partial(create, folder, spec), Treatment(workers=24), seed=0).let_all_leave()


def create(folder: Path, spec: Spec) -> None:
    create_study(open_file(folder, create=True), spec)
