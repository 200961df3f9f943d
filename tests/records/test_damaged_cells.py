"""A worker on a damaged study: it runs the other cells, and fails the damaged one with its reason."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from mnist_tune.errors import MnistTuneError
from mnist_tune.results.reading import read_results
from mnist_tune.results.trial_result import State
from mnist_tune.study.store import open_study
from mnist_tune.worker import loop
from tests.support.commands import STORED, Command
from tests.support.damaged_studies import EACH_DAMAGE, SEED, fails_if_it_hangs
from tests.support.damaged_values import DAMAGED, Case, cases
from tests.support.studies import open_file, work

CLAIMED = ("trials", "trial_params", "trial_system_attributes", "trial_heartbeats", "study_user_attributes")
"""The tables that a worker reads at a claim, or when it puts a lost cell back."""


@pytest.mark.slow
@EACH_DAMAGE
def test_a_worker_runs_the_other_cells_of_a_damaged_study(
    undamaged_folder: Path,
    fresh_copy: Callable[[], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    each: int,
) -> None:
    monkeypatch.setattr(loop, "STAND_BY_SECONDS", 0.05)
    n_seen = 0
    for case in cases(undamaged_folder / STORED, SEED + 1, each):
        if case.table not in CLAIMED or (each == 1 and case.column == "key"):
            continue
        if not case.apply(fresh_copy()):
            continue
        n_seen += 1
        with fails_if_it_hangs(case):
            refused = work_off(tmp_path)
        if refused is not None:  # of the study itself
            assert len(refused.splitlines()) == 1, case
            continue
        states = [
            attempt.state for attempt in read_results(open_study(open_file(tmp_path), DAMAGED)).attempts
        ]
        assert states.count(State.COMPLETE) >= 4, f"{case}: {states}"
    assert n_seen > 15


def work_off(folder: Path) -> str | None:
    """Have a worker run the waiting cells of the damaged study; returns its error if it cannot."""
    try:
        study = open_study(open_file(folder), DAMAGED)
        work(study, lambda _: 95.0, log=lambda _: None, max_trials=20)
    except MnistTuneError as error:
        return str(error)
    return None


def test_a_damaged_cell_fails_with_its_reason_and_is_a_hole(
    fresh_copy: Callable[[], Path], command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "STAND_BY_SECONDS", 0.05)
    file = fresh_copy()
    (waiting,) = first_column(file, "SELECT trial_id FROM trials WHERE number = 5 AND study_id = 1")
    (parameter,) = first_column(
        file,
        f"SELECT param_id FROM trial_params WHERE trial_id = {waiting} AND param_name = 'learning_rate'",
    )
    assert Case("trial_params", "param_value", parameter, None, "x").apply(file)
    assert work_off(tmp_path) is None
    answer = command("status", DAMAGED)
    assert answer.code == 1
    reason = "what is stored of it cannot be read: its learning_rate should be a number of its distribution"
    assert f"cell 5 (optimizer=Adam) failed for good: {reason}, not 'x'" in answer.out
    assert "5/6 cells, 1 failed" in answer.out
    answer = command("retry", DAMAGED, "--trial", "5")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("trial 5: its cell is not put back: its learning_rate should be a number of")


def first_column(file: Path, query: str) -> list[int]:
    """The first column of each row."""
    connection = sqlite3.connect(file)
    found = [row[0] for row in connection.execute(query)]
    connection.close()
    return found
