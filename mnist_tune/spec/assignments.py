"""Fields of a job that are typed as KEY=VALUE: each value is read by its field's type, as a spec's is."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from mnist_tune.errors import UserError
from mnist_tune.jobs.description import JobDescription
from mnist_tune.jobs.fields import Fields, JobField
from mnist_tune.spec.documents import complaint, did_you_mean


def typed_fields(
    job: JobDescription,
    settings: Sequence[str],
    data: Sequence[str],
    *,
    training_table: Mapping[str, Any] | None = None,
    data_table: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields of [training] and [data]: those of a spec's tables, and those typed after --set and --data.

    Raises:
        UserError: a text has another form, names no field or one twice, its value does not fit the field, or
            a field has neither a value nor a default.
    """
    return (
        _assigned(job.fields, training_table or {}, settings, "--set", "training field"),
        _assigned(job.options, data_table or {}, data, "--data", "data field"),
    )


def _assigned(
    fields: Fields, table: Mapping[str, Any], assignments: Sequence[str], option: str, what: str
) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals or not name:
            raise UserError(f"{option} {assignment}: write KEY=VALUE")
        if name not in fields:
            remedy = did_you_mean(name, fields) if fields else "the job has none"
            raise UserError(f"{option} {name}: unknown {what}; {remedy}")
        if name in values:
            raise UserError(f"{option} {name}: is given twice; leave one out")
        try:
            values[name] = fields[name].check(read_as(fields[name], text))
        except ValidationError as error:
            raise UserError(f"{option} {name}: {complaint(error.errors()[0])}") from None
    for name, field in fields.items():
        if field.is_required and name not in {**table, **values}:
            raise UserError(f"{option} {name}: missing: the job has no default for it; write {name}=VALUE")
    return {**table, **values}


def read_as(field: JobField, text: str) -> Any:
    """A text as a value of the field's type; one that is none stays a text, which the field refuses."""
    if field.choices is not None:
        return next((choice for choice in field.choices if _means(text, choice)), text)
    return text if field.is_text else _value(text)


def _means(text: str, choice: Any) -> bool:
    """Whether a text is the way to write a choice."""
    if isinstance(choice, str):
        return text == choice
    value = _value(text)
    return type(value) is type(choice) and bool(value == choice)


def _value(text: str) -> Any:
    """A value as TOML writes it or, for .5 and 1e400, as Python does; else the text."""
    try:
        read = tomllib.loads(f"value = {text}")
        if read.keys() == {"value"}:  # a text of several lines could bring other keys
            return read["value"]
    except (ValueError, RecursionError):
        pass
    try:
        return float(text) if text.isascii() and text.strip("+-.0123456789eE") == "" else text
    except ValueError:
        return text
