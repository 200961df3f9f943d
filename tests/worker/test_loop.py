"""The worker's loop, with objectives that take no time: how every kind of attempt ends."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.samplers import TPESampler
from optuna.trial import TrialState

from mnist_tune.errors import MnistTuneError, UserError
from mnist_tune.failures import AttemptFailed, Failure
from mnist_tune.queue.lease import Heartbeat, Lease, LeaseLost
from mnist_tune.results.reading import read_results
from mnist_tune.study.delete import delete_study
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.store import create_study, open_study
from mnist_tune.worker.attempt import Attempt
from mnist_tune.worker.loop import Ended, RunTrial, Worker
from mnist_tune.worker.signals import StopRequest
from tests.support.clocks import Clock
from tests.support.specs import TINY_SPEC
from tests.support.studies import epoch, fail_behind_its_back, new_study, open_file, work

SAMPLED_SPEC = """
[study]
name = "tiny"

[search]
sampler = "{sampler}"
n_trials = 6
seed = 7

[search.space]
learning_rate = {{low = 1e-5, high = 1e-2, log = true}}
batch_size = [64, 128]
epochs = {{low = 1, high = 5}}
"""


def run_one_epoch(attempt: Attempt) -> float:
    """A job of one epoch."""
    attempt.check()
    attempt.epoch_done(epoch(1, 50.0 + attempt.claim.number))
    attempt.say("epoch 1")
    return 50.0 + attempt.claim.number


def work_off(study: OpenStudy, run_trial: RunTrial, max_trials: int | None = None) -> tuple[Ended, list[str]]:
    lines: list[str] = []
    return work(study, run_trial, StopRequest(), lines.append, max_trials), lines


def test_a_worker_leaves_when_every_cell_has_ended(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    ended, lines = work_off(study, run_one_epoch)
    results = read_results(study)
    assert ended is Ended.FINISHED
    assert results.cells.complete == len(results.attempts) == 8
    assert results.best is not None
    assert results.best.mean == 57.0
    assert "trial 7: complete: validation accuracy 57.00 %" in lines


def test_a_worker_leaves_after_as_many_trials_as_it_was_told(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    assert work_off(study, run_one_epoch, max_trials=3)[0] is Ended.ENOUGH
    assert read_results(study).cells.waiting == 5


def test_an_extra_worker_on_a_finished_study_runs_nothing(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    work_off(study, run_one_epoch)
    assert work_off(study, run_one_epoch) == (Ended.FINISHED, ["leaving: the study is finished"])
    assert len(read_results(study).attempts) == 8


def test_an_exception_is_retried_three_times_and_then_leaves_a_hole(tmp_path: Path) -> None:
    def broken(attempt: Attempt) -> float:
        if attempt.parameters == first_cell:
            raise ZeroDivisionError("half of nothing")
        return run_one_epoch(attempt)

    study = new_study(tmp_path)
    first_cell = read_results(study).attempts[0].parameters
    assert work_off(study, broken)[0] is Ended.FINISHED
    results = read_results(study)
    (hole,) = results.holes
    assert (hole.cell, hole.attempt) == (0, 4)
    assert hole.failure is not None
    assert hole.failure["reason"].startswith("ZeroDivisionError: half of nothing\nTraceback")
    assert 'raise ZeroDivisionError("half of nothing")' in hole.failure["reason"]
    assert results.cells.complete == 7


def test_a_non_finite_loss_is_not_tried_again(tmp_path: Path) -> None:
    def diverging(attempt: Attempt) -> float:
        raise AttemptFailed(Failure("non_finite", "training loss is nan in epoch 1"))

    study = new_study(tmp_path)
    work_off(study, diverging)
    results = read_results(study)
    assert results.cells.failed == len(results.attempts) == 8
    assert results.attempts[0].failure == {"class": "non_finite", "reason": "training loss is nan in epoch 1"}


def test_a_very_long_error_fits_into_an_attribute(tmp_path: Path) -> None:
    def verbose(attempt: Attempt) -> float:
        raise ValueError("x" * 1_000_000)

    study = new_study(tmp_path)
    work_off(study, verbose, max_trials=1)
    failure = read_results(study).attempts[0].failure
    assert failure is not None
    assert 1_000 < len(failure["reason"]) < 64_000


def test_a_first_stop_drains_and_a_second_gives_the_cell_back_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mnist_tune.worker.signals.MOMENT", 0.0)
    stop = StopRequest()
    asked: list[bool] = []

    def interrupted(attempt: Attempt) -> float:
        stop._on_signal(15, None)
        asked.append(attempt.is_to_drain)
        attempt.check()  # asked once: the epoch may end
        stop._on_signal(2, None)
        attempt.check()
        raise AssertionError("goes on though asked twice")

    study = new_study(tmp_path)
    assert work(study, interrupted, stop) is Ended.STOPPED
    assert asked == [True]
    results = read_results(study)
    assert results.cells.waiting == 8
    assert results.attempts[0].failure == {
        "class": "preempted",
        "reason": "the worker was stopped by SIGINT",
    }


@pytest.mark.parametrize("limit", [1, 3])
def test_a_worker_on_which_trials_fail_in_a_row_leaves_the_rest_to_others(tmp_path: Path, limit: int) -> None:
    def broken(attempt: Attempt) -> float:
        raise OSError("no CUDA device")

    study = new_study(tmp_path, TINY_SPEC + f"[limits]\nfailures_in_a_row = {limit}\n")
    assert work_off(study, broken)[0] is Ended.FAILING
    assert len([attempt for attempt in read_results(study).attempts if attempt.failure]) == limit
    assert work_off(study, run_one_epoch)[0] is Ended.FINISHED
    assert read_results(study).cells.complete == 8


def test_a_loss_of_nan_does_not_count_against_the_machine(tmp_path: Path) -> None:
    def diverging(attempt: Attempt) -> float:
        raise AttemptFailed(Failure("non_finite", "nan"))

    study = new_study(tmp_path, TINY_SPEC + "[limits]\nfailures_in_a_row = 1\n")
    assert work_off(study, diverging)[0] is Ended.FINISHED


def test_cells_that_failed_elsewhere_too_do_not_count_against_the_machine(tmp_path: Path) -> None:
    def broken(attempt: Attempt) -> float:
        raise OSError("no CUDA device")

    study = new_study(tmp_path, TINY_SPEC + "[limits]\nfailures_in_a_row = 8\n")
    assert work_off(study, broken)[0] is Ended.FAILING  # each cell once
    assert work_off(study, broken)[0] is Ended.FINISHED  # and three times more
    assert len(read_results(study).holes) == 8


def test_a_worker_that_lost_its_lease_abandons_the_trial_and_goes_on(tmp_path: Path) -> None:
    study = new_study(tmp_path)

    def robbed(attempt: Attempt) -> float:
        if attempt.claim.number == 0:
            fail_behind_its_back(f"sqlite:///{tmp_path}/studies.db", attempt.claim.trial_id)
        return run_one_epoch(attempt)

    ended, lines = work_off(study, robbed)
    attempts = read_results(study).attempts
    assert ended is Ended.FINISHED
    assert (attempts[0].state, attempts[0].value, attempts[0].history) == ("failed", None, [])
    assert any("the lease is lost" in line for line in lines)
    assert not any("Traceback" in line for line in lines)


def test_a_worker_stands_by_while_others_run_the_last_cell_and_takes_it_when_it_comes_back(
    tmp_path: Path,
) -> None:
    study = new_study(tmp_path)
    busy = study.queue()
    claim = busy.claim("busy")
    assert claim is not None
    outcome: list[Ended] = []
    other = open_study(open_file(tmp_path), "tiny")
    standing_by = threading.Thread(target=lambda: outcome.append(work_off(other, run_one_epoch)[0]))
    standing_by.start()
    while read_results(study).cells.complete < 7:
        time.sleep(0.05)
    assert standing_by.is_alive()
    busy.give_back(claim, Failure("preempted", "drained"))
    standing_by.join(timeout=30)
    assert outcome == [Ended.FINISHED]
    assert read_results(study).cells.complete == 8


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_sampled_search_runs_exactly_its_number_of_trials(tmp_path: Path, sampler: str) -> None:
    study = new_study(tmp_path, SAMPLED_SPEC.format(sampler=sampler))
    work_off(study, run_one_epoch)
    trials = study.optuna_study().trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 6
    assert len({trial.params["learning_rate"] for trial in trials}) == 6
    assert all(1e-5 <= trial.params["learning_rate"] <= 1e-2 for trial in trials)


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_sampled_search_draws_the_same_with_one_worker(tmp_path: Path, sampler: str) -> None:
    draws = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        study = new_study(tmp_path / name, SAMPLED_SPEC.format(sampler=sampler))
        work_off(study, run_one_epoch)
        draws.append([trial.params for trial in study.optuna_study().trials])
    assert draws[0] == draws[1]


def test_a_tpe_search_learns_from_the_trials_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model_draws = []
    stock = TPESampler._sample

    def counting(self: TPESampler, *arguments: Any) -> Any:
        model_draws.append(arguments[1].number)
        return stock(self, *arguments)

    monkeypatch.setattr(TPESampler, "_sample", counting)
    study = new_study(tmp_path, SAMPLED_SPEC.format(sampler="tpe").replace("= 6", "= 14"))
    work_off(study, run_one_epoch)
    # Optuna's first 10 trials are random; from then on its model suggests.
    assert sorted(set(model_draws)) == [10, 11, 12, 13]


def test_a_worker_whose_study_is_deleted_says_so_and_leaves(tmp_path: Path) -> None:
    study = new_study(tmp_path)

    def deleting(attempt: Attempt) -> float:
        delete_study(open_study(open_file(tmp_path), "tiny"))
        return run_one_epoch(attempt)

    with pytest.raises(MnistTuneError, match="the study was deleted"):
        work_off(study, deleting)


def test_looking_at_a_study_that_was_deleted_says_so_even_if_it_was_made_again(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    create_study(study.storage, study.spec.named("other"))  # SQLite gives the last study's id out again
    delete_study(study)
    for _ in range(2):
        with pytest.raises(UserError, match="study 'tiny' has been deleted meanwhile"):
            read_results(study)
        create_study(study.storage, study.spec)


def test_a_retry_keeps_the_parameters_its_ticket_was_given(tmp_path: Path) -> None:
    study = new_study(tmp_path, SAMPLED_SPEC.format(sampler="random"))

    def broken_once(attempt: Attempt) -> float:
        value = run_one_epoch(attempt)
        if attempt.claim.number == 0:
            raise RuntimeError("once")
        return value

    work_off(study, broken_once)
    trials = study.optuna_study().trials
    assert len(trials) == 7
    assert trials[6].params == trials[0].params


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
    monkeypatch.setattr("mnist_tune.queue.lease.time", clock)
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
    monkeypatch.setattr("mnist_tune.queue.lease.time", clock)
    lease = Lease(grace_period=1.0)
    for _ in range(4):
        clock.seconds += 0.9
        lease.renew(lambda: None)
        lease.check()


def test_a_refused_write_loses_the_lease_at_once() -> None:
    def refused() -> None:
        raise UpdateFinishedTrialError

    lease = Lease(grace_period=60)
    with pytest.raises(LeaseLost):
        lease.renew(refused)
    with pytest.raises(LeaseLost):
        lease.check()


def test_the_workers_loop_fits_on_a_screen() -> None:
    import inspect

    assert len(inspect.getsource(Worker._loop).splitlines()) <= 30
