"""Stock Optuna and the stock dashboard on a study of ours: they see the queue, and their tools work."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.samplers import GridSampler
from optuna.trial import TrialState

from mnist_tune.contract.claim import Standing
from mnist_tune.study.open_study import OpenStudy
from tests.support.commands import finish, start_toy_worker
from tests.support.specs import TINY_SPEC
from tests.support.studies import new_study

# The smallest grid with a complete, a running and a waiting cell at once.
THREE_CELLS = (
    TINY_SPEC.replace('["Adam", "SGD"]', '["Adam"]')
    .replace("[64, 128]", "[64]")
    .replace("[0.001, 0.0001]", "[0.001, 0.0003, 0.0001]")
)


def stock_study(folder: Path) -> optuna.Study:
    """The study as a program without mnist-tune opens it."""
    return optuna.load_study(study_name="tiny", storage=f"sqlite:///{folder}/studies.db")


def stock_sampler(study: OpenStudy) -> GridSampler:
    """Optuna's own sampler over the spec's grid."""
    assert study.spec.search.grid is not None
    return GridSampler(study.spec.search.grid)


def test_stock_optuna_sees_eight_cells_before_and_each_of_them_once_after(tmp_path: Path) -> None:
    ours = new_study(tmp_path)
    before = stock_study(tmp_path)
    assert [trial.state for trial in before.trials] == [TrialState.WAITING] * 8
    assert all(trial.params.keys() == set(ours.spec.search.axes) for trial in before.trials)
    assert not GridSampler.is_exhausted(stock_sampler(ours), before)

    answers = [finish(worker) for worker in [start_toy_worker(tmp_path, seconds=0) for _ in range(3)]]
    assert [(answer.returncode, answer.stderr) for answer in answers] == [(0, "")] * 3
    after = stock_study(tmp_path)
    complete = Counter(
        trial.system_attrs["grid_id"] for trial in after.trials if trial.state == TrialState.COMPLETE
    )
    assert complete == dict.fromkeys(range(8), 1)
    assert len(after.trials) == 8
    assert [trial.params for trial in after.trials] == [trial.params for trial in before.trials]
    assert all(trial.intermediate_values == {1: 41.0, 2: 42.0} for trial in after.trials)
    assert stock_sampler(ours).is_exhausted(after)
    assert after.best_trial.value == 42.0


@pytest.fixture
def worked_off(tmp_path: Path) -> optuna.Study:
    """A finished study in which the learning rate matters, as stock Optuna opens it."""
    study = new_study(tmp_path)
    queue = study.queue()
    while claim := queue.claim("worker"):
        parameters = study.storage.get_trial(claim.trial_id).params
        queue.complete(claim, 90 + 1000 * parameters["learning_rate"] + 0.001 * parameters["batch_size"])
    return stock_study(tmp_path)


def test_stock_optuna_finds_the_best_trial_and_what_mattered(worked_off: optuna.Study) -> None:
    assert worked_off.direction == optuna.study.StudyDirection.MAXIMIZE
    assert worked_off.metric_names == ["validation_accuracy"]
    assert worked_off.best_trial.params["learning_rate"] == 0.001
    assert worked_off.best_trial.params["batch_size"] == 128
    importances = optuna.importance.get_param_importances(worked_off)
    assert importances.keys() == {"learning_rate", "batch_size", "optimizer"}
    assert importances["optimizer"] < importances["learning_rate"]


def test_stock_optuna_makes_a_table_of_the_trials(worked_off: optuna.Study) -> None:
    table = worked_off.trials_dataframe()
    assert list(table["state"]) == ["COMPLETE"] * 8
    assert {"value_validation_accuracy", "params_learning_rate", "user_attrs_worker"} <= set(table.columns)


def test_stock_optuna_draws_a_study(worked_off: optuna.Study) -> None:
    for plot in (
        optuna.visualization.plot_optimization_history,
        optuna.visualization.plot_parallel_coordinate,
        optuna.visualization.plot_slice,
        optuna.visualization.plot_timeline,
    ):
        assert plot(worked_off).data


def test_an_extra_stock_trial_neither_finishes_nor_changes_our_cells(tmp_path: Path) -> None:
    ours = new_study(tmp_path)
    stock = stock_study(tmp_path)
    stock.add_trial(optuna.trial.create_trial(value=99.0))
    queue = ours.queue()
    while claim := queue.claim("worker"):
        queue.complete(claim, 50.0)
    assert queue.standing() is Standing.FINISHED
    assert Counter(trial.state for trial in stock_study(tmp_path).trials) == {TrialState.COMPLETE: 9}


@pytest.fixture
def dashboard(tmp_path: Path) -> Iterator[Callable[[str], Any]]:
    """A stock optuna-dashboard over the folder's storage, as a function from an API path to its answer."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(sys.executable).parent / "optuna-dashboard"
    storage = f"sqlite:///{tmp_path}/studies.db"
    process = subprocess.Popen(
        [program, storage, "--port", str(port), "--host", "127.0.0.1"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def get(path: str) -> Any:
        deadline = time.monotonic() + 60
        while True:
            try:
                # A connection that is made while the dashboard starts may never be answered.
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as response:
                    return json.load(response)
            except OSError:
                assert process.poll() is None, "the dashboard has ended"
                assert time.monotonic() < deadline, "the dashboard does not answer"
                time.sleep(0.05)

    yield get
    process.terminate()
    process.wait(timeout=30)


@pytest.mark.slow
def test_the_stock_dashboard_shows_the_queue_while_a_worker_runs(
    tmp_path: Path, dashboard: Callable[[str], Any]
) -> None:
    ours = new_study(tmp_path, THREE_CELLS)
    (listed,) = dashboard("/api/studies")["study_summaries"]
    assert listed["study_name"] == "tiny"

    def trials() -> list[dict[str, Any]]:
        shown: list[dict[str, Any]] = dashboard(f"/api/studies/{listed['study_id']}")["trials"]
        assert {tuple(sorted(shown_parameters(trial).items())) for trial in shown} == cells(ours)
        return shown

    assert [trial["state"] for trial in trials()] == ["Waiting"] * 3
    claim = ours.queue().claim("worker")
    assert claim is not None
    ours.queue().complete(claim, 42.0)
    worker = start_toy_worker(tmp_path, seconds=600)
    try:
        deadline = time.monotonic() + 60
        # The dashboard reads a study again only after two seconds.
        while [trial["state"] for trial in trials()] != ["Complete", "Running", "Waiting"]:
            assert worker.poll() is None
            assert time.monotonic() < deadline, trials()
            time.sleep(0.05)
    finally:
        worker.kill()
        finish(worker)
    assert trials()[0]["values"] == [42.0]


def shown_parameters(trial: dict[str, Any]) -> dict[str, str]:
    """The parameters that the dashboard's page shows for a trial; for a waiting one, those it will have."""
    source = trial["fixed_params"] if trial["state"] == "Waiting" else trial["params"]
    return {parameter["name"]: parameter["param_external_value"] for parameter in source}


def cells(study: OpenStudy) -> set[tuple[tuple[str, str], ...]]:
    """Every point of the grid, as the dashboard writes it."""
    parameters = [trial.params for trial in study.optuna_study().trials]
    return {tuple(sorted((name, str(value)) for name, value in one.items())) for one in parameters}
