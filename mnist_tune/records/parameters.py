"""Turns stored parameters (a number and a distribution) into their values."""

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
    """Return a parameter's value if it is on this axis of the spec. Raises Damaged if it is not."""
    with suppress(TypeError, ValueError):
        if contains(axis, axis.to_internal_repr(value)):
            return value
    raise Damaged(f"is {value!r}, which the spec does not have")


def external(of: BaseDistribution, stored: Any) -> Any:
    """The value of a parameter from the number that is stored for it. Raises Damaged."""
    try:
        is_number = isinstance(stored, int | float) and math.isfinite(stored)
        is_place = not isinstance(of, CategoricalDistribution) or (is_number and stored % 1 == 0)
        if is_number and is_place and contains(of, stored):
            return of.to_external_repr(stored)
    except (TypeError, ValueError, OverflowError):
        pass
    raise Damaged(f"should be a number of its distribution, not {stored!r}")


def distribution(text: Text) -> BaseDistribution:
    """The distribution in a stored JSON text. Raises Damaged."""
    try:
        return _distribution(text)
    except Exception as error:  # Optuna raises any exception for a text of another form
        raise Damaged(f"has a distribution that cannot be read: {type(error).__name__}: {error}") from None


@functools.lru_cache(maxsize=64)
def _distribution(text: str) -> BaseDistribution:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna's hints to programmers
        return json_to_distribution(text)
