"""Decides where a logarithmic scale shows what a linear one hides, in curves and in sketches."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from mnist_tune.jobs.description import JobDescription
from mnist_tune.jobs.metric import PERCENT

OF_AN_AXIS = 10.0
"""How many times the lowest value the highest must exceed for a logarithmic axis."""
OF_A_SKETCH = 100.0
"""The same for a sketch, which has no labels: its scale is the plain one wherever that shows anything."""


def is_logarithmic(job: JobDescription, name: str, values: Sequence[float], span: float) -> bool:
    """Whether only a logarithmic scale shows the small values of a metric too; `values` are finite.

    A metric with a highest value is good near that one: there, a logarithmic scale would show nothing. An
    objective that is minimised is good near the other end.
    """
    metric, is_minimised = job.metric(name), name == job.objective and job.sign < 0
    if not values or (not is_minimised and (metric.high is not None or metric.unit == PERCENT)):
        return False
    low, high = min(values), max(values)
    return low > 0 and high / span >= low


def height_of(job: JobDescription, values: Sequence[float]) -> Callable[[float], float]:
    """A function to the height at which to sketch a value of the objective: better ones are higher.

    `values` are all those that are compared. A value that is infinite or no number is as low as the worst.
    """
    finite = [value for value in values if math.isfinite(value)]
    takes_logarithm = is_logarithmic(job, job.objective, finite, OF_A_SKETCH)

    def height(value: float) -> float:
        # A quarter, so that no difference of two heights is infinite.
        return job.sign * (math.log(value) if takes_logarithm else value / 4)

    worst = min(map(height, finite), default=0.0)
    return lambda value: height(value) if math.isfinite(value) else worst
