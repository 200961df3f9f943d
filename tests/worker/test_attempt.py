"""An attempt, as its job sees it: what it stores, when, and what it keeps while the storage is away."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mnist_tune.contract.study import LeaseLost, StorageAway
from mnist_tune.failures import Failure
from mnist_tune.files.checkpoints import Checkpoint
from mnist_tune.storage.keys import CHECKPOINT, LOG
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.worker.attempt_record import LOG_FILE
from tests.support.attempts_by_hand import AttemptsByHand, checkpoint_key_after
from tests.support.made_studies.epochs import made_epoch
from tests.support.storage_faults import away, lost_answer
from tests.support.stored_epochs import stored_numbers
from tests.support.studies import fail_behind_its_back


@pytest.fixture
def attempts(study: OpenStudy, tmp_path: Path) -> AttemptsByHand:
    return AttemptsByHand(study, tmp_path)


def test_each_epoch_is_stored_when_it_is_done(attempts: AttemptsByHand) -> None:
    attempt = attempts.attempt()
    attempt.trial.began({"threads": 1})
    attempt.trial.epoch_done(made_epoch(1, 50.0))
    assert attempts.stored(attempt).user_attrs["environment"] == {"threads": 1}
    assert attempts.stored(attempt).intermediate_values == {1: 50.0}
    attempt.trial.epoch_done(made_epoch(2, 60.0))
    assert attempts.stored(attempt).intermediate_values == {1: 50.0, 2: 60.0}
    assert list(stored_numbers(attempts.study.storage, attempt.claim.trial_id)) == [1, 2]


def test_a_checkpoint_is_deleted_once_the_next_one_is_pointed_to(attempts: AttemptsByHand) -> None:
    attempt = attempts.attempt()
    for number in (1, 2, 3):
        attempt.trial.epoch_done(made_epoch(number, 50.0), attempts.checkpoint(number))
        assert attempts.stored(attempt).system_attrs[CHECKPOINT]["key"] == checkpoint_key_after(number)
        assert attempts.checkpoints.keys() == [checkpoint_key_after(number)]


def test_epochs_done_while_the_storage_is_away_are_stored_with_the_next_beat(
    attempts: AttemptsByHand,
) -> None:
    attempt = attempts.attempt()
    attempt.trial.epoch_done(made_epoch(1, 50.0), attempts.checkpoint(1))
    with away(attempts.study.storage):
        attempt.trial.epoch_done(made_epoch(2, 60.0), attempts.checkpoint(2))
        attempt.trial.epoch_done(made_epoch(3, 70.0), attempts.checkpoint(3))
        attempt.trial.check()  # the lease is as good as before
        with pytest.raises(StorageAway):
            attempt.beat()
    assert "the storage does not answer; training goes on" in attempts.lines[-1]
    assert attempts.stored(attempt).intermediate_values == {1: 50.0}
    assert attempts.stored(attempt).system_attrs[CHECKPOINT]["key"] == checkpoint_key_after(1)
    assert checkpoint_key_after(1) in attempts.checkpoints.keys()  # noqa: SIM118 - a store, no mapping
    attempt.beat()
    assert attempts.stored(attempt).intermediate_values == {1: 50.0, 2: 60.0, 3: 70.0}
    assert list(stored_numbers(attempts.study.storage, attempt.claim.trial_id)) == [1, 2, 3]
    assert attempts.stored(attempt).system_attrs[CHECKPOINT]["key"] == checkpoint_key_after(3)
    assert checkpoint_key_after(1) not in attempts.checkpoints.keys()  # noqa: SIM118


def test_an_epoch_whose_answer_was_lost_is_stored_again_with_the_next_beat(attempts: AttemptsByHand) -> None:
    attempt = attempts.attempt()
    attempt.trial.epoch_done(made_epoch(1, 50.0), attempts.checkpoint(1))
    with lost_answer(attempts.study.storage):
        attempt.trial.epoch_done(made_epoch(2, 60.0), attempts.checkpoint(2))
    assert attempts.stored(attempt).system_attrs[CHECKPOINT]["key"] == checkpoint_key_after(2)
    assert set(attempts.checkpoints.keys()) == {
        checkpoint_key_after(1),
        checkpoint_key_after(2),
    }  # it cannot know which one is pointed to
    attempt.beat()
    assert attempts.stored(attempt).intermediate_values == {1: 50.0, 2: 60.0}
    assert attempts.checkpoints.keys() == [checkpoint_key_after(2)]


def test_a_checkpoint_that_is_pointed_to_is_there_also_after_a_lost_answer(attempts: AttemptsByHand) -> None:
    attempt = attempts.attempt()
    with lost_answer(attempts.study.storage):
        attempt.trial.epoch_done(made_epoch(1, 50.0), attempts.checkpoint(1))
    with away(attempts.study.storage):
        attempt.trial.epoch_done(made_epoch(2, 60.0), attempts.checkpoint(2))
    assert attempts.stored(attempt).system_attrs[CHECKPOINT]["key"] in attempts.checkpoints.keys()  # noqa: SIM118
    attempt.beat()
    assert attempts.stored(attempt).system_attrs[CHECKPOINT]["key"] in attempts.checkpoints.keys()  # noqa: SIM118


def test_the_last_epoch_is_stored_with_the_end_of_the_trial(attempts: AttemptsByHand) -> None:
    attempt = attempts.attempt()
    attempt.trial.epoch_done(made_epoch(1, 50.0))
    attempt.trial.epoch_done(made_epoch(2, 60.0), last=True)
    assert attempts.stored(attempt).intermediate_values == {1: 50.0}
    attempt.complete(60.0, attempts.ask)
    assert attempts.stored(attempt).intermediate_values == {1: 50.0, 2: 60.0}
    assert list(stored_numbers(attempts.study.storage, attempt.claim.trial_id)) == [1, 2]


@pytest.mark.parametrize("line", ["a word", "é☃🙂"])
def test_the_end_of_a_long_log_is_stored_in_whole_lines_below_64_kb(
    attempts: AttemptsByHand, line: str
) -> None:
    attempt = attempts.attempt()
    for _ in range(2_000):
        attempt.say(line)
    attempt.give_back(Failure("exception", "the last"), attempts.ask)
    stored = attempts.stored(attempt).system_attrs[LOG]
    assert 30_000 < len(json.dumps(stored)) < 33_000
    whole = attempts.files(attempt)[LOG_FILE].decode()
    assert whole.endswith(f"\n{stored}")
    assert whole.endswith("exception: the last\n")


def test_a_log_is_stored_where_no_file_can_be_kept(attempts: AttemptsByHand) -> None:
    attempt = attempts.attempt()
    (attempts.folder / "artifacts").write_text("in the way")
    attempt.complete(60.0, attempts.ask)
    complete, problem = attempts.stored(attempt).system_attrs[LOG].splitlines()
    assert complete.endswith("complete: validation accuracy 60.00 %")
    assert "its log could not be kept as an artifact" in problem


def test_a_last_epoch_that_can_be_gone_on_from_is_stored_at_once(attempts: AttemptsByHand) -> None:
    attempt = attempts.attempt()
    attempt.trial.epoch_done(made_epoch(1, 60.0), attempts.checkpoint(1), last=True)
    assert attempts.stored(attempt).intermediate_values == {1: 60.0}
    assert CHECKPOINT in attempts.stored(attempt).system_attrs


def test_completing_stores_what_could_not_be_stored_before_and_keeps_no_checkpoint(
    attempts: AttemptsByHand,
) -> None:
    attempt = attempts.attempt()
    attempt.trial.epoch_done(made_epoch(1, 50.0), attempts.checkpoint(1))
    with away(attempts.study.storage):
        attempt.trial.epoch_done(made_epoch(2, 60.0), attempts.checkpoint(2))
    attempt.trial.keep_file("model.safetensors", b"weights")
    attempt.complete(60.0, attempts.ask)
    trial = attempts.stored(attempt)
    assert (trial.value, trial.intermediate_values) == (60.0, {1: 50.0, 2: 60.0})
    files = attempts.files(attempt)
    assert files.keys() == {"model.safetensors", LOG_FILE}
    assert files["model.safetensors"] == b"weights"
    assert files[LOG_FILE].splitlines()[-1].endswith(b"complete: validation accuracy 60.00 %")
    assert attempts.checkpoints.keys() == []


def test_giving_back_stores_what_could_not_be_stored_before_and_keeps_the_last_checkpoint(
    attempts: AttemptsByHand,
) -> None:
    attempt = attempts.attempt()
    attempt.trial.epoch_done(made_epoch(1, 50.0), attempts.checkpoint(1))
    with away(attempts.study.storage):
        attempt.trial.epoch_done(made_epoch(2, 60.0), attempts.checkpoint(2))
    attempt.give_back(Failure("preempted", "drained"), attempts.ask)
    trial = attempts.stored(attempt)
    assert trial.user_attrs["failure"] == {"class": "preempted", "reason": "drained"}
    assert trial.intermediate_values == {1: 50.0, 2: 60.0}
    assert attempts.files(attempt).keys() == {LOG_FILE}
    assert attempts.checkpoints.keys() == [checkpoint_key_after(2)]
    *_, retry = attempts.study.optuna_study().trials
    assert retry.system_attrs[CHECKPOINT] == trial.system_attrs[CHECKPOINT]
    assert retry.system_attrs[CHECKPOINT]["key"] == checkpoint_key_after(2)


def test_an_attempt_goes_on_from_its_predecessors_epochs_and_checkpoint(attempts: AttemptsByHand) -> None:
    for _ in range(8):
        attempt = attempts.attempt()
    attempt.trial.epoch_done(made_epoch(1, 50.0), attempts.checkpoint(1))
    attempt.give_back(Failure("preempted", "drained"), attempts.ask)
    heir = attempts.attempt()
    assert heir.claim.checkpoint == Checkpoint(**attempts.stored(attempt).system_attrs[CHECKPOINT])
    heir.trial.resumed([made_epoch(1, 50.0)], {"trial": attempt.claim.number, "epoch": 1})
    assert attempts.stored(heir).user_attrs["resumed"] == {"trial": attempt.claim.number, "epoch": 1}
    assert attempts.stored(heir).intermediate_values == {1: 50.0}
    heir.trial.epoch_done(made_epoch(2, 60.0), attempts.checkpoint(2))
    assert attempts.checkpoints.keys() == [checkpoint_key_after(2)]
    assert attempts.stored(heir).intermediate_values == {1: 50.0, 2: 60.0}


def test_an_attempt_whose_lease_is_lost_is_told_so_by_whatever_it_stores(attempts: AttemptsByHand) -> None:
    attempt = attempts.attempt()
    fail_behind_its_back(attempts.study.storage.url, attempt.claim.trial_id)
    attempt.trial.check()  # it cannot know yet
    with pytest.raises(LeaseLost):
        attempt.trial.epoch_done(made_epoch(1, 50.0))
    with pytest.raises(LeaseLost):
        attempt.trial.check()
    with pytest.raises(LeaseLost):
        attempt.beat()
    with pytest.raises(LeaseLost):
        attempt.complete(50.0, attempts.ask)
    with pytest.raises(LeaseLost):
        attempt.give_back(Failure("preempted", "drained"), attempts.ask)
    assert attempts.stored(attempt).intermediate_values == {}


def test_an_attempt_that_had_nothing_to_store_is_told_too(attempts: AttemptsByHand) -> None:
    attempt = attempts.attempt()
    fail_behind_its_back(attempts.study.storage.url, attempt.claim.trial_id)
    with pytest.raises(LeaseLost):
        attempt.give_back(Failure("preempted", "drained"), attempts.ask)


def test_a_trial_whose_files_cannot_be_kept_completes_and_says_so(attempts: AttemptsByHand) -> None:
    (attempts.folder / "artifacts").write_text("no folder", encoding="utf-8")
    attempt = attempts.attempt()
    attempt.trial.keep_file("model.safetensors", b"weights")
    attempt.complete(50.0, attempts.ask)
    assert attempts.stored(attempt).value == 50.0
    assert attempts.files(attempt) == {}
    assert "its weights could not be kept as an artifact: File exists" in attempts.lines[-2]


def test_a_key_from_the_storage_that_is_a_path_is_neither_followed_nor_deleted(
    attempts: AttemptsByHand,
) -> None:
    precious = attempts.folder / "precious"
    precious.write_text("somebody's own")
    first = attempts.study.storage.get_all_trials(attempts.study.study_id)[0]._trial_id
    pointer = {"key": str(precious), "sha256": "0" * 64, "epoch": 1}
    attempts.study.storage.set_trial_system_attr(first, CHECKPOINT, pointer)
    attempt = attempts.attempt()
    attempt.trial.epoch_done(made_epoch(1, 50.0), attempts.checkpoint(1))
    attempt.complete(50.0, attempts.ask)
    assert precious.read_text() == "somebody's own"
    assert attempts.checkpoints.keys() == []
