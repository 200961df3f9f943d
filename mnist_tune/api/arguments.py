"""Checks of arguments from Python: one of a wrong type is an error of one line."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_tune.errors import UserError
from mnist_tune.spec.conditions import Value
from mnist_tune.spec.documents import short_value
from mnist_tune.spec.growth import Amount, Growth
from mnist_tune.spec.growth_texts import amount, checked
from mnist_tune.spec.study_spec import Spec

if TYPE_CHECKING:
    from mnist_tune.service.calls import StudiesForPeople
    from mnist_tune.spec.imports import Import


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


def growth(
    spec: Spec,
    n_trials: int | str | None,
    add: Mapping[str, Any] | None,
    seeds: int | str | None,
    top: object,
    epochs: int | str | None,
) -> Growth:
    """What a study is to be given in addition; `spec` is the study's.

    Raises:
        UserError: an argument is not what it should be, or none is given.
    """
    if add is not None and not isinstance(add, Mapping):
        raise UserError(f"add: should be a dict of values by field, not {short_value(add)}")
    if n_trials is None and not add and seeds is None and epochs is None:
        raise UserError("extend: name what to add: n_trials, add, seeds or epochs")
    if top is not None:
        check_count("top", top)
        if seeds is None:
            raise UserError("top: says whose seeds are added; name seeds too")
    values: dict[str, list[Value]] = {}
    for name, some in (add or {}).items():
        several = list(some) if isinstance(some, list | tuple) else [some]
        if not several:
            raise UserError(f"extend: {name}: has no values; write at least one")
        values[name] = [checked(spec, name, value, "extend:") for value in several]
    return Growth(
        n_trials=None if n_trials is None else _amount("n_trials", n_trials),
        values=values,
        seeds=None if seeds is None else _amount("seeds", seeds),
        epochs=None if epochs is None else _amount("epochs", epochs),
    )


def results_elsewhere(
    service: StudiesForPeople,
    name: str,
    file: str | os.PathLike[str] | None,
    from_optuna: str | None,
    study: str | None,
) -> tuple[Import, int]:
    """The results for the study `name` that a file or a study of Optuna's has, and how many are left out.

    Raises:
        UserError: neither or both are named, a result does not fit, or what is named cannot be read.
    """
    if file is not None and from_optuna is None and study is None:
        from mnist_tune.spec.results_table import results_in

        return results_in(service.spec(name), path_of("file", file))
    if file is not None or from_optuna is None:
        raise UserError("import-trials: name either a CSV file, or --from-optuna URL with or without --study")
    for argument, text in (("from_optuna", from_optuna), ("study", study)):
        if text is not None:
            check_text(argument, text)
    from mnist_tune.study.other_optuna import results_at

    return results_at(service.spec(name), service.uid(name), from_optuna, study)


def _amount(argument: str, value: object) -> Amount:
    # Python may refuse to write a number of so many digits.
    return amount(value if isinstance(value, str) else short_value(value), argument)
