"""What has come of a study with a race over seeds, read trial by trial: it ends when its race has ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_tune.contract.claim import Standing
from mnist_tune.results.outcomes import Outcomes
from mnist_tune.results.reading import read_results
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.settle import Settling, settle
from tests.support.settling_studies import (
    CLEAR,
    MEANS,
    Value,
    alike_value,
    made_value,
    run_through,
    worker_of,
)
from tests.support.studies import new_study, opened_again


@pytest.fixture
def study(database: str, tmp_path: Path) -> OpenStudy:
    return new_study(tmp_path, CLEAR, database)


@pytest.mark.parametrize("value", [made_value, alike_value])
def test_it_is_finished_when_its_race_has_ended_and_its_best_is_that_of_the_race(
    study: OpenStudy, tmp_path: Path, value: Value
) -> None:
    worker, seen = worker_of(study, tmp_path), Outcomes()
    outcome = seen.now(opened_again(study))
    while not outcome.is_finished:
        came = run_through(worker, value, most=1)
        outcome, results = seen.now(opened_again(study)), read_results(opened_again(study))
        assert outcome.is_finished == results.is_finished
        assert (outcome.best and outcome.best.parameters) == (results.best and results.best.parameters)
        if came is Standing.FINISHED:
            assert outcome.is_finished
    assert outcome.best is not None
    if value is made_value:
        assert outcome.best.parameters["learning_rate"] == max(MEANS, key=MEANS.__getitem__)


def test_a_judgement_that_adds_no_cell_is_seen_although_no_trial_has_changed(
    study: OpenStudy, tmp_path: Path
) -> None:
    worker, seen = worker_of(study, tmp_path), Outcomes()
    while not run_through(worker, made_value, most=1):
        outcome = seen.now(opened_again(study))
        assert outcome.may_change_unseen == (not read_results(opened_again(study)).cells.waiting)
        assert not outcome.is_finished
    assert settle(opened_again(study)) is Settling.NOTHING
    outcome = seen.now(opened_again(study))
    assert outcome.is_finished
    assert not outcome.may_change_unseen
