"""The configurations of a search space whose fields all have finitely many values, one after another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from mnist_tune.spec.conditions import Condition, holds, in_order
from mnist_tune.spec.search_space import MAX_CELLS

MOST_LISTED = 2 * MAX_CELLS
"""The most configurations that are listed. Of more than these, a study has less than half as cells, so that
drawing at random soon finds another.
"""


def configurations(
    axes: Mapping[str, BaseDistribution], conditions: Mapping[str, Condition], known: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Every configuration that has the values in `known`; all fields must have finitely many values."""
    order = in_order(axes, conditions)

    def rest(place: int, values: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if place == len(order):
            yield values
            return
        name = order[place]
        if not holds(conditions.get(name), values):
            yield from rest(place + 1, values)
            return
        for value in [known[name]] if name in known else _values(axes[name]):
            yield from rest(place + 1, {**values, name: value})

    return rest(0, {})


def n_configurations(
    axes: Mapping[str, BaseDistribution], conditions: Mapping[str, Condition], known: Mapping[str, Any]
) -> int | None:
    """How many configurations have the values in `known`; None if they are too many to be listed."""
    if not all(is_finite(axis) for name, axis in axes.items() if name not in known):
        return None
    n = sum(1 for _ in islice(configurations(axes, conditions, known), MOST_LISTED + 1))
    return n if n <= MOST_LISTED else None


def is_finite(axis: BaseDistribution) -> bool:
    """Whether a field has finitely many values."""
    return not isinstance(axis, FloatDistribution) or axis.step is not None


def _values(axis: BaseDistribution) -> Iterable[Any]:
    if isinstance(axis, CategoricalDistribution):
        return axis.choices
    if isinstance(axis, IntDistribution):
        return range(axis.low, axis.high + 1, axis.step)
    assert isinstance(axis, FloatDistribution)
    assert axis.step is not None
    steps = round((axis.high - axis.low) / axis.step)
    return [min(axis.low + number * axis.step, axis.high) for number in range(steps + 1)]
