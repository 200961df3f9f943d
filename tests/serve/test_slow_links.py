"""States that take longer to send than a lease lasts, and many workers at once: no lease is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mnist_tune.contract.lease import Heartbeat, Lease
from mnist_tune.files.checkpoints import Checkpoint, CheckpointFolder, checkpoint_key, load, save
from mnist_tune.results.reading import read_results
from mnist_tune.results.trial_result import State
from mnist_tune.serve.address import HeadAddress
from mnist_tune.serve.client import Head
from mnist_tune.serve.remote_study import RemoteStudy
from mnist_tune.storage.keys import CHECKPOINT
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.worker.attempt import Attempt
from mnist_tune.worker.signals import StopRequest
from tests.support.contract_calls import ME, taken
from tests.support.head_processes import HeadProcess
from tests.support.made_studies.epochs import made_epoch
from tests.support.specs import TWO_CELLS, lease_lines
from tests.support.studies import new_study
from tests.support.tcp_proxy import TcpProxy, tcp_proxy
from tests.support.waiting import wait_until

BEAT, GRACE = 0.2, 1.5
RATE = 1_000_000
"""Bytes in a second."""
CONTENT = b"weights!" * (5 * RATE // 8)
"""A state that takes more than three grace periods to send."""
MANY = """
[study]
name = "tiny"

[search.grid]
seed = {seeds}
"""


class SlowlyLinked:
    """An attempt of a worker whose link to its head is slow."""

    def __init__(self, study: OpenStudy, link: TcpProxy, folder: Path) -> None:
        self.study = study
        self.hurry = threading.Event()
        head = Head(HeadAddress(link.url), hurry=self.hurry.is_set)
        self.remote = RemoteStudy(head, study.name, folder / "on their way")
        self.remote.register(ME)
        self.lease = Lease(GRACE)
        self.attempt = Attempt(self.remote, taken(self.remote), self.lease, StopRequest(), print)
        self.kept = CheckpointFolder(folder / "checkpoints" / study.uid)

    def saved(self, content: bytes = CONTENT) -> Checkpoint:
        claim = self.attempt.claim
        key = checkpoint_key(claim.trial_id, claim.token, 1)
        return save(CheckpointFolder(self.remote.state_folder), key, 1, content)

    def is_pointed_to_with_its_lease(self) -> bool:
        self.attempt.trial.check()
        return self.is_pointed_to()

    def is_pointed_to(self) -> bool:
        return CHECKPOINT in self.study.storage.get_trial(self.attempt.claim.trial_id).system_attrs


@pytest.fixture
def study(tmp_path: Path) -> OpenStudy:
    return new_study(tmp_path, TWO_CELLS + lease_lines(BEAT, GRACE))


@pytest.fixture
def link(study: OpenStudy, tmp_path: Path) -> Iterator[TcpProxy]:
    with (
        HeadProcess(f"sqlite:///{tmp_path}/studies.db", tmp_path) as head,
        tcp_proxy(head.address) as link,
    ):
        yield link


@pytest.fixture
def worker(study: OpenStudy, link: TcpProxy, tmp_path: Path) -> SlowlyLinked:
    worker = SlowlyLinked(study, link, tmp_path)
    link.slow_down(RATE)
    return worker


@pytest.mark.slow
def test_a_lease_outlasts_a_state_that_the_training_waits_for(worker: SlowlyLinked) -> None:
    checkpoint = worker.saved()
    with Heartbeat(worker.attempt.beat, BEAT, print):
        sending = threading.Thread(
            target=worker.attempt.trial.epoch_done, args=[made_epoch(1, 50.0), checkpoint]
        )
        sending.start()
        while sending.is_alive():
            worker.attempt.trial.check()
            time.sleep(0.01)
        assert worker.is_pointed_to()
        assert load(worker.kept, checkpoint) == CONTENT
        worker.attempt.trial.check()
    assert [attempt.state for attempt in read_results(worker.study).attempts] == ["running", "waiting"]


@pytest.mark.slow
def test_a_lease_outlasts_a_state_that_is_sent_after_an_outage(link: TcpProxy, worker: SlowlyLinked) -> None:
    checkpoint = worker.saved()
    link.cut(reset=True)
    worker.attempt.trial.epoch_done(made_epoch(1, 50.0), checkpoint)
    link.heal()
    with Heartbeat(worker.attempt.beat, BEAT, print):
        wait_until(worker.is_pointed_to_with_its_lease)
        assert load(worker.kept, checkpoint) == CONTENT
        worker.attempt.trial.check()
    assert [attempt.state for attempt in read_results(worker.study).attempts] == ["running", "waiting"]


def test_a_state_is_given_up_for_who_is_in_a_hurry_and_the_trial_goes_on_without(
    link: TcpProxy, worker: SlowlyLinked
) -> None:
    link.slow_down(RATE / 5)  # it would take half a minute
    with Heartbeat(worker.attempt.beat, BEAT, print):
        sending = threading.Thread(
            target=worker.attempt.trial.epoch_done, args=[made_epoch(1, 50.0), worker.saved()]
        )
        sending.start()
        wait_until(lambda: any(worker.kept.path.glob("*")))
        worker.hurry.set()
        sending.join(60)
        assert not sending.is_alive()
    (attempt,) = [each for each in read_results(worker.study).attempts if each.state == State.RUNNING]
    assert len(attempt.history) == 1
    assert "told twice to stop" in attempt.not_kept["state"]
    assert CHECKPOINT not in worker.study.storage.get_trial(worker.attempt.claim.trial_id).system_attrs


def test_a_state_that_is_soon_sent_is_kept_in_a_hurry_too(worker: SlowlyLinked) -> None:
    worker.hurry.set()
    checkpoint = worker.saved(b"small")
    worker.attempt.trial.epoch_done(made_epoch(1, 50.0), checkpoint)
    assert load(worker.kept, checkpoint) == b"small"


@pytest.mark.slow
def test_of_many_workers_that_beat_at_one_head_none_loses_its_lease(tmp_path: Path) -> None:
    workers, seconds = 60, 10.0
    study = new_study(tmp_path, MANY.format(seeds=list(range(workers))) + lease_lines(1.0, 4.0))

    def life(address: str) -> None:
        remote = RemoteStudy(Head(HeadAddress(address)), study.name, tmp_path / "on their way")
        remote.register(ME)
        claim, lease = taken(remote), Lease(4.0)
        attempt = Attempt(remote, claim, lease, StopRequest(), lambda _: None)
        with Heartbeat(attempt.beat, 1.0, print):
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                lease.check()
                time.sleep(0.1)
            remote.complete(claim, float(claim.number), {})

    with (
        HeadProcess(f"sqlite:///{tmp_path}/studies.db", tmp_path) as head,
        ThreadPoolExecutor(workers) as pool,
    ):
        list(pool.map(life, [head.address] * workers))
    assert [attempt.state for attempt in read_results(study).attempts] == [State.COMPLETE] * workers
