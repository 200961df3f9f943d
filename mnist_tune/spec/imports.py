"""Results that were obtained elsewhere, each checked against what a study searches."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from mnist_tune.errors import UserError
from mnist_tune.jobs.metric import words
from mnist_tune.spec.axes import check_value, field_named
from mnist_tune.spec.conditions import SEED, wanted
from mnist_tune.spec.documents import KeyedError, Section
from mnist_tune.spec.growth import typed_point
from mnist_tune.spec.points import outside
from mnist_tune.spec.revisions import Point
from mnist_tune.spec.search_space import MAX_CELLS
from mnist_tune.spec.study_spec import Spec

LONGEST_SOURCE = 300
"""The most characters of what says where results come from."""


class ResultElsewhere(Section):
    """One result: the searched fields, and the objective's value."""

    parameters: Point
    value: float


class Import(Section):
    """Results that a study is to be given, and where they come from."""

    source: Annotated[str, Field(min_length=1, max_length=LONGEST_SOURCE)]
    """The name of a file or of a study, without what leads there."""
    results: Annotated[list[ResultElsewhere], Field(max_length=MAX_CELLS)]


def checked_result(spec: Spec, parameters: Mapping[str, Any], value: float, where: str) -> ResultElsewhere:
    """A result with each value in its field's type, if a trial of the study could have had it.

    A field that is not searched must have the value that all trials have; a seed that is not searched may be
    any. Errors begin with `where`.

    Raises:
        UserError: a value does not fit, or one is missing.
    """
    axes, metric = spec.search.axes, spec.description.of_objective
    try:
        point = _whole_point(spec, parameters)
    except KeyedError as error:
        raise UserError(f"{where}: {error.key}: {error}") from None
    if not (math.isfinite(value) and metric.holds(value)):
        objective = spec.description.objective
        raise UserError(f"{where}: {objective}: is {value:g}, which no {words(objective)} can have")
    return ResultElsewhere(
        parameters={name: point[name] for name in axes if name in point}, value=float(value)
    )


def _whole_point(spec: Spec, parameters: Mapping[str, Any]) -> Point:
    """The values of the searched fields. Raises KeyedError."""
    axes, fields = spec.search.axes, spec.description.fields
    given = {SEED: spec.training.seed, **parameters} if spec.replicates is not None else dict(parameters)
    for name in [name for name in given if name not in axes]:
        value = check_value(field_named(fields, name), given.pop(name))
        if name != SEED and value != (fixed := getattr(spec.training, name)):
            raise KeyedError(
                name,
                f"is {fixed!r} in all trials of this study, so that a result with {value!r} is of another "
                "search; leave that result out",
            )
    point = typed_point(spec, given)
    for name, value in point.items():  # those of a grid may have any
        if (problem := outside(axes[name], value)) is not None:
            raise KeyedError(name, problem)
    for name in wanted(axes, spec.search.conditions, point):
        if name not in point:
            raise KeyedError(name, "missing: a result has a value of each searched field")
    return point
