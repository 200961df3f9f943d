"""The worker's loop, with objectives that take no time: how every kind of attempt ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.samplers import TPESampler
from optuna.trial import Trial, TrialState
from sqlalchemy.exc import OperationalError

from mnist_tune.errors import MnistTuneError, UserError
from mnist_tune.failures import AttemptFailed, Failure
from mnist_tune.lease import Lease, LeaseLost
from mnist_tune.results import read_results
from mnist_tune.stop import StopRequest
from mnist_tune.studies import OpenStudy, create_study, delete_study, open_study
from mnist_tune.worker import Ended, Log, RunTrial, work
from tests.support import fail_behind_its_back, new_study, open_file

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


def toy(trial: Trial, on_batch: Callable[[], None], log: Log) -> float:
    """An objective of one batch."""
    on_batch()
    trial.report(50.0, 1)
    log("epoch 1")
    return 50.0 + trial.number


def work_off(study: OpenStudy, run_trial: RunTrial, max_trials: int | None = None) -> tuple[Ended, list[str]]:
    lines: list[str] = []
    return work(study, run_trial, StopRequest(), lines.append, max_trials), lines


def test_a_worker_leaves_when_every_cell_has_ended(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    ended, lines = work_off(study, toy)
    results = read_results(study)
    assert ended is Ended.FINISHED
    assert results.cells.complete == len(results.attempts) == 8
    assert results.best is not None
    assert results.best.value == 57.0
    assert "trial 7: complete: validation accuracy 57.00 %" in lines


def test_a_worker_leaves_after_as_many_trials_as_it_was_told(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    assert work_off(study, toy, max_trials=3)[0] is Ended.ENOUGH
    assert read_results(study).cells.waiting == 5


def test_an_extra_worker_on_a_finished_study_runs_nothing(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    work_off(study, toy)
    assert work_off(study, toy) == (Ended.FINISHED, [])
    assert len(read_results(study).attempts) == 8


def test_an_exception_is_retried_three_times_and_then_leaves_a_hole(tmp_path: Path) -> None:
    def broken(trial: Trial, on_batch: Callable[[], None], log: Log) -> float:
        if trial.params == first_cell:
            raise ZeroDivisionError("half of nothing")
        return toy(trial, on_batch, log)

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
    def diverging(trial: Trial, on_batch: Callable[[], None], log: Log) -> float:
        raise AttemptFailed(Failure("non_finite", "training loss is nan in epoch 1"))

    study = new_study(tmp_path)
    work_off(study, diverging)
    results = read_results(study)
    assert results.cells.failed == len(results.attempts) == 8
    assert results.attempts[0].failure == {"class": "non_finite", "reason": "training loss is nan in epoch 1"}


def test_a_very_long_error_fits_into_an_attribute(tmp_path: Path) -> None:
    def verbose(trial: Trial, on_batch: Callable[[], None], log: Log) -> float:
        raise ValueError("x" * 1_000_000)

    study = new_study(tmp_path)
    work_off(study, verbose, max_trials=1)
    failure = read_results(study).attempts[0].failure
    assert failure is not None
    assert 1_000 < len(failure["reason"]) < 64_000


def test_a_stop_request_gives_the_cell_back_at_the_next_batch(tmp_path: Path) -> None:
    stop = StopRequest()

    def interrupted(trial: Trial, on_batch: Callable[[], None], log: Log) -> float:
        stop._on_signal(15, None)
        return toy(trial, on_batch, log)

    study = new_study(tmp_path)
    assert work(study, interrupted, stop, print) is Ended.STOPPED
    results = read_results(study)
    assert results.cells.waiting == 8
    assert results.attempts[0].failure == {
        "class": "preempted",
        "reason": "the worker was stopped by SIGTERM",
    }


def test_a_worker_that_lost_its_lease_abandons_the_trial_and_goes_on(tmp_path: Path) -> None:
    study = new_study(tmp_path)

    def robbed(trial: Trial, on_batch: Callable[[], None], log: Log) -> float:
        if trial.number == 0:
            fail_behind_its_back(f"sqlite:///{tmp_path}/studies.db", trial._trial_id)
        return toy(trial, on_batch, log)

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
    standing_by = threading.Thread(target=lambda: outcome.append(work_off(other, toy)[0]))
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
    work_off(study, suggesting(study))
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
        work_off(study, suggesting(study))
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
    work_off(study, suggesting(study))
    # Optuna's first 10 trials are random; from then on its model suggests.
    assert sorted(set(model_draws)) == [10, 11, 12, 13]


def test_a_worker_whose_study_is_deleted_says_so_and_leaves(tmp_path: Path) -> None:
    study = new_study(tmp_path)

    def deleting(trial: Trial, on_batch: Callable[[], None], log: Log) -> float:
        delete_study(open_study(open_file(tmp_path), "tiny"))
        return toy(trial, on_batch, log)

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
    suggest = suggesting(study)

    def broken_once(trial: Trial, on_batch: Callable[[], None], log: Log) -> float:
        value = suggest(trial, on_batch, log)
        if trial.number == 0:
            raise RuntimeError("once")
        return value

    work_off(study, broken_once)
    trials = study.optuna_study().trials
    assert len(trials) == 7
    assert trials[6].params == trials[0].params


def suggesting(study: OpenStudy) -> RunTrial:
    from mnist_tune.objective import suggest
    from mnist_tune.search import distributions

    def run_trial(trial: Trial, on_batch: Callable[[], None], log: Log) -> float:
        for name, distribution in distributions(study.spec).items():
            suggest(trial, name, distribution)
        return toy(trial, on_batch, log)

    return run_trial


def test_a_heartbeat_outlives_storage_errors() -> None:
    beats = 0

    def beat() -> None:
        nonlocal beats
        beats += 1
        if beats < 5:
            raise OperationalError("UPDATE", {}, Exception("database is locked"))

    with Lease(beat, interval=0.01, grace_period=30) as lease:
        while beats < 10:
            time.sleep(0.01)
        lease.check()


def test_a_lease_that_could_not_be_renewed_for_the_grace_period_is_lost() -> None:
    def unreachable() -> None:
        raise OperationalError("UPDATE", {}, Exception("server closed the connection"))

    with Lease(unreachable, interval=0.05, grace_period=0.5) as lease:
        lease.check()
        time.sleep(0.7)
        with pytest.raises(LeaseLost):
            lease.check()


def test_a_refused_heartbeat_loses_the_lease_at_once() -> None:
    def refused() -> None:
        raise UpdateFinishedTrialError

    def check_for_a_while(lease: Lease) -> None:
        for _ in range(3_000):
            lease.check()
            time.sleep(0.01)

    with Lease(refused, interval=0.01, grace_period=60) as lease, pytest.raises(LeaseLost):
        check_for_a_while(lease)


def test_the_workers_loop_fits_on_a_screen() -> None:
    import inspect

    assert len(inspect.getsource(work).splitlines()) <= 40
