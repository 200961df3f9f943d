"""Estimates of how long a study and its trials still take."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from mnist_tune.contract.study import Control
from mnist_tune.results.eta import Pace
from mnist_tune.results.study_results import Results
from tests.support.made_studies.epochs import EPOCH_SECONDS, made_epoch
from tests.support.made_studies.results import EIGHT_CELLS, HOST, NOW, made_attempt, made_results, made_worker


def seconds_left(results: Results) -> float | None:
    return Pace(results, NOW).seconds_left()


def with_attempt(results: Results, number: int, **changes: object) -> Results:
    attempts = [
        replace(attempt, **changes) if attempt.number == number else attempt  # type: ignore[arg-type]
        for attempt in results.attempts
    ]
    return replace(results, attempts=attempts)


def test_cells_go_to_the_worker_that_is_free_first() -> None:
    # Two have 6 epochs to go; of three waiting cells, one worker takes two.
    results = made_results(done=3, failed=0, running=2)
    assert seconds_left(results) == (6 + 10 + 10) * EPOCH_SECONDS


def test_what_one_worker_does_after_the_other_adds_up() -> None:
    assert seconds_left(made_results(done=3, failed=0, running=1)) == (6 + 4 * 10) * EPOCH_SECONDS


def test_a_worker_without_a_cell_takes_one_that_waits() -> None:
    results = made_results(done=6, failed=0, running=1)
    assert seconds_left(results) == (6 + 10) * EPOCH_SECONDS
    helped = replace(results, workers=[*results.workers, made_worker(f"{HOST}:1", None, "idle")])
    assert seconds_left(helped) == 10 * EPOCH_SECONDS


@pytest.mark.parametrize("state", ["left", "silent", "draining"])
def test_a_worker_that_takes_no_cells_does_not_count(state: str) -> None:
    results = made_results(done=6, failed=0, running=1)
    gone = replace(results, workers=[*results.workers, made_worker(f"{HOST}:1", None, state)])
    assert seconds_left(gone) == seconds_left(results)


def test_the_cell_of_a_silent_worker_is_to_be_done_again() -> None:
    results = with_attempt(made_results(done=6, failed=0, running=2), 7, stale=True)
    alone = replace(results, workers=results.workers[:1])
    assert seconds_left(alone) == (6 + 10) * EPOCH_SECONDS


@pytest.mark.parametrize("control", [Control.PAUSED, Control.CANCELLED])
def test_nobody_knows_when_a_study_that_is_held_is_finished(control: Control) -> None:
    assert seconds_left(made_results(control=control)) is None


def test_nobody_knows_when_a_study_without_workers_is_finished() -> None:
    assert seconds_left(made_results(running=0)) is None


def test_nobody_knows_before_the_first_epoch_how_long_it_takes() -> None:
    results = made_results(done=0, failed=0, epochs_done=0)
    assert seconds_left(results) is None
    assert Pace(results, NOW).seconds_left_of(results.attempts[0]) is None


def test_a_finished_study_has_nothing_left() -> None:
    assert seconds_left(made_results(done=8, failed=0, running=0)) is None


def test_a_configuration_that_is_slow_is_expected_to_be_slow_again() -> None:
    results = made_results({"batch_size": [64, 128], "seed": [0, 1]}, done=1, failed=0, running=0)
    slow = [made_epoch(epoch, 90.0, seconds=70.0) for epoch in range(1, 11)]
    third = replace(made_attempt(2, "complete", {"batch_size": 128, "seed": 0}, 0), history=slow)
    results = replace(
        results,
        attempts=[*results.attempts[:2], third, results.attempts[3]],
        workers=[made_worker(f"{HOST}:1", None, "idle")],
    )
    assert seconds_left(results) == 10 * EPOCH_SECONDS + 10 * 70.0


def test_workers_that_are_here_tell_the_pace_better_than_those_that_left() -> None:
    results = made_results(done=6, failed=0, running=1)
    faster = [made_epoch(epoch, 90.0, seconds=2.0) for epoch in range(1, 5)]
    results = with_attempt(results, 6, history=faster, started=NOW - timedelta(seconds=8))
    assert seconds_left(results) == (6 + 10) * 2.0


def test_the_epoch_in_progress_counts_from_when_the_last_one_ended() -> None:
    results = made_results()
    attempt = next(attempt for attempt in results.attempts if attempt.state == "running")
    for later, epochs in ((0.0, 6.0), (5.0, 5.75), (3_600.0, 5.0), (-3_600.0, 6.0)):
        pace = Pace(results, NOW + timedelta(seconds=later))
        assert pace.seconds_left_of(attempt) == epochs * EPOCH_SECONDS


def test_the_epochs_of_the_attempt_before_are_not_its_own() -> None:
    # It goes on from epoch 3, whose worker was slow, and has done the fourth within 10 seconds.
    history = [made_epoch(epoch, 90.0, seconds=500.0) for epoch in (1, 2, 3)] + [
        made_epoch(4, 91.0, seconds=10.0)
    ]
    results = with_attempt(
        made_results(EIGHT_CELLS),
        4,
        history=history,
        resumed={"epoch": 3, "checkpoint": "1-3"},
        started=NOW - timedelta(seconds=10),
    )
    assert Pace(results, NOW).seconds_left_of(results.attempts[4]) == 6 * 10.0
