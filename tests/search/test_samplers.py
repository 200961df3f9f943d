"""Sampled searches: the same draws with one worker, exact counts with many, and what the samplers look at."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState, create_trial

from mnist_tune.errors import UserError
from mnist_tune.failures import AttemptFailed, Failure
from mnist_tune.search.history import LearntFrom
from mnist_tune.search.samplers import sampler
from mnist_tune.storage.keys import CELL
from mnist_tune.storage.optuna_sampling import RetoldCmaEsSampler
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.worker.trial import Trial
from tests.support.made_studies.epochs import made_epoch
from tests.support.specs import tiny_spec
from tests.support.studies import new_study, opened_again, take, work

SEARCH = """
[study]
name = "tiny"

[search]
sampler = "{sampler}"
n_trials = {n_trials}

[search.space]
learning_rate = {{low = 1e-5, high = 1e-1, log = true}}
seed = {{low = 0, high = 1000}}
optimizer = ["Adam", "SGD"]
batch_size = {{low = 16, high = 512, log = true, when = {{optimizer = "SGD"}}}}

[training]
epochs = 3
"""
HALVING = '[pruner]\nname = "successive_halving"\nmin_resource = 1\nreduction_factor = 2\n'
LEARNING = ["tpe", pytest.param("gp", marks=pytest.mark.slow), "cmaes"]


def toy(trial: Trial) -> float:
    """The best learning rate is 0.001, Adam is better than SGD."""
    parameters = trial.parameters
    reached: float = (
        90 - 5 * abs(math.log10(parameters["learning_rate"]) + 3) - 2 * (parameters["optimizer"] == "SGD")
    )
    for number in (1, 2, 3):
        trial.epoch_done(made_epoch(number, reached - 3 + number), last=number == 3)
    return reached


def searched(folder: Path, name: str, table: str = "", n_trials: int = 16) -> OpenStudy:
    folder.mkdir(exist_ok=True)
    return new_study(folder, SEARCH.format(sampler=name, n_trials=n_trials) + table)


def ended(study: OpenStudy) -> list[Any]:
    return [(trial.state, trial.params, trial.value) for trial in study.optuna_study().trials]


@pytest.mark.slow
@pytest.mark.parametrize("table", [pytest.param("", marks=pytest.mark.slow), HALVING])
@pytest.mark.parametrize("name", ["random", "qmc", *LEARNING])
def test_one_worker_draws_the_same_in_two_studies(tmp_path: Path, name: str, table: str) -> None:
    one, two = (searched(tmp_path / folder, name, table) for folder in ("one", "two"))
    work(one, toy)
    for max_trials in (5, None):  # also if it is another process that goes on
        work(opened_again(two), toy, max_trials=max_trials)
    assert ended(one) == ended(two)
    assert {state for state, _, _ in ended(one)} <= {TrialState.COMPLETE, TrialState.PRUNED}
    assert len(ended(one)) == 16


@pytest.mark.slow
@pytest.mark.parametrize("name", LEARNING)
def test_a_sampler_that_learns_ends_nearer_to_the_best(tmp_path: Path, name: str) -> None:
    study = searched(tmp_path, name, n_trials=40)
    work(study, toy)
    values = [trial.value or 0.0 for trial in study.optuna_study().trials]
    assert sum(values[-10:]) / 10 > sum(values[:10]) / 10 + 1


@pytest.mark.slow
@pytest.mark.parametrize("name", LEARNING)
def test_two_trials_at_the_same_time_get_other_points(tmp_path: Path, name: str) -> None:
    study = searched(tmp_path, name, n_trials=24)
    work(study, toy, max_trials=16)
    queue, guide = study.queue(), study.guide()
    rates = [guide.parameters(take(queue))["learning_rate"] for _ in range(8)]
    assert len(set(rates)) == 8


def test_cma_es_learns_without_a_pickle_in_the_storage(tmp_path: Path) -> None:
    study = searched(tmp_path, "cmaes", n_trials=20)
    work(study, toy)
    trials = study.optuna_study().trials
    generations = [trial.system_attrs.get("cma:generation") for trial in trials]
    assert max(generation or 0 for generation in generations) >= 2
    assert not [key for trial in trials for key in trial.system_attrs if "optimizer" in key]


def test_cma_es_tells_what_stock_tells(tmp_path: Path) -> None:
    """Check that the recomputed distribution equals the one that stock would have stored as a pickle."""
    study = searched(tmp_path, "cmaes", n_trials=13)
    work(study, toy)
    ours = sampler(study.spec, 13)
    assert isinstance(ours, RetoldCmaEsSampler)
    anew = ours._restore_optimizer(study.optuna_study().trials)
    told = sampler(study.spec, 13)
    assert isinstance(told, RetoldCmaEsSampler)
    from optuna._transform import _SearchSpaceTransform
    from optuna.study import StudyDirection

    space = _SearchSpaceTransform(told._ranges, transform_0_1=True)
    kept = told._init_optimizer(space, StudyDirection.MAXIMIZE)
    told_so_far: list[Any] = []
    for trial in study.optuna_study().trials:  # as each ends
        if trial.system_attrs.get("cma:generation") == kept.generation:
            told_so_far.append((space.transform(trial.params), -(trial.value or 0.0)))
        if len(told_so_far) == kept.population_size:
            kept.tell(told_so_far)
            told_so_far = []
    assert anew.generation == kept.generation > 0
    assert anew._mean.tolist() == kept._mean.tolist()
    assert anew._C.tolist() == kept._C.tolist()


def test_samplers_and_pruners_do_not_see_failed_attempts_nor_waiting_tickets(tmp_path: Path) -> None:
    study = searched(tmp_path, "tpe", n_trials=6)

    def first_fails(trial: Trial) -> float:
        if trial.claim.number == 0:
            raise AttemptFailed(Failure("lost", "killed"))
        return toy(trial)

    work(study, first_fails, max_trials=3)
    seen = LearntFrom(study.storage, study.study_id)
    assert [trial.number for trial in seen.get_all_trials()] == [1, 2]
    work(study, toy)
    assert [trial.number for trial in seen.get_all_trials()] == [1, 2, 3, 4, 5, 6]
    running = create_trial(state=TrialState.RUNNING, system_attrs={CELL: 5})
    study.storage.create_new_trial(study.study_id, running)
    assert [trial.number for trial in seen.get_all_trials(states=(TrialState.RUNNING,))] == [7]
    assert len(seen.get_all_trials(states=(TrialState.COMPLETE,))) == 6


@pytest.mark.slow
def test_what_has_ended_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = searched(tmp_path, "random", n_trials=6)
    work(study, toy, max_trials=4)
    seen = LearntFrom(study.storage, study.study_id)
    before = seen.get_all_trials()
    asked: list[int] = []
    stock = study.storage._get_trials

    def noted(study_id: int, states: Any, included: set[int], above: int) -> Any:
        asked.append(len(included))
        return stock(study_id, states, included, above)

    monkeypatch.setattr(study.storage, "_get_trials", noted)
    work(study, toy, max_trials=1)
    assert [now is then for now, then in zip(seen.get_all_trials(), before, strict=False)] == [True] * 4
    assert asked[-1] == 1


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (
            'sampler = "cmaes"\nn_trials = 5\n[search.space]\noptimizer = ["Adam", "SGD"]',
            '"cmaes" needs a field',
        ),
        (
            'sampler = "random"\nn_trials = 5\nn_startup_trials = 2\n[search.space]\nseed = [1, 2]',
            "never learns",
        ),
        ('sampler = "tpee"\nn_trials = 5\n[search.space]\nseed = [1, 2]', "did you mean 'tpe'?"),
        ("n_startup_trials = 2\n[search.grid]\nseed = [1, 2]", 'sampler = "grid" tries every cell'),
    ],
)
def test_a_sampler_that_cannot_work_is_refused_in_one_line(tmp_path: Path, lines: str, says: str) -> None:
    with pytest.raises(UserError) as refused:
        tiny_spec(tmp_path, f'[study]\nname = "tiny"\n[search]\n{lines}\n')
    assert says in str(refused.value)


def test_a_sampler_begins_to_learn_when_the_spec_says(tmp_path: Path) -> None:
    text = SEARCH.format(sampler="tpe", n_trials=5).replace("n_trials", "n_startup_trials = 3\nn_trials")
    assert sampler(tiny_spec(tmp_path, text), 0)._n_startup_trials == 3  # type: ignore[attr-defined]
