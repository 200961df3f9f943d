"""The heartbeat of a worker, and when the worker takes its lease for lost."""

from __future__ import annotations

import time

import pytest

from mnist_tune.contract.lease import Heartbeat, Lease
from mnist_tune.contract.study import LeaseLost
from tests.support.clocks import Clock


def test_a_heartbeat_outlives_whatever_a_beat_raises_and_says_it_once() -> None:
    beats = 0
    lines: list[str] = []

    def beat() -> None:
        nonlocal beats
        beats += 1
        if beats < 5:
            raise RuntimeError("database is locked")

    with Heartbeat(beat, 0.01, lines.append):
        deadline = time.monotonic() + 30
        while beats < 10:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert lines == [
        "the heartbeat failed (RuntimeError: database is locked); trying again",
        "the heartbeat goes on",
    ]


def test_a_lease_that_could_not_be_renewed_for_the_grace_period_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr("mnist_tune.contract.lease.time", clock)
    lease = Lease(grace_period=0.5)
    lease.check()
    with pytest.raises(ConnectionError):
        lease.renew(unreachable)
    lease.check()  # a failed renewal says nothing yet
    clock.seconds += 0.6
    with pytest.raises(LeaseLost):
        lease.check()


def unreachable() -> None:
    raise ConnectionError("server closed the connection")


def test_a_renewed_lease_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr("mnist_tune.contract.lease.time", clock)
    lease = Lease(grace_period=1.0)
    for _ in range(4):
        clock.seconds += 0.9
        lease.renew(lambda: None)
        lease.check()


def test_a_refused_write_loses_the_lease_at_once() -> None:
    def refused() -> None:
        raise LeaseLost

    lease = Lease(grace_period=60)
    with pytest.raises(LeaseLost):
        lease.renew(refused)
    with pytest.raises(LeaseLost):
        lease.check()
