"""[search] enqueue: points that somebody knows; each is checked against what is searched."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mnist_tune.spec.conditions import Condition, holds
from mnist_tune.spec.documents import KeyedError, did_you_mean
from mnist_tune.spec.revisions import Point, key_of_point

TOLERANCE = 1e-8
"""How far from a step Optuna takes a value to be on it, in steps."""


def check_points(
    points: Sequence[Point],
    axes: Mapping[str, Any],
    conditions: Mapping[str, Condition],
    *,
    whole: bool = False,
) -> None:
    """Check that a search can use each point; `axes` has a list, an interval, or None for any value.

    A point that is not `whole` may leave fields out, which the sampler then draws.

    Raises:
        KeyedError: which point, which field of it, and what is wrong.
    """
    seen = set()
    for number, point in enumerate(points):
        try:
            check_point(point, axes, conditions, whole=whole)
        except KeyedError as error:
            raise KeyedError(f"enqueue.{number}.{error.key}", str(error)) from None
        if (key := key_of_point(point)) in seen:
            raise KeyedError(f"enqueue.{number}", "is there twice; remove one")
        seen.add(key)


def check_point(
    point: Point, axes: Mapping[str, Any], conditions: Mapping[str, Condition], *, whole: bool = False
) -> None:
    """Check that a search can use a point. Raises KeyedError: which field of it, and what is wrong."""
    for name, value in point.items():
        if name not in axes:
            raise KeyedError(name, f"is not searched; {did_you_mean(name, axes)}")
        if (problem := outside(axes[name], value)) is not None:
            raise KeyedError(name, problem)
        if not holds(conditions.get(name), point):
            when = " and ".join(
                f"{field} is {' or '.join(map(repr, values))}"
                for field, values in (conditions.get(name) or {}).items()
            )
            raise KeyedError(name, f"is searched only where {when}; name that too, or leave {name} out")
    if not point:
        raise KeyedError(next(iter(axes)), "missing: a point names a value of one field at least")
    if whole and (missing := [name for name in axes if name not in point]):
        raise KeyedError(missing[0], "missing: a point of a grid names a value of each axis")


def outside(axis: Any, value: Any) -> str | None:
    """Why a value is not one of an axis, a list or an interval; None if it is, or if any value is."""
    if axis is None:
        return None
    if isinstance(axis, list):
        is_one = any(value == one and type(value) is type(one) for one in axis)
        return None if is_one else f"{value!r} is none of its values; write one of {axis}"
    if not axis.low <= value <= axis.high:
        return f"{value!r} is outside its range, {axis.low:g} to {axis.high:g}"
    steps = 0.0 if axis.step is None else (value - axis.low) / axis.step
    if abs(steps - round(steps)) >= TOLERANCE or not math.isfinite(steps):
        return f"{value!r} is not on its steps of {axis.step:g} from {axis.low:g} on"
    return None
