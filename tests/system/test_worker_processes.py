"""Real worker processes on one SQLite file: exactly once, whatever starts, stops or dies."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from mnist_tune.errors import UserError
from mnist_tune.jobs.metrics import EpochMetrics
from mnist_tune.results.reading import read_results
from mnist_tune.results.study_results import Results
from mnist_tune.study.store import open_study
from tests.support.commands import BY_EXEC, finish, run_command, start_command, start_toy_worker
from tests.support.process_tree import descendants
from tests.support.specs import TINY_SPEC, write_spec
from tests.support.studies import measured, new_study, open_file
from tests.support.waiting import wait_until

# One cell that is long enough to be caught in the middle, with a lease short enough to wait for.
LONG_TRIAL = """
[study]
name = "tiny"

[search.grid]
learning_rate = [0.001]

[training]
epochs = 15
precision = "fp32"

[data]
train_size = 300
validation_size = 100

[lease]
heartbeat_interval = 0.5
grace_period = 3.0
"""

pytestmark = pytest.mark.usefixtures("mnist_directory")


def results_of(folder: Path) -> Results:
    return read_results(open_study(open_file(folder), "tiny"))


def wait_for_an_epoch(folder: Path) -> None:
    wait_until(lambda: any(attempt.history for attempt in results_of(folder).attempts))


def assert_exactly_once(folder: Path, answers: list[subprocess.CompletedProcess[str]]) -> Results:
    """No worker complained, and the grid's eight cells have one trial each."""
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


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_stopped_worker_gives_its_cell_back_and_exits_with_3(
    tmp_path: Path, number: signal.Signals
) -> None:
    new_study(tmp_path, LONG_TRIAL)
    worker = start_command("worker", "tiny", folder=tmp_path)
    wait_for_an_epoch(tmp_path)
    worker.send_signal(number)
    answer = finish(worker)
    stopped, waiting = results_of(tmp_path).attempts
    assert (answer.returncode, answer.stderr) == (3, ""), answer.stdout
    assert waiting.state == "waiting"
    assert stopped.failure == {
        "class": "preempted",
        "reason": f"the worker was stopped by {number.name}; stopped after epoch {len(stopped.history)}",
    }


def test_a_stop_that_all_processes_of_a_run_are_told_loses_no_epoch(tmp_path: Path) -> None:
    spec = str(write_spec(tmp_path, LONG_TRIAL.replace("300", "1200")))
    run = start_command("run", spec, folder=tmp_path, environment=BY_EXEC)
    wait_until((tmp_path / "studies.db").exists)
    wait_until(lambda: can_read(tmp_path))
    wait_for_an_epoch(tmp_path)
    for pid in (run.pid, *descendants(run.pid)):  # as a service manager does
        os.kill(pid, signal.SIGTERM)
    answer = finish(run)
    assert (answer.returncode, answer.stderr) == (3, ""), answer.stdout
    stopped, waiting = results_of(tmp_path).attempts
    assert waiting.state == "waiting"
    assert stopped.failure is not None
    assert stopped.failure["reason"].endswith(f"; stopped after epoch {len(stopped.history)}")


@pytest.mark.slow
def test_a_run_under_nohup_outlives_its_terminal(tmp_path: Path) -> None:
    window, terminal = pty.openpty()
    spec = write_spec(tmp_path, LONG_TRIAL.replace("epochs = 15", "epochs = 6"))

    def own_the_terminal() -> None:
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)

    run = subprocess.Popen(
        ["nohup", sys.executable, "-m", "mnist_tune", "run", str(spec)],
        cwd=tmp_path,
        env=os.environ | {"MNIST_TUNE_STORAGE": f"sqlite:///{tmp_path}/studies.db"},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        preexec_fn=own_the_terminal,
    )
    os.close(terminal)
    wait_until((tmp_path / "studies.db").exists)
    wait_until(lambda: can_read(tmp_path))
    wait_for_an_epoch(tmp_path)
    os.close(window)
    assert run.wait(timeout=120) == 0
    (attempt,) = results_of(tmp_path).attempts
    assert (attempt.state, len(attempt.history)) == ("complete", 6)
    assert "best: learning_rate=0.001" in (tmp_path / "nohup.out").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_second_signal_does_not_wait_for_the_end_of_the_epoch(tmp_path: Path) -> None:
    new_study(tmp_path, LONG_TRIAL.replace("train_size = 300", "train_size = 50000"))
    worker = start_command("worker", "tiny", folder=tmp_path)
    wait_until(lambda: results_of(tmp_path).cells.running == 1)
    for _ in range(2):
        worker.send_signal(signal.SIGTERM)
        time.sleep(1.0)
    answer = finish(worker)
    stopped, waiting = results_of(tmp_path).attempts
    assert (answer.returncode, answer.stderr) == (3, ""), answer.stdout
    assert (waiting.state, stopped.history) == ("waiting", [])


@pytest.mark.slow
def test_no_epoch_is_run_twice_when_all_workers_are_stopped_and_started_again(tmp_path: Path) -> None:
    two_cells = LONG_TRIAL.replace("[0.001]", "[0.001, 0.0001]").replace("epochs = 15", "epochs = 8")
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    for folder in (whole, stopped):
        folder.mkdir()
        new_study(folder, two_cells)
    assert run_command("worker", "tiny", folder=whole).returncode == 0
    first = [start_command("worker", "tiny", folder=stopped) for _ in range(2)]
    wait_until(lambda: all(attempt.history for attempt in results_of(stopped).attempts))
    for worker in first:
        worker.send_signal(signal.SIGTERM)
    answers = [finish(worker) for worker in first]
    assert [answer.returncode for answer in answers] == [3, 3]
    answers.append(run_command("worker", "tiny", folder=stopped))
    assert answers[-1].returncode == 0, answers[-1].stderr
    expected, results = results_of(whole), results_of(stopped)
    assert results.cells.complete == 2
    assert len(results.attempts) == 4
    for attempt in results.complete:
        uninterrupted = next(other for other in expected.complete if other.cell == attempt.cell)
        assert attempt.value == uninterrupted.value
        assert measured(attempt.history) == measured(uninterrupted.history)
    epochs_run = sum(answer.stdout.count(": training loss ") for answer in answers)
    assert epochs_run == 2 * 8


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, TINY_SPEC.replace("epochs = 2", "epochs = 3"))
    stopped = start_command("run", str(spec), folder=tmp_path)
    wait_until((tmp_path / "studies.db").exists)
    wait_until(lambda: can_read(tmp_path) and results_of(tmp_path).cells.complete > 0)
    stopped.send_signal(signal.SIGINT)
    answer = finish(stopped)
    assert (answer.returncode, answer.stderr) == (3, ""), answer.stdout
    assert "not finished" in answer.stdout
    done = {attempt.number for attempt in results_of(tmp_path).complete}
    again = run_command("run", str(spec), folder=tmp_path)
    results = results_of(tmp_path)
    assert (again.returncode, again.stderr) == (0, "")
    assert "\nworker " not in again.stdout  # none ended badly
    assert results.cells.complete == 8
    assert done <= {attempt.number for attempt in results.complete}
    assert {attempt.failure["class"] for attempt in results.attempts if attempt.failure} <= {"preempted"}


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


def can_read(folder: Path) -> bool:
    try:
        results_of(folder)
    except UserError:
        return False
    return True


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
        epochs = {trial["cell"]: [EpochMetrics(**epoch) for epoch in trial["history"]] for trial in trials}
        histories.append({cell: measured(history) for cell, history in epochs.items()})
    assert histories[0] == histories[1]
