"""The configurations of a search space, one after another."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
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
"""The most configurations that are listed. Of more than these, a study has less than half as cells."""


def configurations(
    axes: Mapping[str, BaseDistribution],
    conditions: Mapping[str, Condition],
    known: Mapping[str, Any],
    any_of: Callable[[FloatDistribution], float],
) -> Iterator[dict[str, Any]]:
    """Every configuration that has the values in `known`.

    Of a field that has infinitely many values there is one alone, which `any_of` gives.
    """
    order = in_order(axes, conditions)

    def rest(place: int, values: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if place == len(order):
            yield values
            return
        name = order[place]
        if not holds(conditions.get(name), values):
            yield from rest(place + 1, values)
            return
        for value in [known[name]] if name in known else _values(axes[name], any_of):
            yield from rest(place + 1, {**values, name: value})

    return rest(0, {})


def n_configurations(
    axes: Mapping[str, BaseDistribution], conditions: Mapping[str, Condition], known: Mapping[str, Any]
) -> int | None:
    """How many configurations have the values in `known`; None if they are too many to be listed."""
    found = configurations(axes, conditions, known, _endless)
    try:
        n = sum(1 for _ in islice(found, MOST_LISTED + 1))
    except _EndlessError:
        return None
    return n if n <= MOST_LISTED else None


class _EndlessError(Exception):
    """A field that belongs to a configuration has infinitely many values."""


def _endless(_: FloatDistribution) -> float:
    raise _EndlessError


def any_value(chance: random.Random, axis: FloatDistribution) -> float:
    """A random value of a range without steps."""
    if axis.log:
        return min(
            max(math.exp(chance.uniform(math.log(axis.low), math.log(axis.high))), axis.low), axis.high
        )
    return chance.uniform(axis.low, axis.high)


def _values(axis: BaseDistribution, any_of: Callable[[FloatDistribution], float]) -> Iterable[Any]:
    if isinstance(axis, CategoricalDistribution):
        return axis.choices
    if isinstance(axis, IntDistribution):
        return range(axis.low, axis.high + 1, axis.step)
    assert isinstance(axis, FloatDistribution)
    if axis.step is None:
        return [any_of(axis)]
    steps = round((axis.high - axis.low) / axis.step)
    return [min(axis.low + number * axis.step, axis.high) for number in range(steps + 1)]
