"""Grids of a given size."""

from __future__ import annotations

import math

from mnist_tune.spec.documents import validate
from mnist_tune.spec.study_spec import Spec
from tests.support.specs import MnistSpec


def balanced_grid(cells: int) -> Spec:
    """A grid of three axes of about the same length."""
    batch_sizes = _largest_divisor(cells, round(cells ** (1 / 3)))
    seeds = _largest_divisor(cells // batch_sizes, math.isqrt(cells // batch_sizes))
    learning_rates = cells // batch_sizes // seeds
    grid = {
        "learning_rate": [1e-5 * (index + 1) for index in range(learning_rates)],
        "batch_size": [index + 1 for index in range(batch_sizes)],
        "seed": list(range(seeds)),
    }
    spec = validate(MnistSpec, {"study": {"name": f"grid-{cells}"}, "search": {"grid": grid}}, "grid")
    assert spec.n_cells == cells
    return spec


def _largest_divisor(number: int, limit: int) -> int:
    return next(divisor for divisor in range(limit, 0, -1) if number % divisor == 0)
