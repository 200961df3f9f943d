"""A spec's search in Optuna's words: its distributions, and its cells as waiting trials."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import GridSampler
from optuna.trial import Trial

from mnist_tune.spec.conditions import Value
from mnist_tune.spec.search_space import Interval
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage.keys import CELL
from mnist_tune.storage.optuna_internals import grid_points


def distributions(spec: Spec) -> dict[str, BaseDistribution]:
    """The distribution of each searched field; the axes of a grid are categorical."""
    return {
        name: _distribution(axis, is_integer=spec.description.fields[name].is_integer)
        for name, axis in spec.search.axes.items()
    }


def suggest(trial: Trial, name: str, axis: BaseDistribution) -> Any:
    """Draw a searched field's value for a trial; a grid's cell or a retry keeps the one it has."""
    if isinstance(axis, CategoricalDistribution):
        return trial.suggest_categorical(name, axis.choices)
    if isinstance(axis, IntDistribution):
        return trial.suggest_int(name, axis.low, axis.high, step=axis.step, log=axis.log)
    assert isinstance(axis, FloatDistribution)
    return trial.suggest_float(name, axis.low, axis.high, step=axis.step, log=axis.log)


class Waiting(NamedTuple):
    """The stored content of a waiting trial, under Optuna's names; a `FrozenTrial` costs far more to make."""

    params: Mapping[str, Any]
    distributions: Mapping[str, BaseDistribution]
    system_attrs: Mapping[str, Any]


def waiting_cells(spec: Spec) -> list[Waiting]:
    """Every cell of the study as a WAITING trial, in the order of Optuna's own grid ids.

    A grid cell carries what stock `GridSampler` writes (`grid_id`, `search_space`), its parameters, and
    `fixed_params`, from which dashboards show the queue. Cells of a sampled search have no parameters yet.
    """
    if spec.search.grid is None:
        return [Waiting({}, {}, {CELL: cell, "fixed_params": {}}) for cell in range(spec.n_cells)]
    axes = distributions(spec)
    grid = GridSampler(spec.search.grid)
    # Optuna compares a stored search_space with its own, which is sorted by name.
    search_space = dict(sorted(spec.search.grid.items()))
    cells = []
    for grid_id, at in enumerate(grid_points(grid)):
        parameters = {name: at[name] for name in axes}
        attributes = {
            CELL: grid_id,
            "grid_id": grid_id,
            "search_space": search_space,
            "fixed_params": parameters,
        }
        cells.append(Waiting(parameters, axes, attributes))
    return cells


def _distribution(axis: list[Value] | Interval, *, is_integer: bool) -> BaseDistribution:
    if isinstance(axis, list):
        return CategoricalDistribution(axis)
    with warnings.catch_warnings():
        # Where the steps do not reach `high`, Optuna lowers it; a user is told so when the study is made.
        warnings.filterwarnings("ignore", "The distribution is specified by")
        if is_integer:
            return IntDistribution(int(axis.low), int(axis.high), log=axis.log, step=int(axis.step or 1))
        return FloatDistribution(axis.low, axis.high, log=axis.log, step=axis.step)
