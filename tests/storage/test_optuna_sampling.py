"""What we rely on in Optuna's private parts for sampling and pruning."""

from __future__ import annotations

import pickle
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.samplers import GridSampler, TPESampler
from optuna.trial import TrialState

from mnist_tune.search.drawing import DRAWS
from mnist_tune.spec.search_space import MAX_CELLS
from mnist_tune.storage import optuna_internals as internals
from mnist_tune.storage import optuna_sampling as sampling

CHOICE = CategoricalDistribution(["Adam", "SGD"])


def test_what_a_distribution_contains_is_told_of_stored_numbers() -> None:
    assert internals.contains(CHOICE, 1)
    assert not internals.contains(CHOICE, 2)
    assert internals.contains(FloatDistribution(0.0, 1.0), 0.5)
    assert not internals.contains(FloatDistribution(0.0, 1.0), 1.5)


def test_the_points_of_a_grid_are_in_the_order_that_stock_visits_them_in() -> None:
    grid: dict[str, list[Any]] = {"optimizer": ["Adam", "SGD"], "batch_size": [64, 128]}
    points = internals.grid_points(GridSampler(grid))
    optuna_study = optuna.create_study(sampler=GridSampler(grid, seed=0))

    def objective(trial: optuna.Trial) -> float:
        for name, choices in grid.items():
            trial.suggest_categorical(name, choices)
        return 0.0

    optuna_study.optimize(objective)
    visited = {trial.system_attrs["grid_id"]: trial.params for trial in optuna_study.trials}
    assert [visited[grid_id] for grid_id in range(4)] == points


def test_a_study_reads_through_what_it_is_given_for_a_while(optuna_study: optuna.Study) -> None:
    class Told:
        def __init__(self, stored: Any) -> None:
            self.stored, self.asked = stored, 0

        def __getattr__(self, name: str) -> Any:
            self.asked += 1
            return getattr(self.stored, name)

    told = Told(optuna_study._storage)
    with internals.reading_through(optuna_study, told):
        assert len(optuna_study.trials) == 3
    asked = told.asked
    assert asked > 0
    assert len(optuna_study.trials) == 3
    assert told.asked == asked


def test_a_begun_trial_draws_from_the_trials_that_it_is_shown(optuna_study: optuna.Study) -> None:
    class Shown(TPESampler):
        def sample_independent(self, optuna_study: Any, *_: Any) -> Any:
            seen.append([one.number for one in optuna_study._get_trials(deepcopy=False, use_cache=True)])
            return 0.05

    seen: list[list[int]] = []
    optuna_study.sampler = Shown()
    shown = optuna_study.get_trials(deepcopy=False)[:1]
    trial = internals.begun_trial(optuna_study, 3, shown)
    assert (trial.number, trial.suggest_float("momentum", 0.0, 1.0)) == (2, 0.05)
    assert seen == [[0]]


def test_samplers_take_pruned_trials_for_complete_ones(optuna_study: optuna.Study) -> None:
    states = (TrialState.COMPLETE,)
    shown = sampling.WithPruned(optuna_study)._get_trials(states=states)
    assert [(trial.number, trial.state) for trial in shown] == [
        (0, TrialState.COMPLETE),
        (1, TrialState.COMPLETE),
    ]
    assert optuna_study.get_trials(states=(TrialState.PRUNED,)) != []


def test_cma_es_neither_stores_nor_reads_a_pickle(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a pickle")

    monkeypatch.setattr(pickle, "loads", refuse)
    monkeypatch.setattr(pickle, "dumps", refuse)
    ranges: dict[str, Any] = {"x": FloatDistribution(0.0, 1.0), "y": FloatDistribution(0.0, 1.0)}
    sampler = sampling.RetoldCmaEsSampler(ranges, 1, seed=0, n_startup_trials=1)
    optuna_study = optuna.create_study(sampler=sampler, direction="maximize")
    optuna_study.optimize(
        lambda trial: sum(trial.suggest_float(name, 0.0, 1.0) for name in ranges), n_trials=15
    )
    generations = [trial.system_attrs.get("cma:generation", 0) for trial in optuna_study.trials]
    assert max(generations) >= 2


def test_a_trial_is_in_its_bracket_by_its_attribute() -> None:
    pruner = sampling.BracketHyperbandPruner(0, "cell", min_resource=1, max_resource=27, reduction_factor=3)
    optuna_study = optuna.create_study(pruner=pruner)
    trials = [optuna.trial.create_trial(value=0.0, system_attrs={"cell": cell}) for cell in range(40)]
    brackets = [pruner._get_bracket_id(optuna_study, trial) for trial in trials]
    assert set(brackets) == {0, 1, 2, 3}
    again = optuna.trial.create_trial(value=0.0, system_attrs={"cell": 7})
    again.number = 99
    other = optuna.create_study(study_name="other", pruner=pruner)
    assert pruner._get_bracket_id(other, again) == brackets[7]


def test_a_quasi_random_trial_has_its_place_by_its_attribute() -> None:
    space: dict[str, Any] = {"x": FloatDistribution(0.0, 1.0), "y": FloatDistribution(0.0, 1.0)}
    optuna_study = optuna.create_study()
    first, third = (optuna.trial.create_trial(value=0.0, system_attrs={"cell": cell}) for cell in (0, 2))

    def placed(beyond: int) -> sampling.PlacedQMCSampler:
        return sampling.PlacedQMCSampler(space, "cell", beyond)

    drawn = [placed(0).sample_relative(optuna_study, trial, space) for trial in (third, first, third)]
    assert drawn == [{"x": 0.75, "y": 0.25}, {"x": 0.0, "y": 0.0}, {"x": 0.75, "y": 0.25}]
    assert placed(2).sample_relative(optuna_study, first, space) == drawn[0]
    damaged = optuna.trial.create_trial(value=0.0, system_attrs={"cell": 10**15})
    assert placed(0).sample_relative(optuna_study, damaged, space) != drawn[0]  # and soon


def test_a_sequence_has_a_place_for_each_draw_of_each_cell() -> None:
    assert MAX_CELLS * (DRAWS + 1) <= sampling.PLACES
