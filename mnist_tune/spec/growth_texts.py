"""What a study is to be given in addition, as people type it, each value checked against its field."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from mnist_tune.errors import UserError
from mnist_tune.spec.assignments import read_as
from mnist_tune.spec.axes import check_value, field_named
from mnist_tune.spec.conditions import Value
from mnist_tune.spec.documents import KeyedError, short_value
from mnist_tune.spec.growth import Amount, Growth
from mnist_tune.spec.study_spec import Spec

AMOUNT = re.compile(r"(\+?)([0-9]{1,9})", re.ASCII)


def growth_from(
    spec: Spec, n_trials: str | None, add: Sequence[str], seeds: str | None, epochs: str | None
) -> Growth:
    """The growth that is meant by the texts after --n-trials, --add, --seeds and --epochs.

    `spec` is the study's.

    Raises:
        UserError: a text has another form, names no field, or its value does not fit the field.
    """
    if not (n_trials or add or seeds or epochs):
        raise UserError(
            "extend: name what to add: --n-trials +N, --add FIELD=VALUE, --seeds +N or --epochs +N"
        )
    values: dict[str, list[Any]] = {}
    for assignment in add:
        name, equals, texts = (part.strip() for part in assignment.partition("="))
        if not (name and equals and texts):
            raise UserError(f"--add {assignment}: write FIELD=VALUE, or several values with commas between")
        found = [typed(spec, name, text.strip(), "--add") for text in texts.split(",")]
        values.setdefault(name, []).extend(found)
    return Growth(
        n_trials=None if n_trials is None else amount(n_trials, "--n-trials"),
        values=values,
        seeds=None if seeds is None else amount(seeds, "--seeds"),
        epochs=None if epochs is None else amount(epochs, "--epochs"),
    )


def typed(spec: Spec, name: str, text: str, source: str) -> Any:
    """A text as a value of a field of the study's job. Raises UserError."""
    fields = spec.description.fields
    return checked(spec, name, read_as(fields[name], text) if name in fields else text, source)


def checked(spec: Spec, name: object, value: Any, source: str) -> Value:
    """A value in the type of the field of this name. Raises UserError, which begins with the source."""
    if not isinstance(name, str):
        raise UserError(f"{source} {short_value(name)}: is no field; write its name, as 'learning_rate'")
    try:
        return check_value(field_named(spec.description.fields, name), value)
    except KeyedError as error:
        raise UserError(f"{source} {name}: {error}") from None


def amount(text: str, option: str) -> Amount:
    """The number that is meant by +5 or 20. Raises UserError."""
    match = AMOUNT.fullmatch(text)
    if match is None or not int(match[2]):
        raise UserError(f"{option} {text}: write how many more, as +5, or how many in all, as 20")
    return Amount(number=int(match[2]), more=bool(match[1]))
