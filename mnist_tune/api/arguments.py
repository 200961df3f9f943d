"""Checks of arguments from Python: one of a wrong type is an error of one line."""

from __future__ import annotations

import os
from pathlib import Path

from mnist_tune.errors import UserError
from mnist_tune.spec.documents import short_value


def check_count(argument: str, value: object) -> None:
    """Check that an argument is a whole number of at least 1.

    Raises:
        UserError: it is not.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise UserError(f"{argument}: should be a whole number, not {short_value(value)}")
    if value < 1:
        raise UserError(f"{argument}: should be at least 1, not {short_value(value)}")


def check_text(argument: str, value: object) -> None:
    """Check that an argument is a text.

    Raises:
        UserError: it is not.
    """
    if not isinstance(value, str):
        raise UserError(f"{argument}: should be a text, not {short_value(value)}")


def path_of(argument: str, value: str | os.PathLike[str]) -> Path:
    """The argument as a path.

    Raises:
        UserError: it is not one.
    """
    try:
        return Path(value)
    except TypeError:
        raise UserError(f"{argument}: should be a path, not {short_value(value)}") from None
