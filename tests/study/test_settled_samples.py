"""A sampled search with [replicates]: its best trials race with seeds that have not chosen them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mnist_tune.contract.claim import Claim, Standing
from mnist_tune.contract.study import new_token
from mnist_tune.failures import Failure
from mnist_tune.results.reading import read_results
from mnist_tune.spec.growth import Amount, Growth
from mnist_tune.spec.revisions import Point
from mnist_tune.spec.rounds import Ending
from mnist_tune.study.extend import extend_study
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.retry import put_back_holes
from mnist_tune.study.store import create_study
from tests.support.contract_calls import ME
from tests.support.damaging_sql import change_database
from tests.support.settling_studies import broken, complete, rounds, run_through, worker_of
from tests.support.specs import SAMPLED_SPEC, tiny_spec
from tests.support.studies import new_study, opened_again

RACE = """
[replicates]
max = 5
of_top = 3

[data]
train_size = 2000
validation_size = 2000
"""
SPEC = SAMPLED_SPEC.format(n_trials=10) + RACE
NO_NUMBER = Failure("non_finite", "the loss is nan")


@pytest.fixture
def study(database: str, tmp_path: Path) -> OpenStudy:
    """Ten trials, of which the best three race."""
    return new_study(tmp_path, SPEC, database)


def value(parameters: Mapping[str, Any]) -> float:
    """The larger the batch, the better, with a little noise of each seed."""
    noise = random.Random(repr(sorted(parameters.items()))).gauss(0, 0.1)
    return round(80 + int(parameters["batch_size"]) / 50 + noise, 2)


def seeds_of(study: OpenStudy) -> dict[tuple[int, float], list[int]]:
    """The seeds of each configuration, which is known by its batch size and learning rate here."""
    found: dict[tuple[int, float], list[int]] = {}
    for trial in study.storage.get_all_trials(study.study_id):
        key = trial.params["batch_size"], trial.params["learning_rate"]
        found.setdefault(key, []).append(trial.params["seed"])
    return {size: sorted(seeds) for size, seeds in sorted(found.items(), reverse=True)}


def chosen(study: OpenStudy) -> list[tuple[int, int]]:
    """Among how many trials each choice was, and how many were chosen."""
    revisions = opened_again(study).spec.search.revisions or []
    made = [one.race for one in revisions if one.race is not None and one.race.explored]
    return [(one.explored, len(one.chosen)) for one in made]


def test_the_best_race_with_new_seeds_until_one_is_best(study: OpenStudy, tmp_path: Path) -> None:
    worker = worker_of(study, tmp_path)
    run_through(worker, value, most=10)
    assert list(seeds_of(study).values()) == [[0]] * 10
    assert not read_results(opened_again(study)).is_finished
    assert run_through(worker, value) is Standing.FINISHED
    assert chosen(study) == [(10, 3)]
    assert rounds(study)[-1].ending is Ending.BEST
    first, *others = seeds_of(study).values()
    assert first[:3] == [0, 1, 2]
    assert [len(seeds) > 1 for seeds in others] == [True, True] + [False] * 7
    places = read_results(opened_again(study)).ranking
    assert [place.verdict for place in places] == ["best", "behind", "behind"] + ["not judged"] * 7
    assert broken(study, tmp_path) == []
    assert not create_study(study.storage, tiny_spec(tmp_path, SPEC))


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["tpe", "gp", "cmaes", "qmc"])
def test_no_sampler_draws_seeds(tmp_path: Path, sampler: str) -> None:
    study = new_study(tmp_path, SPEC.replace('"random"', f'"{sampler}"'))
    worker = worker_of(study, tmp_path)
    assert run_through(worker, value) is Standing.FINISHED
    extend_study(opened_again(study), Growth(n_trials=Amount(number=3, more=True)), new_token())
    assert run_through(worker, value, most=3) is None
    drawn = [trial.params["seed"] for trial in study.storage.get_all_trials(study.study_id)[-3:]]
    assert drawn == [0, 0, 0]
    assert run_through(worker, value) is Standing.FINISHED
    assert broken(study, tmp_path) == []


def test_more_trials_join_a_race_that_has_ended_if_they_are_among_the_best(
    study: OpenStudy, tmp_path: Path
) -> None:
    worker = worker_of(study, tmp_path)
    run_through(worker, value)
    best: Point = {"learning_rate": 0.01, "batch_size": 512, "optimizer": "Adam"}
    extend_study(opened_again(study), Growth(points=[best]), new_token())
    assert run_through(worker, value) is Standing.FINISHED
    assert chosen(study) == [(10, 3), (11, 1)]
    assert len(seeds_of(study)[512, 0.01]) > 2
    assert rounds(study)[-1].ending is Ending.BEST
    worst: Point = {"learning_rate": 0.01, "batch_size": 16, "optimizer": "Adam"}
    extend_study(opened_again(study), Growth(points=[worst]), new_token())
    assert run_through(worker, value) is Standing.FINISHED
    assert chosen(study)[2:] == [(12, 0)]
    assert seeds_of(study)[16, 0.01] == [0]
    assert broken(study, tmp_path) == []


def test_pruned_and_failed_trials_are_not_chosen(database: str, tmp_path: Path) -> None:
    study = new_study(tmp_path, SPEC + '\n[pruner]\nname = "median"\n\n[retry]\nnon_finite = 0\n', database)
    worker = worker_of(study, tmp_path)
    ended = 0
    while isinstance(claim := worker.claim(ME, new_token()), Claim):
        parameters = worker.parameters(claim)
        if ended == 0:
            worker.give_back(claim, NO_NUMBER, {})
        elif ended < 8:
            worker.prune(claim, value(parameters), {"reports": {1: 99.0}})
        else:
            complete(worker, claim, value)
        ended += 1
    assert claim is Standing.FINISHED
    assert chosen(study) == [(10, 2)]
    put_back_holes(opened_again(study))
    assert run_through(worker, value) is Standing.FINISHED
    assert chosen(study) == [(10, 2)]
    assert broken(study, tmp_path) == []


def test_a_seed_that_a_person_has_given_is_not_given_again(database: str, tmp_path: Path) -> None:
    best = 'learning_rate = 0.01, batch_size = 512, optimizer = "Adam"'
    points = f"enqueue = [{{{best}}}, {{{best}, seed = 1}}]"
    study = new_study(tmp_path, SPEC.replace("\n[search.space]", f"{points}\n\n[search.space]"), database)
    assert run_through(worker_of(study, tmp_path), value) is Standing.FINISHED
    assert seeds_of(study)[512, 0.01][:3] == [0, 1, 2]
    assert rounds(study)[-1].ending is not None
    assert broken(study, tmp_path) == []


@pytest.mark.parametrize("name", ["seed", "learning_rate"])
def test_a_trial_of_which_a_parameter_is_gone_takes_no_part(tmp_path: Path, name: str) -> None:
    study = new_study(tmp_path, SPEC)
    worker = worker_of(study, tmp_path)
    run_through(worker, value, most=10)
    best = max(study.storage.get_all_trials(study.study_id), key=lambda trial: trial.params["batch_size"])
    change_database(
        tmp_path,
        f"DELETE FROM trial_params WHERE trial_id = {best.number + 1} AND param_name = '{name}'",
    )
    told = read_results(opened_again(study)).race
    assert told is not None
    assert list(told.lines()) == ["race: the best 3 trials take part when all have ended"]
    assert run_through(worker, value) is Standing.FINISHED
    raced = [trial.params for trial in study.storage.get_all_trials(study.study_id)[10:]]
    assert raced
    assert best.params["batch_size"] not in {params["batch_size"] for params in raced}
    assert read_results(opened_again(study)).race is not None
