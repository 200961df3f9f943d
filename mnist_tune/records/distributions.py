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

from mnist_tune.spec.axes import Interval
from mnist_tune.spec.conditions import SEED, Value
from mnist_tune.spec.revisions import Grid, Point, key_of_point
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage.keys import CELL
from mnist_tune.storage.optuna_internals import grid_points

SEEDS = IntDistribution(0, 2**32 - 1)
"""Of the seeds that known points have in a sampled search; the same for ever, whatever seeds are added."""


def distributions(spec: Spec) -> dict[str, BaseDistribution]:
    """The distribution of each parameter that a trial may have.

    To the searched fields come the seeds of replicates, which no sampler draws.
    """
    seeds: dict[str, BaseDistribution] = {SEED: SEEDS} if spec.search.has_replicates else {}
    return drawn(spec) | seeds


def drawn(spec: Spec) -> dict[str, BaseDistribution]:
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
    """Every cell of the study as a WAITING trial, in an order that growing does not change.

    A grid cell carries what stock `GridSampler` writes (`grid_id`, `search_space`), its parameters, and
    `fixed_params`, from which dashboards show the queue. A point beside the grid has no `grid_id`, so that
    stock Optuna does not count it. Cells of a sampled search have no parameters yet, but for the points with
    which the study was made.
    """
    axes = distributions(spec)
    if spec.search.grid is None:
        known = [ticket(axes, cell, point) for cell, point in enumerate(spec.search.first_points)]
        return [*known, *(ticket(axes, cell, {}) for cell in range(len(known), spec.search.n_trials or 0))]
    in_order = _in_order(spec.search.grid)
    grid_ids = {key_of_point(point): grid_id for grid_id, point in enumerate(in_order)}
    # Optuna compares a stored search_space with its own, which is sorted by name.
    search_space = dict(sorted(spec.search.grid.items()))
    cells = []
    for cell, point in enumerate(_points(spec) if spec.search.is_grown else in_order):
        parameters = {name: point[name] for name in axes}
        attributes: dict[str, Any] = {CELL: cell, "fixed_params": parameters}
        if (grid_id := grid_ids.get(key_of_point(point))) is not None:
            attributes |= {"grid_id": grid_id, "search_space": search_space}
        cells.append(Waiting(parameters, axes, attributes))
    return cells


def ticket(axes: Mapping[str, BaseDistribution], cell: int, point: Point) -> Waiting:
    """A cell of a sampled search, with the values that are known of it before it is claimed."""
    return Waiting(point, {name: axes[name] for name in point}, {CELL: cell, "fixed_params": point})


def _in_order(grid: Grid) -> list[Point]:
    """The combinations of a grid in the order of Optuna's own grid ids."""
    return grid_points(GridSampler(grid))


def _points(spec: Spec) -> list[Point]:
    """The parameters of each cell of a grid: each stage appends those that were not there before."""
    found: dict[Any, Point] = {}
    for stage in spec.search.stages:
        for point in (*stage.points, *_in_order(stage.grid)):
            found.setdefault(key_of_point(point), point)
    return list(found.values())


def _distribution(axis: list[Value] | Interval, *, is_integer: bool) -> BaseDistribution:
    if isinstance(axis, list):
        return CategoricalDistribution(axis)
    with warnings.catch_warnings():
        # Where the steps do not reach `high`, Optuna lowers it; a user is told so when the study is made.
        warnings.filterwarnings("ignore", "The distribution is specified by")
        if is_integer:
            return IntDistribution(int(axis.low), int(axis.high), log=axis.log, step=int(axis.step or 1))
        return FloatDistribution(axis.low, axis.high, log=axis.log, step=axis.step)
