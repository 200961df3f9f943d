"""The lease of a trial in the storage: whose writes are accepted, and when others may take the cell."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy
from optuna.distributions import FloatDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState
from sqlalchemy import select

from mnist_tune.contract.claim import Claim
from mnist_tune.failures import Failure
from mnist_tune.queue.heartbeat_monitor import Watch
from mnist_tune.queue.queue import Queue
from mnist_tune.results.reading import read_results
from mnist_tune.storage import guarded
from mnist_tune.storage.guarded import GuardedStorage
from mnist_tune.storage.optuna_internals import heartbeats, parameters, trials
from mnist_tune.study.open_study import OpenStudy
from tests.support.clocks import ZONES_DIFFER_BY, Clock, zone
from tests.support.specs import TINY_SPEC, lease_lines
from tests.support.studies import fail_behind_its_back, new_study, opened_again, states, take
from tests.support.waiting import wait_until

WRITES: list[Callable[[GuardedStorage, Queue, Claim], object]] = [
    lambda storage, _, claim: storage.set_trial_user_attr(claim.trial_id, "late", 1),
    lambda storage, _, claim: storage.set_trial_system_attr(claim.trial_id, "late", 1),
    lambda storage, _, claim: storage.set_trial_intermediate_value(claim.trial_id, 1, 99.0),
    lambda storage, _, claim: storage.set_trial_param(claim.trial_id, "late", 0.5, FloatDistribution(0, 1)),
    lambda storage, _, claim: storage.set_trial_state_values(claim.trial_id, TrialState.COMPLETE, [99.0]),
    lambda storage, _, claim: storage.record_heartbeat(claim.trial_id),
    lambda _, queue, claim: queue.beat(claim),
    lambda _, queue, claim: queue.record(claim, user={"late": 1}, reports={1: 99.0}),
    lambda _, queue, claim: queue.complete(claim, 99.0),
]
"""Everything by which an attempt changes its trial, but for giving it back."""


def assert_nothing_is_written(study: OpenStudy, claim: Claim) -> None:
    """That the storage refuses every write of the attempt, whatever `study` and `claim` pretend."""
    before = study.storage.get_trial(claim.trial_id)
    for write in WRITES:
        with pytest.raises(UpdateFinishedTrialError):
            write(study.storage, study.queue(), claim)
        assert study.storage.get_trial(claim.trial_id) == before


def test_no_write_of_a_lost_lease_is_accepted(study: OpenStudy) -> None:
    claim = take(study.queue())
    fail_behind_its_back(study.storage.url, claim.trial_id)
    assert_nothing_is_written(study, claim)


def test_no_write_with_a_foreign_token_is_accepted(study: OpenStudy) -> None:
    claim = take(study.queue())
    study.storage.claims[claim.trial_id] = "forged"
    assert_nothing_is_written(study, replace(claim, token="forged"))


def test_no_write_without_the_token_is_accepted_and_with_it_any_process_may_write(study: OpenStudy) -> None:
    claim = take(study.queue())
    other = opened_again(study)
    assert_nothing_is_written(other, replace(claim, token="0" * 32))
    other.queue().complete(claim, 50.0)
    assert states(study)[0] == TrialState.COMPLETE


def test_a_cell_is_given_back_only_by_who_holds_it(study: OpenStudy) -> None:
    queue = study.queue()
    held, lost = take(queue), take(queue)
    forged = replace(held, token="forged")
    assert not opened_again(study).queue().give_back(forged, Failure("exception", "of a process without it"))
    fail_behind_its_back(study.storage.url, lost.trial_id)
    assert not queue.give_back(forged, Failure("exception", "forged"))
    assert not queue.give_back(lost, Failure("exception", "late"))
    assert states(study) == [TrialState.RUNNING, TrialState.FAIL, *[TrialState.WAITING] * 6]


def test_who_hands_cells_out_to_many_workers_forgets_those_that_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = new_study(tmp_path, TINY_SPEC + lease_lines(0.1, 0.5))
    queue = study.queue()
    silent = [take(queue), take(queue)]
    ended = take(queue)
    assert set(study.storage.claims) == {claim.trial_id for claim in (*silent, ended)}
    assert queue.give_back(ended, Failure("preempted", "drained"))
    put_back: set[int] = set()

    def all_are_back() -> bool:
        put_back.update(queue.put_back_stale())
        return put_back == {claim.number for claim in silent}

    wait_until(all_are_back)
    assert study.storage.claims == {}
    monkeypatch.setattr(guarded, "CLAIMS_IN_MIND", 2)
    last = [take(queue) for _ in range(3)][1:]
    assert list(study.storage.claims.items()) == [(claim.trial_id, claim.token) for claim in last]


def test_a_cell_whose_worker_fell_silent_is_put_back_by_any_other(tmp_path: Path, database: str) -> None:
    study = new_study(tmp_path, TINY_SPEC + lease_lines(0.1, 1.0), database)
    silent, watching = study.queue(), opened_again(study).queue()
    before = time.monotonic()
    claim = take(silent)
    wait_until(lambda: list(watching.put_back_stale()) == [claim.number])
    assert time.monotonic() - before > 1.0
    assert states(study) == [TrialState.FAIL, *[TrialState.WAITING] * 8]
    assert read_results(study).attempts[0].failure == {
        "class": "lost",
        "reason": "no heartbeat for 1 s: the worker or its machine died",
    }
    with pytest.raises(UpdateFinishedTrialError):
        silent.beat(claim)


def test_a_beating_worker_keeps_its_cell(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr("mnist_tune.queue.heartbeat_monitor.time", clock)
    study = new_study(tmp_path, TINY_SPEC + lease_lines(15.0, 60.0), database)
    beating, watching = study.queue(), opened_again(study).queue()
    claim = take(beating)
    for _ in range(30):
        clock.seconds += 15.0
        beating.beat(claim)
        assert watching.put_back_stale() == {}
    clock.seconds += 61.0
    assert list(watching.put_back_stale()) == [claim.number]


@pytest.mark.parametrize("beats_on", [False, True])
def test_a_heartbeat_that_is_no_text_stands_still_until_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beats_on: bool
) -> None:
    clock = Clock()
    monkeypatch.setattr("mnist_tune.queue.heartbeat_monitor.time", clock)
    study = new_study(tmp_path, TINY_SPEC + lease_lines(15.0, 60.0))
    queue, watching = study.queue(), Watch(study.storage, trials.c.state == TrialState.RUNNING, 60.0)
    claim = take(queue)
    with study.storage.transaction() as session:
        session.execute(heartbeats.update().values(heartbeat=sqlalchemy.text("CAST(x'ff32' AS TEXT)")))
    assert watching.silent() == []
    clock.seconds += 61.0
    (silent,) = watching.silent()
    if beats_on:
        queue.beat(claim)
    with study.storage.transaction() as session:
        still = session.execute(select(trials.c.number).where(silent.still())).scalars().all()
    assert still == ([] if beats_on else [claim.number])


@pytest.mark.parametrize(
    ("lost", "its_cell"),
    [
        (1, "put the cell back"),
        (0, "its cell is not put back: the budget of retry.lost is spent"),
        (None, "its cell is not put back: its batch_size has a distribution that cannot be read"),
    ],
)
def test_who_fails_a_silent_worker_is_told_what_became_of_the_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: int | None, its_cell: str
) -> None:
    clock = Clock()
    monkeypatch.setattr("mnist_tune.queue.heartbeat_monitor.time", clock)
    budget = f"\n[retry]\nlost = {1 if lost is None else lost}\n"
    study = new_study(tmp_path, TINY_SPEC + lease_lines(15.0, 60.0) + budget)
    watching = study.queue()
    claim = take(study.queue())
    assert watching.put_back_stale() == {}
    if lost is None:
        with study.storage.transaction() as session:
            of_trial = parameters.c.trial_id == claim.trial_id
            session.execute(parameters.update().where(of_trial).values(distribution_json="{"))
    clock.seconds += 61.0
    (said,) = watching.put_back_stale().values()
    assert said.startswith(f"its worker is gone; {its_cell}")
    with study.storage.transaction() as session:
        numbers = session.execute(select(trials.c.number)).scalars().all()
    assert len(numbers) == (9 if lost == 1 else 8)


def test_an_attempt_that_never_had_a_heartbeat_is_put_back_too(tmp_path: Path, database: str) -> None:
    study = new_study(tmp_path, TINY_SPEC + lease_lines(0.1, 1.0), database)
    take(study.queue())
    with study.storage.transaction() as session:
        session.execute(heartbeats.delete())
    watching = study.queue()
    before = time.monotonic()
    wait_until(lambda: list(watching.put_back_stale()) == [0])
    assert time.monotonic() - before > 1.0


def test_times_come_from_the_database_in_utc(study: OpenStudy) -> None:
    with zone("Pacific/Kiritimati"):
        queue = study.queue()
        claim = take(queue)
        queue.complete(claim, 50.0)
    trial = study.storage.get_trial(claim.trial_id)
    for stored in (trial.datetime_start, trial.datetime_complete):
        assert stored is not None
        assert abs(stored.replace(tzinfo=UTC) - datetime.now(UTC)) < ZONES_DIFFER_BY
