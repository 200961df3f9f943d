"""Real worker processes on one SQLite file: exactly once, whatever starts, stops or dies."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from mnist_tune.results import Results, read_results
from mnist_tune.studies import open_study
from tests.support import TINY_SPEC, new_study, open_file, run_command, start_command, write_spec

# Long enough to be caught in the middle of a trial, with a lease short enough to wait for.
LONG_TRIALS = (
    TINY_SPEC.replace("epochs = 2", "epochs = 400").replace("[64, 128]", "[64]").replace(', "SGD"', "")
    + "\n[lease]\nheartbeat_interval = 0.5\ngrace_period = 3.0\n"
)

pytestmark = pytest.mark.usefixtures("mnist_directory")


def results_of(folder: Path) -> Results:
    return read_results(open_study(open_file(folder), "tiny"))


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def wait_for_an_epoch(folder: Path) -> None:
    """Until some trial has reported."""
    deadline = time.monotonic() + 120
    while not any(attempt.history for attempt in results_of(folder).attempts):
        assert time.monotonic() < deadline, "no trial reported within two minutes"
        time.sleep(0.1)


def workers_finish_the_grid(folder: Path, n_workers: int) -> None:
    new_study(folder)
    workers = [start_command("worker", "tiny", folder=folder) for _ in range(n_workers)]
    for returncode, out, err in map(finish, workers):
        assert (returncode, err) == (0, ""), out + err
        assert "the study is finished" in out
    results = results_of(folder)
    assert [attempt.state for attempt in results.attempts] == ["complete"] * 8
    assert sorted(attempt.cell for attempt in results.attempts) == list(range(8))
    assert all(len(attempt.history) == 2 for attempt in results.attempts)
    with sqlite3.connect(folder / "studies.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("n_workers", [1, 2, 8, 16])
def test_any_number_of_workers_started_together_make_exactly_eight_trials(tmp_path: Path, n_workers: int) -> None:
    workers_finish_the_grid(tmp_path, n_workers)


@pytest.mark.slow
@pytest.mark.parametrize("repetition", range(5))
@pytest.mark.parametrize("n_workers", [1, 2, 8, 16])
def test_it_is_exactly_eight_trials_every_time(tmp_path: Path, n_workers: int, repetition: int) -> None:
    workers_finish_the_grid(tmp_path, n_workers)


def test_many_create_study_at_once_on_a_fresh_file_make_one_set_of_cells(tmp_path: Path) -> None:
    spec = write_spec(tmp_path)
    creators = [start_command("create-study", str(spec), folder=tmp_path) for _ in range(24)]
    answers = [finish(creator) for creator in creators]
    assert [(returncode, err) for returncode, _, err in answers] == [(0, "")] * 24
    assert sum(out.startswith("created study 'tiny' with 8 cells") for _, out, _ in answers) == 1
    assert len(results_of(tmp_path).attempts) == 8


def test_the_cell_of_a_killed_worker_is_run_by_another(tmp_path: Path) -> None:
    new_study(tmp_path, LONG_TRIALS)
    killed = start_command("worker", "tiny", "--max-trials", "1", folder=tmp_path)
    wait_for_an_epoch(tmp_path)
    killed.kill()
    finish(killed)
    returncode, out, err = finish(start_command("worker", "tiny", folder=tmp_path))
    results = results_of(tmp_path)
    assert (returncode, err) == (0, "")
    assert "trial 0: its worker is gone; put the cell back" in out
    assert results.cells.complete == 2
    assert [attempt.failure and attempt.failure["class"] for attempt in results.attempts] == ["lost", None, None]
    assert results.attempts[2].cell == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_worker_gives_its_cell_back_and_exits_with_3(tmp_path: Path, number: signal.Signals) -> None:
    new_study(tmp_path, LONG_TRIALS)
    worker = start_command("worker", "tiny", folder=tmp_path)
    wait_for_an_epoch(tmp_path)
    worker.send_signal(number)
    returncode, out, err = finish(worker)
    results = results_of(tmp_path)
    assert (returncode, err) == (3, ""), out
    assert (results.cells.waiting, results.cells.running) == (2, 0)
    assert results.attempts[0].failure == {
        "class": "preempted",
        "reason": f"the worker was stopped by {number.name}",
    }


def test_a_run_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, TINY_SPEC.replace("epochs = 2", "epochs = 40"))
    stopped = start_command("run", str(spec), folder=tmp_path)
    deadline = time.monotonic() + 120
    while not (tmp_path / "studies.db").exists() or not any_complete(tmp_path):
        assert time.monotonic() < deadline, "no trial finished within two minutes"
        time.sleep(0.1)
    os.kill(stopped.pid, signal.SIGINT)
    returncode, out, err = finish(stopped)
    assert (returncode, err) == (3, ""), out
    assert "not finished" in out
    done = [attempt.number for attempt in results_of(tmp_path).ranking]
    again = run_command("run", str(spec), folder=tmp_path)
    results = results_of(tmp_path)
    assert (again.returncode, again.stderr) == (0, "")
    assert results.cells.complete == 8
    assert set(done) <= {attempt.number for attempt in results.ranking}
    assert {attempt.failure["class"] for attempt in results.attempts if attempt.failure} == {"preempted"}


def any_complete(folder: Path) -> bool:
    answer = run_command("status", "tiny", "--json", folder=folder)
    status: dict[str, Any] = json.loads(answer.stdout) if answer.returncode == 0 else {}
    return bool(status.get("best"))


def test_the_same_run_gives_the_same_numbers_in_other_processes(tmp_path: Path) -> None:
    histories = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        answer = run_command("run", str(write_spec(folder)), "--workers", "2", "--json", folder=folder)
        assert answer.returncode == 0, answer.stderr
        trials = json.loads(answer.stdout)["trials"]
        measured = ("epoch", "training_loss", "validation_loss", "validation_accuracy")
        histories.append(
            {trial["cell"]: [[epoch[key] for key in measured] for epoch in trial["history"]] for trial in trials}
        )
    assert len(histories[0]) == 8
    assert histories[0] == histories[1]
