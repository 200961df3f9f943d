"""A confirmation whose processes are killed: each cell counts once, with the bits of an undisturbed one."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_tune.results.reading import read_results
from mnist_tune.results.study_results import Results
from mnist_tune.results.trial_result import State
from mnist_tune.study.store import open_study
from tests.support.commands import BY_EXEC, Command, finish, start_command
from tests.support.confirmed_jobs import EPOCH_SECONDS, VOUCHING, readings, searched
from tests.support.studies import open_file
from tests.support.waiting import wait_until


def results(folder: Path) -> Results:
    return read_results(open_study(open_file(folder), "own-confirm"))


def values(found: Results) -> dict[int, float]:
    return {trial.parameters["seed"]: trial.final_value for trial in found.complete}


def undisturbed(folder: Path, command: Command) -> dict[int, float]:
    """The values of seeds 2 and 3, whose cells were confirmed elsewhere."""
    searched(folder, command)
    storage = "--storage", f"sqlite:///{folder}/studies.db"
    assert command("confirm", "own", "--seeds", "2", *storage).code == 0
    job = "--job", f"{folder}/own.py:train"
    assert command("worker", "own-confirm", *job, *storage).code == 0
    return values(results(folder))


@pytest.mark.slow
def test_a_worker_that_is_killed_in_a_cell_loses_an_epoch_and_reads_no_test_data_twice(
    tmp_path: Path, command: Command
) -> None:
    searched(tmp_path, command)
    command("confirm", "own", "--seeds", "2")
    slow = {**BY_EXEC, EPOCH_SECONDS: "600"}  # it is killed in its second epoch, however busy the machine is
    worker = start_command("worker", "own-confirm", *VOUCHING, folder=tmp_path, environment=slow)
    wait_until(lambda: any(trial.history for trial in results(tmp_path).attempts))
    worker.kill()
    finish(worker)
    assert command("worker", "own-confirm", *VOUCHING).code == 0
    found = results(tmp_path)
    assert [trial.state for trial in found.attempts].count(State.FAILED) == 1
    assert sorted(readings(tmp_path)) == [2, 3]
    again = next(trial for trial in found.complete if trial.attempt == 2)
    assert (again.resumed or {})["epoch"] >= 1
    assert values(found) == undisturbed(tmp_path / "elsewhere", command)
    assert command("verify", "own-confirm").code == 0


@pytest.mark.slow
def test_a_process_that_is_killed_in_its_measurement_measures_the_same_model_again(
    tmp_path: Path, command: Command
) -> None:
    searched(tmp_path, command)
    command("confirm", "own", "--seeds", "2")
    (tmp_path / "kill").touch()
    assert command("worker", "own-confirm", *VOUCHING).code == 0
    found = results(tmp_path)
    lost, again = (trial for trial in found.attempts if trial.cell == found.attempts[0].cell)
    assert (lost.failure or {})["class"] == "lost"
    assert (lost.evaluation, lost.value) == (None, None)
    assert again.resumed == {"epoch": 3, "checkpoint": (again.resumed or {})["checkpoint"]}
    seed = again.parameters["seed"]
    assert readings(tmp_path).count(seed) == 2, "its result had not been stored"
    assert values(found) == undisturbed(tmp_path / "elsewhere", command)
    assert command("verify", "own-confirm").code == 0
