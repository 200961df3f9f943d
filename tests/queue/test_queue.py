"""The queue of cells: what claiming, recording, failing and finishing leave behind."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
import sqlalchemy
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from mnist_tune.contract.claim import Standing
from mnist_tune.errors import MnistTuneError
from mnist_tune.failures import Failure
from mnist_tune.files.checkpoints import Checkpoint, checkpoint_key
from mnist_tune.results.reading import read_results
from mnist_tune.storage.keys import CHECKPOINT
from mnist_tune.storage.optuna_internals import heartbeats
from mnist_tune.study.delete import delete_study
from mnist_tune.study.open_study import OpenStudy
from tests.support.specs import ONE_CELL, TINY_SPEC
from tests.support.stored_epochs import stored_numbers
from tests.support.studies import fail_behind_its_back, new_study, opened_again, take


def state(trial_id: int) -> Checkpoint:
    """What points to a state of this trial."""
    return Checkpoint(checkpoint_key(trial_id, "0" * 32, 1), "0" * 64, 1)


def pointer(trial_id: int) -> dict[str, object]:
    """The attribute that says so."""
    return {CHECKPOINT: asdict(state(trial_id))}


def last_heartbeat(study: OpenStudy, trial_id: int) -> object:
    with study.storage.transaction() as session:
        beat = sqlalchemy.select(heartbeats.c.heartbeat).where(heartbeats.c.trial_id == trial_id)
        return session.execute(beat).scalar()


def test_each_claim_is_another_cell_until_none_waits(study: OpenStudy) -> None:
    queue = study.queue()
    assert [take(queue).number for _ in range(8)] == list(range(8))
    assert queue.claim("worker") is None
    assert queue.standing() is Standing.OPEN


def test_a_claim_leaves_the_trial_running_with_its_worker_and_its_first_heartbeat(study: OpenStudy) -> None:
    claim = study.queue().claim("host:1")
    assert claim is not None
    trial = opened_again(study).storage.get_trial(claim.trial_id)
    assert trial.state == TrialState.RUNNING
    assert trial.datetime_start is not None
    assert trial.user_attrs["worker"] == "host:1"
    assert last_heartbeat(study, claim.trial_id) is not None


def test_a_claim_carries_the_parameters_of_its_cell(study: OpenStudy) -> None:
    queue = study.queue()
    trials = study.optuna_study().trials
    assert [take(queue).parameters for _ in range(8)] == [trial.params for trial in trials]


def test_a_claim_carries_where_the_last_attempt_stopped_and_how_the_cell_has_failed(
    tmp_path: Path, database: str
) -> None:
    study = new_study(tmp_path, ONE_CELL, database)
    queue = study.queue()
    first = take(queue)
    assert (first.checkpoint, first.failures) == (None, {})
    queue.record(first, system=pointer(1))
    queue.give_back(first, Failure("exception", "it broke"))
    second = take(queue)
    assert (second.checkpoint, second.failures) == (state(1), {"exception": 1})
    queue.give_back(second, Failure("preempted", "stopped"), pointer(2))
    third = take(opened_again(study).queue())
    assert third.parameters == first.parameters
    assert third.checkpoint == state(2)
    assert third.failures == {"exception": 1, "preempted": 1}


def test_a_record_stores_all_it_is_given_and_renews_the_lease(study: OpenStudy) -> None:
    queue = study.queue()
    claim = take(queue)
    claimed = last_heartbeat(study, claim.trial_id)
    queue.record(
        claim,
        user={"note": [1]},
        system=pointer(1),
        reports={1: 50.0, 2: float("nan"), 3: float("inf")},
        epochs={1: {"loss": 2.0}},
    )
    queue.record(claim, user={"note": [1, 2]}, reports={1: 60.0}, epochs={1: {"loss": 1.5}, 2: {"loss": 1.0}})
    trial = opened_again(study).storage.get_trial(claim.trial_id)
    assert trial.user_attrs["note"] == [1, 2]
    assert stored_numbers(study.storage, claim.trial_id) == {1: {"loss": 1.5}, 2: {"loss": 1.0}}
    assert trial.system_attrs[CHECKPOINT]["key"] == state(1).key
    assert str(trial.intermediate_values) == "{1: 60.0, 2: nan, 3: inf}"
    assert last_heartbeat(study, claim.trial_id) != claimed


def test_a_record_is_stored_as_a_whole_or_not_at_all(study: OpenStudy) -> None:
    queue = study.queue()
    claim = take(queue)
    claimed = last_heartbeat(study, claim.trial_id)
    with pytest.raises(TypeError):
        queue.record(claim, user={"note": [1]}, epochs={1: {}, 2: {"no JSON": object()}})  # type: ignore[dict-item]
    trial = opened_again(study).storage.get_trial(claim.trial_id)
    assert "note" not in trial.user_attrs
    assert stored_numbers(study.storage, claim.trial_id) == {}
    assert trial.intermediate_values == {}
    assert last_heartbeat(study, claim.trial_id) == claimed


def test_a_record_of_a_lost_lease_stores_nothing(study: OpenStudy) -> None:
    queue = study.queue()
    claim = take(queue)
    claimed = last_heartbeat(study, claim.trial_id)
    fail_behind_its_back(study.storage.url, claim.trial_id)
    with pytest.raises(UpdateFinishedTrialError):
        queue.record(claim, user={"note": [1]}, system=pointer(1), reports={1: 50.0}, epochs={1: {}})
    trial = opened_again(study).storage.get_trial(claim.trial_id)
    assert "note" not in trial.user_attrs
    assert stored_numbers(study.storage, claim.trial_id) == {}
    assert CHECKPOINT not in trial.system_attrs
    assert trial.intermediate_values == {}
    assert last_heartbeat(study, claim.trial_id) == claimed


def test_completing_stores_the_value_with_all_that_is_left_to_store(study: OpenStudy) -> None:
    queue = study.queue()
    claim = take(queue)
    queue.complete(
        claim,
        50.0,
        user={"note": [1]},
        system={"artifacts:1": "{}"},
        reports={1: 50.0},
        epochs={1: {"loss": 1.0}},
    )
    trial = opened_again(study).storage.get_trial(claim.trial_id)
    assert (trial.state, trial.value) == (TrialState.COMPLETE, 50.0)
    assert trial.datetime_complete is not None
    assert trial.user_attrs["note"] == [1]
    assert stored_numbers(study.storage, claim.trial_id) == {1: {"loss": 1.0}}
    assert trial.system_attrs["artifacts:1"] == "{}"
    assert trial.intermediate_values == {1: 50.0}


def test_a_trial_that_others_enqueued_is_not_ours_to_run_or_to_count(study: OpenStudy) -> None:
    study.optuna_study().enqueue_trial({"learning_rate": 0.5})
    queue = study.queue()
    while claim := queue.claim("worker"):
        queue.complete(claim, 50.0)
    assert queue.standing() is Standing.FINISHED
    assert read_results(study).cells.complete == 8


def test_a_failed_attempt_and_its_retry_are_one_step(study: OpenStudy) -> None:
    queue = study.queue()
    assert queue.give_back(take(queue), Failure("exception", "it broke"))
    failed, *_, retry = study.optuna_study().trials
    assert failed.state == TrialState.FAIL
    assert failed.user_attrs["failure"] == {"class": "exception", "reason": "it broke"}
    assert retry.state == TrialState.WAITING
    assert retry.params == failed.params
    assert retry.system_attrs["grid_id"] == failed.system_attrs["grid_id"]
    assert retry.number == 8


def test_a_cell_is_given_back_once_and_for_one_reason(study: OpenStudy) -> None:
    queue = study.queue()
    claim = take(queue)
    assert queue.give_back(claim, Failure("preempted", "stopped"))
    assert not queue.give_back(claim, Failure("exception", "another reason"))
    assert len(study.optuna_study().trials) == 9


def test_a_cell_whose_budget_is_spent_is_a_hole(tmp_path: Path, database: str) -> None:
    study = new_study(tmp_path, TINY_SPEC + "\n[retry]\nexception = 1\n", database)
    queue = study.queue()
    attempts = 0
    while claim := queue.claim("worker"):
        attempts += 1
        queue.give_back(claim, Failure("exception", "it broke"))
    results = read_results(study)
    assert attempts == 16
    assert queue.standing() is Standing.FINISHED
    assert results.cells.failed == 8
    assert [attempt.attempt for attempt in results.holes] == [2] * 8


def test_a_budget_without_limit_is_never_spent(study: OpenStudy) -> None:
    queue = study.queue()
    for _ in range(20):
        queue.give_back(take(queue), Failure("preempted", "stopped"))
    assert read_results(study).cells.waiting == 8


def test_budgets_of_different_failures_are_counted_apart(tmp_path: Path, database: str) -> None:
    study = new_study(tmp_path, ONE_CELL + "\n[retry]\nexception = 1\nlost = 1\n", database)
    queue = study.queue()
    queue.give_back(take(queue), Failure("exception", "once"))
    queue.give_back(take(queue), Failure("lost", "once"))
    assert read_results(study).cells.waiting == 1


def test_checkpoints_in_use_are_those_from_which_somebody_may_yet_go_on(study: OpenStudy) -> None:
    queue = study.queue()
    running, waiting, complete, hole = (take(queue) for _ in range(4))
    for claim in (running, waiting, complete, hole):
        queue.record(claim, system=pointer(claim.trial_id))
    queue.give_back(waiting, Failure("preempted", "stopped"))
    queue.complete(complete, 50.0)
    queue.give_back(hole, Failure("non_finite", "nan"))
    needed = {state(claim.trial_id).key for claim in (running, waiting)}
    assert study.checkpoints_in_use() == (needed, {running.trial_id})


@pytest.mark.parametrize("key", ["/etc/hostname", "../precious", "", "7.pt"])
def test_a_key_that_is_none_of_ours_comes_with_no_claim_and_is_named(study: OpenStudy, key: str) -> None:
    first = study.storage.get_all_trials(study.study_id)[0]._trial_id
    study.storage.set_trial_system_attr(first, CHECKPOINT, {"key": key, "sha256": "0" * 64, "epoch": 1})
    claim = take(study.queue())
    assert claim.checkpoint is None
    assert claim.problems == (
        f"{CHECKPOINT} the key of a checkpoint is {key!r}, and not TRIAL-TOKEN-EPOCH.pt",
    )
    assert study.checkpoints_in_use()[0] == set()


def test_a_study_that_was_deleted_is_not_taken_for_a_finished_one(study: OpenStudy) -> None:
    queue = study.queue()
    delete_study(opened_again(study))
    assert queue.claim("worker") is None
    with pytest.raises(MnistTuneError, match="the study was deleted"):
        queue.standing()
