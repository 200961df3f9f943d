"""The worker's loop, with objectives that take no time: how every kind of attempt ends."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from mnist_tune.errors import MnistTuneError, UserError
from mnist_tune.failures import AttemptFailed, Failure
from mnist_tune.results.reading import read_results
from mnist_tune.study.delete import delete_study
from mnist_tune.study.store import create_study, open_study
from mnist_tune.worker.loop import Ended, Worker
from mnist_tune.worker.signals import StopRequest
from mnist_tune.worker.trial import Trial
from tests.support.specs import TINY_SPEC
from tests.support.studies import fail_behind_its_back, new_study, open_file, work
from tests.support.worked_off import run_one_epoch, work_off


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


@pytest.mark.slow
def test_an_extra_worker_on_a_finished_study_runs_nothing(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    work_off(study, run_one_epoch)
    assert work_off(study, run_one_epoch) == (Ended.FINISHED, ["leaving: the study is finished"])
    assert len(read_results(study).attempts) == 8


def test_an_exception_is_retried_three_times_and_then_leaves_a_hole(tmp_path: Path) -> None:
    def broken(trial: Trial) -> float:
        if trial.parameters == first_cell:
            raise ZeroDivisionError("half of nothing")
        return run_one_epoch(trial)

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
    def diverging(trial: Trial) -> float:
        raise AttemptFailed(Failure("non_finite", "training loss is nan in epoch 1"))

    study = new_study(tmp_path)
    work_off(study, diverging)
    results = read_results(study)
    assert results.cells.failed == len(results.attempts) == 8
    assert results.attempts[0].failure == {"class": "non_finite", "reason": "training loss is nan in epoch 1"}


def test_a_very_long_error_fits_into_an_attribute(tmp_path: Path) -> None:
    def verbose(trial: Trial) -> float:
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

    def interrupted(trial: Trial) -> float:
        stop._on_signal(15, None)
        asked.append(trial.is_to_drain)
        trial.check()  # asked once: the epoch may end
        stop._on_signal(2, None)
        trial.check()
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
    def broken(trial: Trial) -> float:
        raise OSError("no CUDA device")

    study = new_study(tmp_path, TINY_SPEC + f"[limits]\nfailures_in_a_row = {limit}\n")
    assert work_off(study, broken)[0] is Ended.FAILING
    assert len([attempt for attempt in read_results(study).attempts if attempt.failure]) == limit
    assert work_off(study, run_one_epoch)[0] is Ended.FINISHED
    assert read_results(study).cells.complete == 8


def test_a_loss_of_nan_does_not_count_against_the_machine(tmp_path: Path) -> None:
    def diverging(trial: Trial) -> float:
        raise AttemptFailed(Failure("non_finite", "nan"))

    study = new_study(tmp_path, TINY_SPEC + "[limits]\nfailures_in_a_row = 1\n")
    assert work_off(study, diverging)[0] is Ended.FINISHED


def test_cells_that_failed_elsewhere_too_do_not_count_against_the_machine(tmp_path: Path) -> None:
    def broken(trial: Trial) -> float:
        raise OSError("no CUDA device")

    study = new_study(tmp_path, TINY_SPEC + "[limits]\nfailures_in_a_row = 8\n")
    assert work_off(study, broken)[0] is Ended.FAILING  # each cell once
    assert work_off(study, broken)[0] is Ended.FINISHED  # and three times more
    assert len(read_results(study).holes) == 8


def test_a_worker_that_lost_its_lease_abandons_the_trial_and_goes_on(tmp_path: Path) -> None:
    study = new_study(tmp_path)

    def robbed(trial: Trial) -> float:
        if trial.claim.number == 0:
            fail_behind_its_back(f"sqlite:///{tmp_path}/studies.db", trial.claim.trial_id)
        return run_one_epoch(trial)

    ended, lines = work_off(study, robbed)
    attempts = read_results(study).attempts
    assert ended is Ended.FINISHED
    assert (attempts[0].state, attempts[0].value, attempts[0].history) == ("failed", None, [])
    assert any("the lease is lost" in line for line in lines)
    assert not any("Traceback" in line for line in lines)


@pytest.mark.slow
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


def test_a_worker_whose_study_is_deleted_says_so_and_leaves(tmp_path: Path) -> None:
    study = new_study(tmp_path)

    def deleting(trial: Trial) -> float:
        delete_study(open_study(open_file(tmp_path), "tiny"))
        return run_one_epoch(trial)

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


def test_the_workers_loop_fits_on_a_screen() -> None:
    import inspect

    assert len(inspect.getsource(Worker._loop).splitlines()) <= 30
