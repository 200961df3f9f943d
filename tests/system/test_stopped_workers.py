"""Worker processes that are stopped give their cells back and lose no epoch."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from tests.support.commands import BY_EXEC, finish, run_command, start_command
from tests.support.process_tree import descendants
from tests.support.specs import LONG_TRIAL, TINY_SPEC, write_spec
from tests.support.studies import new_study, without_times
from tests.support.waiting import wait_until
from tests.support.worker_processes import can_read, results_of, wait_for_an_epoch

pytestmark = pytest.mark.usefixtures("mnist_directory")


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


@pytest.mark.slow
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
        assert without_times(attempt.history) == without_times(uninterrupted.history)
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
