"""Parameters as Optuna stores them, a number and a distribution, to the values that they stand for."""

from __future__ import annotations

import functools
import math
import warnings
from contextlib import suppress
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, json_to_distribution

from mnist_tune.errors import Damaged
from mnist_tune.records.values import Text
from mnist_tune.storage.optuna_internals import contains


def one_of(axis: BaseDistribution, value: Any) -> Any:
    """A parameter's value, if the spec has it on this axis. Raises Damaged."""
    with suppress(TypeError, ValueError):
        if contains(axis, axis.to_internal_repr(value)):
            return value
    raise Damaged(f"is {value!r}, which the spec does not have")


def external(of: BaseDistribution, stored: Any) -> Any:
    """A parameter's value, from the number that stands for it. Raises Damaged."""
    try:
        is_number = isinstance(stored, int | float) and math.isfinite(stored)
        is_place = not isinstance(of, CategoricalDistribution) or (is_number and stored % 1 == 0)
        if is_number and is_place and contains(of, stored):
            return of.to_external_repr(stored)
    except (TypeError, ValueError, OverflowError):
        pass
    raise Damaged(f"should be a number of its distribution, not {stored!r}")


def distribution(text: Text) -> BaseDistribution:
    """What a parameter was taken from. Raises Damaged."""
    try:
        return _distribution(text)
    except Exception as error:  # Optuna says of what has another form whatever comes
        raise Damaged(f"has a distribution that cannot be read: {type(error).__name__}: {error}") from None


@functools.lru_cache(maxsize=64)
def _distribution(text: str) -> BaseDistribution:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna's hints to programmers
        return json_to_distribution(text)
