"""Studies that settle, and that [stop] stops or whose space is exhausted meanwhile."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mnist_tune.contract.claim import Claim, Standing
from mnist_tune.contract.study import Control, LeaseLost
from mnist_tune.queue.control import set_control
from mnist_tune.results.outcomes import Outcomes
from mnist_tune.results.reading import read_results
from mnist_tune.spec.growth import Amount, Growth
from mnist_tune.spec.revisions import Point
from mnist_tune.spec.rounds import Ending
from mnist_tune.study.direct import DirectStudy
from mnist_tune.study.extend import extend_study
from mnist_tune.study.open_study import OpenStudy
from tests.support.contract_calls import asked
from tests.support.settling_studies import (
    CLEAR,
    Value,
    broken,
    complete,
    made_value,
    rounds,
    run_through,
    worker_of,
)
from tests.support.studies import new_study, opened_again

SMALL = """
[study]
name = "tiny"

[search]
sampler = "random"
n_trials = {n_trials}
duplicates = "{duplicates}"

[search.space]
batch_size = [32, 64, 128]
optimizer = ["Adam", "SGD"]

{race}
"""
N_POINTS = 3 * 2
RACE = "[replicates]\nmax = 4\nof_top = 3\n[data]\ntrain_size = 2000\nvalidation_size = 2000"


def value(parameters: Mapping[str, Any]) -> float:
    """The larger the batch, the better, with a little noise of each seed."""
    noise = random.Random(repr(sorted(parameters.items()))).gauss(0, 0.1)
    return round(80 + int(parameters["batch_size"]) / 50 + noise, 2)


def run_to_the_end(worker: DirectStudy, of: Value) -> tuple[Standing, int]:
    """Complete all cells; why there are no more, and how many were not to be trained."""
    left = 0
    while isinstance(claim := asked(worker), Claim):
        try:
            complete(worker, claim, of)
        except LeaseLost:
            left += 1
    return claim, left


def points(study: OpenStudy) -> list[tuple[Any, ...]]:
    """The parameters of all cells, which the study has in this order."""
    return [tuple(sorted(one.parameters.items())) for one in read_results(opened_again(study)).latest]


def test_a_race_that_a_target_has_stopped_goes_on_with_resume(database: str, tmp_path: Path) -> None:
    study = new_study(tmp_path, f"{CLEAR}\n[stop]\ntarget = 95.0\n", database)
    worker, seen = worker_of(study, tmp_path), Outcomes()
    stops = 0
    while run_through(worker, made_value) is Standing.STOPPED:
        results, outcome = read_results(opened_again(study)), seen.now(opened_again(study))
        assert results.is_over
        assert not results.is_finished
        assert outcome.stopped == results.stopped
        assert not outcome.is_finished
        assert outcome.stopped is not None
        assert outcome.stopped.condition == "target"
        assert broken(study, tmp_path) == []
        set_control(study.storage, study.study_id, Control.RUNNING)
        stops += 1
    assert stops >= 2  # better ones came
    assert [one.ending for one in rounds(study)] == [None, Ending.BEST]
    outcome = seen.now(opened_again(study))
    assert outcome.is_finished
    assert outcome.stopped is None
    assert broken(study, tmp_path) == []


@pytest.mark.parametrize("duplicates", ["redraw", "reuse", "train"])
def test_one_more_seed_of_a_race_is_no_repeat(database: str, tmp_path: Path, duplicates: str) -> None:
    study = new_study(tmp_path, SMALL.format(n_trials=5, duplicates=duplicates, race=RACE), database)
    standing, taken_over = run_to_the_end(worker_of(study, tmp_path), value)
    assert standing is Standing.FINISHED
    results = read_results(opened_again(study))
    seeds = [one.parameters["seed"] for one in results.latest if one.reused is None]
    assert {1, 2} <= set(seeds)
    raced = [one for one in results.latest if one.parameters["seed"] > 0]
    assert all(one.reused is None for one in raced)
    if duplicates == "redraw":
        assert len(set(points(study))) == len(points(study))
    if duplicates != "reuse":
        assert taken_over == 0
    assert broken(study, tmp_path) == []


@pytest.mark.parametrize("n_more", [0, 4])
def test_the_best_of_a_space_that_is_exhausted_race(database: str, tmp_path: Path, n_more: int) -> None:
    text = SMALL.format(n_trials=N_POINTS + 2 - n_more, duplicates="redraw", race=RACE)
    study = new_study(tmp_path, text, database)
    worker, seen = worker_of(study, tmp_path), Outcomes()
    if n_more:
        assert run_to_the_end(worker, value)[0] is Standing.FINISHED
        extend_study(opened_again(study), Growth(n_trials=Amount(number=n_more, more=True)), "a" * 32)
        worker = worker_of(study, tmp_path)
    assert run_to_the_end(worker, value)[0] is Standing.FINISHED
    results = read_results(opened_again(study))
    assert results.spec.search.n_closed == 2
    assert len({point for point in points(study) if ("seed", 0) in point}) == N_POINTS
    assert results.is_finished
    assert results.race is not None
    assert results.race.ending is not None
    outcome = seen.now(opened_again(study))
    assert outcome.is_finished
    assert outcome.holes == []
    assert broken(study, tmp_path) == []


@pytest.mark.parametrize("duplicates", ["redraw", "reuse"])
def test_one_more_seed_that_a_person_gives_is_no_repeat(
    database: str, tmp_path: Path, duplicates: str
) -> None:
    study = new_study(tmp_path, SMALL.format(n_trials=N_POINTS, duplicates=duplicates, race=""), database)
    worker = worker_of(study, tmp_path)
    run_to_the_end(worker, lambda parameters: value({"seed": 0, **parameters}))
    more: list[Point] = [{"batch_size": 128, "optimizer": "Adam", "seed": seed} for seed in (1, 2)]
    extend_study(opened_again(study), Growth(points=more), "a" * 32)
    worker = worker_of(study, tmp_path)
    assert run_to_the_end(worker, value) == (Standing.FINISHED, 0)
    seeds = [
        one.parameters["seed"]
        for one in read_results(opened_again(study)).latest
        if one.reused is None and "seed" in one.parameters
    ]
    assert sorted(seeds) == [1, 2]
    assert broken(study, tmp_path) == []
