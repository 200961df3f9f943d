"""How often the dashboard reads a study, and that what it keeps of one stays right."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState

from mnist_tune.dashboard.snapshots import SnapshotStorage
from mnist_tune.failures import Failure
from mnist_tune.spec.growth import Growth
from mnist_tune.study.delete import delete_study
from mnist_tune.study.extend import extend_study
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.store import create_study
from tests.support.dashboard_client import Client, app_of
from tests.support.specs import tiny_spec
from tests.support.studies import new_study, opened_again, take
from tests.support.waiting import wait_until


@pytest.fixture
def every_answer_is_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each answer is a new reading."""
    monkeypatch.setattr("mnist_tune.dashboard.snapshots.READING_SHARE", float("inf"))


@pytest.mark.usefixtures("every_answer_is_read_anew")
def test_a_trial_is_read_again_only_while_it_can_change(worked_on: OpenStudy) -> None:
    snapshots = SnapshotStorage(opened_again(worked_on).storage)
    before = snapshots.get_all_trials(worked_on.study_id, deepcopy=False)
    after = snapshots.get_all_trials(worked_on.study_id, deepcopy=False)
    read_again = [now.state for then, now in zip(before, after, strict=True) if then is not now]
    assert read_again == [TrialState.RUNNING]


def test_a_study_is_not_read_more_often_than_its_workers_can_bear(
    study: OpenStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshots = SnapshotStorage(opened_again(study).storage)
    monkeypatch.setattr("mnist_tune.dashboard.snapshots.READING_SHARE", 1e-9)
    assert len(snapshots.get_all_trials(study.study_id)) == 8
    take(study.queue())
    assert [trial.state for trial in snapshots.get_all_trials(study.study_id)] == [TrialState.WAITING] * 8


@pytest.mark.usefixtures("every_answer_is_read_anew")
def test_trials_that_have_ended_are_shown_as_they_are_after_the_study_has_grown(
    study: OpenStudy, tmp_path: Path
) -> None:
    client = Client(app_of(opened_again(study), tmp_path))
    queue = study.queue()
    queue.complete(take(queue), 90.0)
    assert "weight_decay" not in {one["name"] for one in client.detail(study)["trials"][0]["params"]}
    extend_study(study, Growth(values={"weight_decay": [0.01], "learning_rate": [0.003]}), "0" * 32)
    detail = client.detail(study)
    assert {one["name"] for one in detail["trials"][0]["params"]} == {
        *("learning_rate", "batch_size", "optimizer", "weight_decay")
    }
    for space in ("intersection_search_space", "union_search_space"):
        choices = {one["name"]: len(one["distribution"]["choices"]) for one in detail[space]}
        assert choices == {"learning_rate": 3, "batch_size": 2, "optimizer": 2, "weight_decay": 2}


@pytest.mark.usefixtures("every_answer_is_read_anew")
def test_what_workers_do_meanwhile_is_seen(study: OpenStudy) -> None:
    snapshots = SnapshotStorage(opened_again(study).storage)
    queue = study.queue()

    def seen() -> list[tuple[TrialState, Any]]:
        found = snapshots.get_all_trials(study.study_id, deepcopy=False)
        assert found == study.storage.get_all_trials(study.study_id)
        return [(trial.state, trial.intermediate_values) for trial in found]

    assert seen() == [(TrialState.WAITING, {})] * 8
    claim = take(queue)
    assert seen()[0] == (TrialState.RUNNING, {})
    queue.record(claim, reports={1: 10.0})
    assert seen()[0] == (TrialState.RUNNING, {1: 10.0})
    queue.complete(claim, 20.0, reports={2: 20.0})
    assert seen()[0] == (TrialState.COMPLETE, {1: 10.0, 2: 20.0})
    queue.give_back(take(queue), Failure("preempted", "told to"))
    assert len(seen()) == 9
    assert snapshots.get_best_trial(study.study_id).value == 20.0


def test_what_was_being_read_of_a_study_when_it_was_deleted_is_forgotten(
    study: OpenStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshots = SnapshotStorage(opened_again(study).storage)
    is_read, is_deleted = threading.Event(), threading.Event()
    read = snapshots._read

    def slow(study_id: int) -> dict[int, FrozenTrial]:
        trials = read(study_id)
        is_read.set()
        assert is_deleted.wait(60)
        time.sleep(0.2)  # long enough for a forgetting that does not wait
        return trials

    monkeypatch.setattr(snapshots, "_read", slow)
    reader = threading.Thread(target=snapshots.get_all_trials, args=(study.study_id,))
    reader.start()
    assert is_read.wait(60)
    deleting = threading.Thread(target=snapshots.delete_study, args=(study.study_id,))
    deleting.start()
    wait_until(lambda: study.storage.get_all_studies() == [])
    is_deleted.set()
    for thread in (reader, deleting):
        thread.join()
    assert snapshots.last_seen(study.study_id) == {}


def test_a_study_that_has_the_id_of_a_deleted_one_is_not_taken_for_it(tmp_path: Path) -> None:
    first = new_study(tmp_path)
    client = Client(app_of(first, tmp_path))

    def work_off(study: OpenStudy) -> None:
        queue = study.queue()
        while claim := queue.claim("worker"):
            queue.complete(claim, 90 + 10 * study.storage.get_trial(claim.trial_id).params["learning_rate"])

    def shown() -> Any:
        importances = client("GET", "/api/studies/1/param_importances").json["param_importances"]
        return client.detail(first), {one["name"] for one in importances[0]}

    work_off(first)
    assert shown()[1] == {"learning_rate", "batch_size", "optimizer"}
    delete_study(first)
    assert client("GET", "/api/studies/1").status == 404

    lines = "\nlearning_rate = [0.1, 0.2, 0.3, 0.4]\nseed = [0, 1]\n"
    spec = tiny_spec(tmp_path, f'[study]\nname = "tiny"\n\n[search.grid]{lines}')
    create_study(first.storage, spec)
    work_off(opened_again(first))
    detail, important = shown()
    assert {axis["name"] for axis in detail["union_search_space"]} == {"learning_rate", "seed"}
    assert important == {"learning_rate", "seed"}
    for trial in detail["trials"]:
        assert f"`{trial['params'][0]['param_external_value']}`" in trial["note"]["body"]


@pytest.mark.usefixtures("every_answer_is_read_anew")
def test_a_stock_study_made_again_under_its_name_is_read_anew(tmp_path: Path) -> None:
    storage = new_study(tmp_path).storage
    snapshots, url = SnapshotStorage(storage), str(storage.engine.url)

    def made(value: float) -> int:
        stock = optuna.create_study(study_name="stock", storage=url)
        stock.tell(stock.ask({"x": FloatDistribution(0, 1)}), value)
        return stock._study_id

    def seen(study_id: int) -> list[Any]:
        snapshots.get_all_studies()
        return [(trial._trial_id, trial.value) for trial in snapshots.get_all_trials(study_id)]

    first = made(1.0)
    ((trial_id, _),) = seen(first)
    optuna.delete_study(study_name="stock", storage=url)
    assert made(2.0) == first
    assert seen(first) == [(trial_id, 2.0)]


def test_pages_that_ask_at_the_same_time_are_all_answered(worked_on: OpenStudy, client: Client) -> None:
    with ThreadPoolExecutor(16) as pool:
        details = list(pool.map(lambda _: client.detail(worked_on), range(64)))
    assert all(len(detail["trials"]) == 9 for detail in details)
