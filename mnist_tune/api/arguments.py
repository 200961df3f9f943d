"""Checks of arguments from Python: one of a wrong type is an error of one line."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mnist_tune.errors import UserError
from mnist_tune.spec.documents import short_value, validate
from mnist_tune.spec.growth import Growth
from mnist_tune.spec.growth_texts import amount


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


def growth(n_trials: int | str | None, add: Mapping[str, Any] | None, seeds: int | str | None) -> Growth:
    """What a study is to be given in addition.

    Raises:
        UserError: an argument is not what it should be, or none is given.
    """
    if n_trials is None and not add and seeds is None:
        raise UserError("extend: name what to add: n_trials, add or seeds")
    if add is not None and not isinstance(add, Mapping):
        raise UserError(f"add: should be a dict of values by field, not {short_value(add)}")
    content = {
        "n_trials": None if n_trials is None else amount(str(n_trials), "n_trials").model_dump(),
        "values": {
            name: list(some) if isinstance(some, list | tuple) else [some]
            for name, some in (add or {}).items()
        },
        "seeds": None if seeds is None else amount(str(seeds), "seeds").model_dump(),
    }
    return validate(Growth, content, "extend")
