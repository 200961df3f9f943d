"""Stock Optuna on a study that has grown: old and new trials are of one search for all of its tools."""

from __future__ import annotations

import warnings
from pathlib import Path

import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.samplers import GridSampler, TPESampler
from optuna.search_space import intersection_search_space
from optuna.trial import TrialState

from mnist_tune.spec.growth import Growth
from mnist_tune.spec.revisions import Point
from mnist_tune.study.extend import extend_study
from mnist_tune.study.open_study import OpenStudy
from tests.support.studies import new_study, opened_again

WANTED = Growth(values={"learning_rate": [0.003], "weight_decay": [0.01], "seed": [3, 4]})
N_CELLS = 3 * 2 * 2 * 2 * 3


def finish(study: OpenStudy) -> None:
    """Complete every cell that waits, with a value in which the learning rate matters most."""
    queue = opened_again(study).queue()
    while (claim := queue.claim("worker")) is not None:
        rate, size = claim.parameters["learning_rate"], claim.parameters["batch_size"]
        queue.complete(claim, 80 + 1000 * rate + 0.001 * size)


@pytest.fixture
def grown(tmp_path: Path) -> OpenStudy:
    """A finished study that was given two new axes, and a value of an old one; the new cells wait."""
    study = new_study(tmp_path)
    finish(study)
    extend_study(study, WANTED, "0" * 32)
    return opened_again(study)


def stock(study: OpenStudy) -> optuna.Study:
    return optuna.load_study(study_name=study.name, storage=str(study.storage.engine.url))


def test_the_grid_sampler_counts_the_old_cells_and_waits_for_the_new(grown: OpenStudy) -> None:
    assert grown.spec.search.grid is not None
    sampler = GridSampler(grown.spec.search.grid)
    assert not sampler.is_exhausted(stock(grown))
    assert len(sampler._get_unvisited_grid_ids(stock(grown))) == N_CELLS - 8
    for trial in stock(grown).trials:
        named = dict(
            zip(sampler._param_names, sampler._all_grids[trial.system_attrs["grid_id"]], strict=True)
        )
        assert named == trial.params == trial.system_attrs["fixed_params"]
    finish(grown)
    assert sampler.is_exhausted(stock(grown))


def test_old_and_new_trials_are_of_one_search_in_tables_importances_and_plots(grown: OpenStudy) -> None:
    finish(grown)
    study = stock(grown)
    table = study.trials_dataframe()
    assert list(table["state"]) == ["COMPLETE"] * N_CELLS
    assert list(table["params_weight_decay"][:8]) == [0.0] * 8
    assert list(table["params_seed"][:8]) == [0] * 8
    space = intersection_search_space(study.trials)
    assert space["learning_rate"] == CategoricalDistribution((0.001, 0.0001, 0.003))
    assert space.keys() == {"learning_rate", "batch_size", "optimizer", "weight_decay", "seed"}
    importances = optuna.importance.get_param_importances(study)
    assert importances.keys() == space.keys()
    assert max(importances, key=importances.__getitem__) == "learning_rate"
    assert optuna.visualization.plot_slice(study).data
    assert optuna.visualization.plot_parallel_coordinate(study).data


@pytest.mark.slow
def test_another_sampler_goes_on_from_old_and_new_trials(grown: OpenStudy) -> None:
    finish(grown)
    study = stock(grown)
    space = dict(intersection_search_space(study.trials))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        for sampler in (TPESampler(seed=0, multivariate=True), optuna.samplers.GPSampler(seed=0)):
            study.sampler = sampler
            trial = study.ask(space)  # stock refuses a list that differs from that of an earlier trial
            assert trial.params.keys() == space.keys()
            study.tell(trial, 50.0)
    assert [trial.state for trial in stock(grown).trials] == [TrialState.COMPLETE] * (N_CELLS + 2)


@pytest.mark.slow
def test_points_beside_the_grid_are_no_part_of_it(grown: OpenStudy) -> None:
    point: Point = {
        "learning_rate": 0.002,
        "batch_size": 64,
        "optimizer": "Adam",
        "weight_decay": 0.0,
        "seed": 0,
    }
    extend_study(grown, Growth(points=[point]), "1" * 32)
    finish(grown)
    assert grown.spec.search.grid is not None
    study = stock(grown)
    assert GridSampler(grown.spec.search.grid).is_exhausted(study)
    assert study.trials[-1].params == point
    assert "grid_id" not in study.trials[-1].system_attrs
    assert optuna.importance.get_param_importances(study).keys() == point.keys()
    # A point that becomes a combination of the grid is no second cell.
    extend_study(grown, Growth(values={"learning_rate": [0.002]}), "2" * 32)
    later = opened_again(grown)
    assert later.spec.n_cells == len(stock(later).trials) == 4 * 2 * 2 * 2 * 3
    finish(later)
    assert later.spec.search.grid is not None
    assert GridSampler(later.spec.search.grid).is_exhausted(stock(later))
