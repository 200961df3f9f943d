"""Real worker processes on one SQLite file: each cell is run once, whatever starts, stops or dies."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from pathlib import Path

import pytest

from mnist_tune.jobs.metrics import epoch_from
from mnist_tune.results.study_results import Results
from tests.support.commands import finish, run_command, start_command, start_toy_worker
from tests.support.specs import LONG_TRIAL, write_spec
from tests.support.studies import new_study, without_times
from tests.support.waiting import wait_until
from tests.support.worker_processes import can_read, results_of, wait_for_an_epoch

pytestmark = pytest.mark.usefixtures("mnist_directory")


def assert_exactly_once(folder: Path, answers: list[subprocess.CompletedProcess[str]]) -> Results:
    """Check that no worker complained, and that the grid's eight cells have one trial each."""
    for answer in answers:
        assert (answer.returncode, answer.stderr) == (0, ""), answer.stdout + answer.stderr
        assert "the study is finished" in answer.stdout
    results = results_of(folder)
    assert [attempt.state for attempt in results.attempts] == ["complete"] * 8
    assert sorted(attempt.cell for attempt in results.attempts) == list(range(8))
    with sqlite3.connect(folder / "studies.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    return results


@pytest.mark.parametrize("n_workers", [1, pytest.param(2, marks=pytest.mark.slow), 8])
def test_any_number_of_workers_started_together_make_exactly_eight_trials(
    tmp_path: Path, n_workers: int
) -> None:
    new_study(tmp_path)
    workers = [start_toy_worker(tmp_path) for _ in range(n_workers)]
    assert_exactly_once(tmp_path, [finish(worker) for worker in workers])


@pytest.mark.slow
def test_sixteen_training_workers_make_exactly_eight_trials(tmp_path: Path) -> None:
    new_study(tmp_path)
    workers = [start_command("worker", "tiny", folder=tmp_path) for _ in range(16)]
    results = assert_exactly_once(tmp_path, [finish(worker) for worker in workers])
    assert all(len(attempt.history) == 2 for attempt in results.attempts)


@pytest.mark.slow
def test_many_create_study_at_once_on_a_fresh_file_make_one_set_of_cells(tmp_path: Path) -> None:
    spec = write_spec(tmp_path)
    creators = [start_command("create-study", str(spec), folder=tmp_path) for _ in range(8)]
    answers = [finish(creator) for creator in creators]
    assert [(answer.returncode, answer.stderr) for answer in answers] == [(0, "")] * 8
    assert sum("created study 'tiny' with 8 cells" in answer.stdout for answer in answers) == 1
    assert len(results_of(tmp_path).attempts) == 8


@pytest.mark.slow
def test_the_cell_of_a_killed_worker_is_run_by_another(tmp_path: Path) -> None:
    new_study(tmp_path, LONG_TRIAL)
    killed = start_command("worker", "tiny", folder=tmp_path)
    wait_for_an_epoch(tmp_path)
    killed.kill()
    finish(killed)
    answer = finish(start_command("worker", "tiny", folder=tmp_path))
    lost, retried = results_of(tmp_path).attempts
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "trial 0: its worker is gone; put the cell back" in answer.stdout
    assert (lost.state, lost.failure and lost.failure["class"]) == ("failed", "lost")
    assert (retried.state, retried.cell, retried.attempt) == ("complete", 0, 2)


@pytest.mark.slow
def test_the_workers_of_a_killed_run_give_their_cells_back_and_leave(tmp_path: Path) -> None:
    killed = start_command("run", str(write_spec(tmp_path, LONG_TRIAL)), folder=tmp_path)
    wait_until((tmp_path / "studies.db").exists)
    wait_until(lambda: can_read(tmp_path))
    wait_for_an_epoch(tmp_path)
    killed.kill()
    finish(killed)
    wait_until(lambda: results_of(tmp_path).cells.running == 0)
    failure = results_of(tmp_path).attempts[0].failure
    assert failure is not None
    assert failure["class"] == "preempted"
    assert failure["reason"].startswith("the process that started the worker is gone; stopped after epoch")


@pytest.mark.slow
def test_the_same_study_gives_the_same_numbers_with_any_number_of_workers(tmp_path: Path) -> None:
    histories = []
    for n_workers in ("1", "2"):
        folder = tmp_path / n_workers
        folder.mkdir()
        answer = run_command("run", str(write_spec(folder)), "--workers", n_workers, "--json", folder=folder)
        assert answer.returncode == 0, answer.stderr
        trials = json.loads(answer.stdout)["trials"]
        assert sorted(trial["cell"] for trial in trials) == list(range(8))  # exactly once
        epochs = {trial["cell"]: [epoch_from(epoch) for epoch in trial["history"]] for trial in trials}
        histories.append({cell: without_times(history) for cell, history in epochs.items()})
    assert histories[0] == histories[1]
