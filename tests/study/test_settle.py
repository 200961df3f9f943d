"""A study with [replicates] settles: rounds are judged and added once, whoever works on it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from mnist_tune.contract.claim import Claim, Standing
from mnist_tune.contract.study import Control, new_token
from mnist_tune.failures import Failure
from mnist_tune.queue.control import set_control
from mnist_tune.results.reading import read_results
from mnist_tune.spec.rounds import Ending
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.retry import put_back_holes
from mnist_tune.study.settle import Settling, settle
from tests.support.contract_calls import ME, asked, taken
from tests.support.settling_studies import (
    CLEAR,
    MEANS,
    SETTLING_SPEC,
    alike_value,
    broken,
    complete,
    made_value,
    rounds,
    run_through,
    seeds_by_rate,
    worker_of,
)
from tests.support.studies import new_study, opened_again, states

NO_NUMBER = Failure("non_finite", "the loss is nan")


@pytest.fixture
def study(database: str, tmp_path: Path) -> OpenStudy:
    """Three configurations, clearly apart, with two seeds each."""
    return new_study(tmp_path, CLEAR, database)


def test_a_study_settles_on_the_best_and_gives_the_others_no_more_seeds(
    study: OpenStudy, tmp_path: Path
) -> None:
    assert seeds_by_rate(study) == {rate: [0, 1] for rate in MEANS}
    assert run_through(worker_of(study, tmp_path), made_value) is Standing.FINISHED
    assert [(one.seeds, len(one.out), one.ending) for one in rounds(study)] == [
        (2, 1, None),
        (3, 1, Ending.BEST),
    ]
    seeds = seeds_by_rate(study)
    assert seeds == {0.1: [0, 1], 0.01: [0, 1, 2], 0.001: [0, 1, 2]}
    results = read_results(opened_again(study))
    assert results.is_finished
    assert [(place.candidate.parameters["learning_rate"], place.verdict) for place in results.ranking] == [
        (0.01, "best"),
        (0.001, "behind"),
        (0.1, "behind"),
    ]
    assert states(study) == [TrialState.COMPLETE] * sum(map(len, seeds.values()))
    assert broken(study, tmp_path) == []


def test_what_cannot_be_told_apart_is_tied_at_the_last_seed(study: OpenStudy, tmp_path: Path) -> None:
    assert run_through(worker_of(study, tmp_path), alike_value) is Standing.FINISHED
    assert [one.ending for one in rounds(study)] == [None] * 4 + [Ending.TIED]
    assert seeds_by_rate(study) == {rate: list(range(6)) for rate in MEANS}
    assert {place.verdict for place in read_results(opened_again(study)).ranking[1:]} == {"tied"}
    assert broken(study, tmp_path) == []


def test_differences_that_do_not_matter_end_a_race(database: str, tmp_path: Path) -> None:
    study = new_study(tmp_path, SETTLING_SPEC.format(indifference=60.0), database)
    assert run_through(worker_of(study, tmp_path), lambda cell: 90.0 + cell["seed"]) is Standing.FINISHED
    assert [one.ending for one in rounds(study)] == [Ending.EQUAL]
    assert "equal for every purpose, within 60 points" in " ".join(read_results(opened_again(study)).evidence)


def test_many_that_finish_at_once_add_one_round(study: OpenStudy, tmp_path: Path) -> None:
    workers = [worker_of(study, tmp_path) for _ in range(6)]
    claims = [taken(worker) for worker in workers]
    for worker, claim in zip(workers, claims, strict=True):
        complete(worker, claim, alike_value)
    with ThreadPoolExecutor(len(workers)) as threads:
        found = list(threads.map(lambda worker: worker.claim(ME, new_token()), workers))
    assert sum(isinstance(one, Claim) for one in found) == 3
    assert sum(one is Standing.OPEN for one in found) == 3
    assert len(rounds(study)) == 1
    assert seeds_by_rate(study) == {rate: [0, 1, 2] for rate in MEANS}
    assert broken(study, tmp_path) == []


def test_many_workers_settle_a_study_together(study: OpenStudy, tmp_path: Path) -> None:
    def work_on(value: Callable[[Any], float]) -> None:
        worker = worker_of(study, tmp_path)
        while run_through(worker, value) is not Standing.FINISHED:
            pass

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work_on, [alike_value] * 4))
    assert states(study) == [TrialState.COMPLETE] * 18
    assert broken(study, tmp_path) == []


def test_who_waits_takes_up_the_new_cells(study: OpenStudy, tmp_path: Path) -> None:
    first, waiting = worker_of(study, tmp_path), worker_of(study, tmp_path)
    run_through(first, alike_value, most=5)
    last = taken(first)
    assert waiting.claim(ME, new_token()) is Standing.OPEN
    complete(first, last, alike_value)  # and dies before it judges
    claim = taken(waiting)
    assert waiting.parameters(claim)["seed"] == 2


def test_who_starts_when_a_round_is_due_finds_work(study: OpenStudy, tmp_path: Path) -> None:
    run_through(worker_of(study, tmp_path), alike_value, most=6)
    assert worker_of(study, tmp_path).standing() is Standing.OPEN
    assert len(rounds(study)) == 1
    assert run_through(worker_of(study, tmp_path), alike_value) is Standing.FINISHED
    assert worker_of(study, tmp_path).standing() is Standing.FINISHED
    assert len(rounds(study)) == 5


@pytest.mark.parametrize("control", [Control.PAUSED, Control.CANCELLED])
def test_a_study_that_is_held_up_goes_on_with_its_race_later(
    study: OpenStudy, tmp_path: Path, control: Control
) -> None:
    worker = worker_of(study, tmp_path)
    run_through(worker, alike_value, most=6)
    set_control(study.storage, study.study_id, control)
    assert asked(worker) is {Control.PAUSED: Standing.PAUSED, Control.CANCELLED: Standing.CANCELLED}[control]
    set_control(study.storage, study.study_id, Control.RUNNING)
    assert run_through(worker, alike_value) is Standing.FINISHED
    assert rounds(study)[-1].ending is Ending.TIED


def test_a_study_is_not_finished_until_its_race_is_over(study: OpenStudy, tmp_path: Path) -> None:
    run_through(worker_of(study, tmp_path), alike_value, most=6)
    results = read_results(opened_again(study))
    assert (results.cells.complete, results.cells.total, results.is_finished) == (6, 6, False)
    assert settle(opened_again(study)) is Settling.CELLS
    assert settle(opened_again(study)) is Settling.CELLS  # nothing is due: cells wait
    assert read_results(opened_again(study)).cells.total == 9


def test_a_hole_is_left_out_and_a_later_retry_changes_no_judgement(study: OpenStudy, tmp_path: Path) -> None:
    worker = worker_of(study, tmp_path)
    hole = taken(worker)
    worker.give_back(hole, NO_NUMBER, {})
    assert run_through(worker, made_value) is Standing.FINISHED
    before = rounds(study)
    assert before[0].missing != []
    assert put_back_holes(opened_again(study)).numbers == [hole.number]
    assert not read_results(opened_again(study)).is_finished
    assert run_through(worker, made_value) is Standing.FINISHED
    assert rounds(study) == before
    assert broken(study, tmp_path) == []


def test_a_configuration_without_a_value_is_out(study: OpenStudy, tmp_path: Path) -> None:
    worker = worker_of(study, tmp_path)

    def run_or_fail(rate: float) -> Standing:
        while isinstance(claim := worker.claim(ME, new_token()), Claim):
            if worker.parameters(claim)["learning_rate"] == rate:
                worker.give_back(claim, NO_NUMBER, {})
            else:
                complete(worker, claim, made_value)
        return claim

    assert run_or_fail(0.1) is Standing.FINISHED
    assert len(rounds(study)[0].dropped) == 1
    assert seeds_by_rate(study)[0.1] == [0, 1]
    # All that has failed comes back, and the race is over all the same.
    put_back_holes(opened_again(study))
    assert run_through(worker, made_value) is Standing.FINISHED
    verdicts = {
        place.candidate.parameters["learning_rate"]: place.verdict
        for place in read_results(opened_again(study)).ranking
    }
    assert verdicts == {0.01: "best", 0.001: "behind", 0.1: "not judged"}
    assert broken(study, tmp_path) == []


def test_where_nothing_has_a_value_nothing_is_judged(study: OpenStudy, tmp_path: Path) -> None:
    worker = worker_of(study, tmp_path)
    while isinstance(claim := worker.claim(ME, new_token()), Claim):
        worker.give_back(claim, NO_NUMBER, {})
    assert claim is Standing.FINISHED
    assert rounds(study) == []
    assert read_results(opened_again(study)).is_finished
    put_back_holes(opened_again(study))
    assert run_through(worker, made_value) is Standing.FINISHED
    assert rounds(study)[-1].ending is Ending.BEST
    assert broken(study, tmp_path) == []


def test_a_pruned_configuration_is_out(database: str, tmp_path: Path) -> None:
    study = new_study(tmp_path, CLEAR + '\n[pruner]\nname = "median"\n', database)
    worker = worker_of(study, tmp_path)
    while isinstance(claim := worker.claim(ME, new_token()), Claim):
        if worker.parameters(claim) == {"learning_rate": 0.01, "seed": 1}:
            worker.prune(claim, 99.0, {"reports": {1: 99.0}})
        else:
            complete(worker, claim, alike_value)
    assert claim is Standing.FINISHED
    assert len(rounds(study)[0].dropped) == 1
    assert seeds_by_rate(study)[0.01] == [0, 1]
    assert seeds_by_rate(study)[0.1] == list(range(6))
    assert broken(study, tmp_path) == []


def test_a_race_in_which_all_are_pruned_is_over_and_says_so(database: str, tmp_path: Path) -> None:
    study = new_study(tmp_path, CLEAR + '\n[pruner]\nname = "median"\n', database)
    worker = worker_of(study, tmp_path)
    run_through(worker, alike_value, most=6)
    while isinstance(claim := worker.claim(ME, new_token()), Claim):
        worker.parameters(claim)
        worker.prune(claim, 50.0, {"reports": {1: 50.0}})
    assert claim is Standing.FINISHED
    results = read_results(opened_again(study))
    assert results.race is not None
    told = "race over after 2 seeds: no configuration is left: those still in were pruned or have no value"
    assert list(results.race.lines()) == [told]
    assert (results.race.n_still_in, results.race.seeds_expected, results.is_finished) == (0, None, True)
    assert (results.race.short, results.ranking) == ("race over, none left", [])
    assert broken(study, tmp_path) == []
