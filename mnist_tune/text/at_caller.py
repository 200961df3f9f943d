"""Warnings that show the line of the user's code that called this package, not a line of the package."""

from __future__ import annotations

import inspect
import warnings

PASSED_OVER = {"mnist_tune", "contextlib", "pydantic"}
"""Packages whose lines are not shown: ours, and those that we have call our functions."""


def warn_at_caller(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the nearest caller that is in none of these packages."""
    level, frame = 1, inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in PASSED_OVER:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
