"""States that take long to be kept, or that newer ones overtake: the lease holds, and none is left over."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from mnist_tune.contract.claim import Claim
from mnist_tune.contract.lease import Lease
from mnist_tune.contract.retrying import StorageRetry
from mnist_tune.contract.study import LeaseLost, StorageAway
from mnist_tune.files.checkpoints import Checkpoint, CheckpointFolder, checkpoint_key, save
from mnist_tune.storage.keys import CHECKPOINT, NOT_KEPT, REMARK, STATE
from mnist_tune.storage.notes import Notes
from mnist_tune.study.direct import DirectStudy
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.worker.attempt import Attempt
from mnist_tune.worker.signals import StopRequest
from tests.support.made_studies.epochs import made_epoch
from tests.support.storage_faults import away
from tests.support.studies import folders, new_study, take
from tests.support.waiting import wait_until

GRACE = 0.6


class SlowFolder(DirectStudy):
    """A study that can be slow to keep a state, or away when it should."""

    def __init__(self, study: OpenStudy, folder: Path) -> None:
        super().__init__(study, folders(folder))
        self.begun, self.may_end = threading.Event(), threading.Event()
        self.may_end.set()
        self.ends_in_vain = threading.Event()
        self.is_away = False
        self.renewals = 0

    def renew(self, claim: Claim) -> None:
        super().renew(claim)
        self.renewals += 1

    def complete(self, claim: Claim, value: float, notes: Notes) -> None:
        if self.ends_in_vain.is_set():
            raise StorageAway("it is away")
        super().complete(claim, value, notes)

    def keep_state(self, claim: Claim, checkpoint: Checkpoint) -> None:
        if self.is_away:
            raise StorageAway("it is away")
        self.begun.set()
        assert self.may_end.wait(60)
        super().keep_state(claim, checkpoint)


class Fixture:
    """An attempt of a worker whose study is slow."""

    def __init__(self, folder: Path) -> None:
        self.study = new_study(folder)
        self.slow = SlowFolder(self.study, folder)
        self.lease = Lease(GRACE)
        self.attempt = Attempt(self.slow, take(self.study.queue()), self.lease, StopRequest(), print)
        self.states = CheckpointFolder(self.slow.state_folder)

    def saved(self, number: int) -> Checkpoint:
        claim = self.attempt.claim
        key = checkpoint_key(claim.trial_id, claim.token, number)
        return save(self.states, key, number, b"state")

    def epoch_done_while_away(self, number: int) -> Checkpoint:
        self.slow.is_away = True
        checkpoint = self.saved(number)
        self.attempt.trial.epoch_done(made_epoch(number, 50.0), checkpoint)
        self.slow.is_away = False
        return checkpoint

    def pointer(self) -> str | None:
        attributes = self.study.storage.get_trial(self.attempt.claim.trial_id).system_attrs
        return attributes[CHECKPOINT]["key"] if CHECKPOINT in attributes else None


@pytest.fixture
def worker(tmp_path: Path) -> Fixture:
    return Fixture(tmp_path)


@pytest.mark.slow
def test_a_heartbeat_goes_on_while_a_state_takes_longer_than_the_lease_lasts(worker: Fixture) -> None:
    checkpoint = worker.epoch_done_while_away(1)
    worker.slow.may_end.clear()
    until = time.monotonic() + 2 * GRACE
    while time.monotonic() < until:
        worker.attempt.beat()
        worker.lease.check()
    assert worker.slow.begun.is_set()
    assert worker.slow.renewals > 3
    assert worker.pointer() is None
    worker.slow.may_end.set()
    wait_until(lambda: worker.pointer() == checkpoint.key)
    worker.lease.check()


@pytest.mark.slow
def test_the_end_of_a_trial_waits_for_a_state_that_is_on_its_way(worker: Fixture) -> None:
    worker.epoch_done_while_away(1)
    worker.slow.may_end.clear()
    worker.attempt.beat()
    order: list[str] = []
    ask = StorageRetry(60, print, hurry=lambda: False)

    def end() -> None:
        worker.attempt.complete(50.0, ask)
        order.append("ended")

    ending = threading.Thread(target=end)
    ending.start()
    ending.join(2 * GRACE)
    order.append("kept")
    worker.slow.may_end.set()
    ending.join(60)
    assert order == ["kept", "ended"]
    assert worker.states.keys() == []


@pytest.mark.slow
def test_a_heartbeat_goes_on_while_the_end_of_a_trial_is_asked_for_again_and_again(worker: Fixture) -> None:
    worker.attempt.trial.epoch_done(made_epoch(1, 50.0), last=True)  # to be stored with the end
    ask = StorageRetry(60, print, hurry=lambda: False)
    worker.slow.ends_in_vain.set()
    ending = threading.Thread(target=worker.attempt.complete, args=[50.0, ask])
    ending.start()
    until = time.monotonic() + 2 * GRACE
    while time.monotonic() < until:
        worker.attempt.beat()
        worker.lease.check()
    worker.slow.ends_in_vain.clear()
    ending.join(60)
    assert worker.slow.renewals > 3
    assert worker.study.optuna_study().trials[0].value == 50.0


def test_states_that_newer_ones_have_overtaken_are_deleted(worker: Fixture) -> None:
    worker.attempt.trial.epoch_done(made_epoch(1, 50.0), worker.saved(1))
    for number in (2, 3, 4):
        worker.epoch_done_while_away(number)
    assert len(worker.states.keys()) == 4
    worker.attempt.beat()
    wait_until(lambda: worker.states.keys() == [worker.pointer()])
    assert worker.pointer() is not None


def test_a_state_that_is_overtaken_on_its_way_is_pointed_to_until_the_next(worker: Fixture) -> None:
    second = worker.epoch_done_while_away(2)
    worker.slow.may_end.clear()
    worker.attempt.beat()
    third = worker.saved(3)
    adding = threading.Thread(
        target=worker.attempt.trial.epoch_done, args=[made_epoch(3, 50.0), third], daemon=True
    )
    adding.start()
    worker.slow.may_end.set()
    adding.join(60)
    assert worker.pointer() == third.key
    assert worker.states.keys() == [third.key]
    assert second.key != third.key


def test_an_end_in_an_outage_leaves_no_state_that_was_overtaken(worker: Fixture) -> None:
    for number in (1, 2):
        worker.epoch_done_while_away(number)
    worker.attempt.complete(50.0, StorageRetry(60, print, hurry=lambda: False))
    assert worker.states.keys() == []


def test_where_nothing_is_stored_no_lease_is_renewed(worker: Fixture) -> None:
    worker.attempt.trial.epoch_done(made_epoch(1, 50.0))
    with away(worker.study.storage):
        time.sleep(1.2 * GRACE)
        worker.attempt._record.store()  # nothing is left to store
        with pytest.raises(LeaseLost):
            worker.lease.check()


def test_what_could_not_be_kept_and_what_was_kept_then_are_told_in_their_order(worker: Fixture) -> None:
    trial = worker.attempt.trial
    trial.no_checkpoint("the disk is full")
    trial.epoch_done(made_epoch(1, 50.0))
    late = Notes(user={NOT_KEPT: {STATE: "the disk is full"}}, system={REMARK: 1})
    trial.epoch_done(made_epoch(2, 50.0), worker.saved(2))
    worker.slow.record(worker.attempt.claim, late)  # asked again by who did not hear the answer
    attributes = worker.study.storage.get_trial(worker.attempt.claim.trial_id)
    assert attributes.user_attrs[NOT_KEPT] == {}
    assert attributes.system_attrs[REMARK] == 2


def test_a_training_ends_with_its_lease_while_a_state_is_being_sent(worker: Fixture) -> None:
    worker.slow.may_end.clear()
    with pytest.raises(LeaseLost):  # there is no heartbeat here
        worker.attempt.trial.epoch_done(made_epoch(1, 50.0), worker.saved(1))
    assert worker.slow.begun.is_set()
    assert worker.pointer() is None
    worker.slow.may_end.set()
