"""Calls that a slow network delivers late, after newer ones of the same worker: they take nothing back."""

from __future__ import annotations

from dataclasses import asdict

from mnist_tune.contract.claim import Claim, Standing
from mnist_tune.contract.study import StudyForWorkers, new_token
from mnist_tune.failures import Failure
from mnist_tune.files.checkpoints import Checkpoint, checkpoint_key
from mnist_tune.queue.worker_registry import ask_to_drain, read_registry
from mnist_tune.results.reading import read_results
from mnist_tune.storage.keys import CHECKPOINT, NOT_KEPT, REMARK, STATE
from mnist_tune.storage.notes import Notes
from mnist_tune.study.open_study import OpenStudy
from tests.support.contract_calls import ME, taken


def after(claim: Claim, epoch: int) -> Notes:
    """What a worker tells after an epoch whose state was kept."""
    checkpoint = Checkpoint(checkpoint_key(claim.trial_id, claim.token, epoch), "0" * 64, epoch)
    numbers = {"training_loss": 1.0, "validation_loss": 1.0, "validation_accuracy": 50.0, "seconds": 1.0}
    return {
        "system": {CHECKPOINT: asdict(checkpoint), "other": epoch},
        "epochs": {epoch: numbers},
        "reports": {epoch: 50.0},
    }


def pointer(study: OpenStudy, claim: Claim) -> int:
    epoch: int = study.storage.get_trial(claim.trial_id).system_attrs[CHECKPOINT]["epoch"]
    return epoch


def test_a_record_that_comes_late_does_not_point_to_the_older_state(
    study: OpenStudy, worker: StudyForWorkers
) -> None:
    claim = taken(worker)
    for epoch in (1, 2, 10):
        worker.record(claim, after(claim, epoch))
        assert pointer(study, claim) == epoch
    worker.record(claim, after(claim, 9))
    assert pointer(study, claim) == 10
    assert [epoch.epoch for epoch in read_results(study).attempts[0].history] == [1, 2, 9, 10]


def test_an_attempts_first_state_takes_the_place_of_the_one_from_which_it_went_on(
    study: OpenStudy, worker: StudyForWorkers
) -> None:
    first = taken(worker)
    worker.record(first, after(first, 5))
    worker.give_back(first, Failure("preempted", "drained"), {})
    taken(worker)
    second = taken(worker)
    assert second.checkpoint is not None
    assert second.checkpoint.epoch == 5
    # The name of a state counts within its attempt only.
    worker.record(second, after(second, 1))
    assert pointer(study, second) == 1


def test_a_record_that_comes_late_does_not_bring_a_remark_back(
    study: OpenStudy, worker: StudyForWorkers
) -> None:
    claim = taken(worker)

    def remark(number: int, not_kept: dict[str, str]) -> Notes:
        notes = after(claim, number)
        return {**notes, "user": {NOT_KEPT: not_kept, "other": number}, "system": {REMARK: number}}

    full = {STATE: "the disk is full"}
    for number, not_kept in ((1, full), (2, {}), (1, full)):
        worker.record(claim, remark(number, not_kept))
    (attempt, _) = read_results(study).attempts
    assert attempt.not_kept == {}
    assert [epoch.epoch for epoch in attempt.history] == [1, 2]
    worker.record(claim, remark(3, full))
    assert read_results(study).attempts[0].not_kept == full


def test_a_damaged_pointer_is_replaced(study: OpenStudy, worker: StudyForWorkers) -> None:
    claim = taken(worker)
    worker.record(claim, {"system": {CHECKPOINT: {"key": "../../etc/passwd"}}})
    worker.record(claim, after(claim, 1))
    assert pointer(study, claim) == 1


def test_a_claim_that_comes_late_takes_no_other_cell(study: OpenStudy, worker: StudyForWorkers) -> None:
    token = new_token()
    claim = worker.claim(ME, token)
    assert isinstance(claim, Claim)
    assert worker.claim(ME, token) == claim
    worker.complete(claim, 50.0, {})
    assert worker.claim(ME, token) is Standing.OPEN  # nobody would work on the cell
    assert [attempt.state for attempt in read_results(study).attempts] == ["complete", "waiting"]
    other = taken(worker)
    worker.give_back(other, Failure("preempted", "drained"), {})
    assert worker.claim(ME, other.token) is Standing.OPEN
    assert taken(worker).number == 2


def test_a_registration_that_comes_late_does_not_take_an_order_back(
    study: OpenStudy, worker: StudyForWorkers
) -> None:
    def row() -> tuple[str, object]:
        (registered,) = read_registry(study.storage, study.study_id, 60.0).workers
        return registered.state, registered.started

    ask_to_drain(study.storage, study.study_id, host=ME.host)
    before = row()
    assert before[0] == "draining"
    worker.register(ME)
    assert row() == before
    assert worker.beat(ME, None, None).drain
    worker.leave(ME, "it was drained")
    worker.register(ME)
    assert row()[0] == "left"
