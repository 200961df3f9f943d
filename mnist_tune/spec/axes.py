"""One searched field: a list of values or an interval, checked against its training field."""

from __future__ import annotations

from typing import Any, Self, TypeVar

from pydantic import ValidationError, field_validator, model_validator

from mnist_tune.jobs.fields import Fields, JobField
from mnist_tune.spec.conditions import Condition, Value, as_condition
from mnist_tune.spec.documents import KeyedError, Section, complaint, describe, did_you_mean, short_value

Table = TypeVar("Table", bound=Section)
MAX_VALUES = 1_000
"""The most values of one axis: Optuna stores the whole axis with every cell."""
MOST_STEPS = 2**53
"""The most steps of an interval: floating-point numbers cannot tell more apart."""


class Conditional(Section):
    """A searched field; with `when` it is searched only where other fields have certain values."""

    when: dict[str, list[Any]] | None = None  # checked against the fields that it names

    @field_validator("when", mode="before")
    @classmethod
    def _is_a_condition(cls, when: Any) -> Any:
        return as_condition(when)


class Choices(Conditional):
    """A list of values with a condition, e.g. {choices = [true, false], when = {optimizer = "SGD"}}."""

    choices: list[Any]  # checked against its field


AnyConditional = TypeVar("AnyConditional", bound=Conditional)


class Interval(Conditional):
    """A range to sample from, e.g. {low = 1e-5, high = 1e-2, log = true}."""

    low: int | float
    high: int | float
    log: bool = False
    step: float | None = None

    @model_validator(mode="after")
    def _is_an_interval(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low = {self.low:g} must be less than high = {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"low = {self.low:g} must be above 0 when log = true")
        if self.log and self.step is not None:
            raise ValueError("step and log = true exclude each other; remove one")
        if self.step is not None and self.step <= 0:
            raise ValueError(f"step = {self.step:g} must be above 0")
        if self.step is not None and (self.high - self.low) / self.step > MOST_STEPS:
            raise ValueError(f"step = {self.step:g} is so small that it is the same as none; remove it")
        return self


def field_named(fields: Fields, name: str) -> JobField:
    """The field of this name, which a study may search. Raises KeyedError if there is none."""
    if name not in fields:
        raise KeyedError(name, f"unknown training field; {did_you_mean(name, fields)}")
    if not fields[name].is_searchable:
        raise KeyedError(
            name, "can only be fixed in [training]: its type is none of int, float, bool and text"
        )
    return fields[name]


def check_value(field: JobField, value: Any, key: str | None = None) -> Value:
    """The value in the field's type. Raises KeyedError, by `key` or the field's name."""
    try:
        checked: Value = field.check(value)
    except ValidationError as error:
        raise KeyedError(key or field.name, complaint(error.errors()[0])) from None
    return checked


def _as_field(fields: Fields, name: str, value: Any) -> Any:
    """A condition's value in its field's type, such as 0.0 for 0; an impossible value stays as it is."""
    try:
        return fields[name].check(value)
    except (ValidationError, KeyError):
        return value


def check_axis(fields: Fields, name: str, entry: Any) -> list[Value] | Choices | Interval:
    """An entry of [search.space] as it is typed. Raises KeyedError: what is wrong with it."""
    field = field_named(fields, name)
    if not isinstance(entry, dict):
        return check_choices(field, entry)
    if "choices" not in entry:
        return _with_typed_condition(fields, _check_interval(field, entry))
    choices = _with_typed_condition(fields, _check_table(name, entry, Choices))
    checked = check_choices(field, choices.choices)
    return checked if choices.when is None else choices.model_copy(update={"choices": checked})


def _with_typed_condition(fields: Fields, axis: AnyConditional) -> AnyConditional:
    if axis.when is None:
        return axis
    typed = {name: [_as_field(fields, name, one) for one in values] for name, values in axis.when.items()}
    return axis.model_copy(update={"when": typed})


def conditions_of(space: dict[str, list[Value] | Choices | Interval]) -> dict[str, Condition]:
    """The condition of each field that has one."""
    return {name: axis.when for name, axis in space.items() if isinstance(axis, Conditional) and axis.when}


def choices_of(axis: list[Value] | Choices | Interval) -> list[Value] | None:
    """The values of an axis; None for a range."""
    return None if isinstance(axis, Interval) else axis.choices if isinstance(axis, Choices) else axis


def check_choices(field: JobField, values: Any) -> list[Value]:
    """A list of a field's values as it is typed. Raises KeyedError: what is wrong with it."""
    name = field.name
    if isinstance(values, dict):
        raise KeyedError(name, "a grid takes lists of values; ranges and conditions belong in [search.space]")
    if not isinstance(values, list):
        raise KeyedError(
            name,
            f"should be a list of values, not {short_value(values)}; write {name} = [{short_value(values)}]",
        )
    if not values:
        raise KeyedError(name, "has no values; write at least one, or remove the axis")
    if len(values) > MAX_VALUES:
        raise KeyedError(
            name, f'has {len(values):,} values, more than {MAX_VALUES:,}; sample them with sampler = "random"'
        )
    checked = [check_value(field, value) for value in values]
    for value in checked:
        if checked.count(value) > 1:
            raise KeyedError(name, f"has the value {value!r} twice; remove one")
    return checked


def _check_interval(field: JobField, entry: dict[str, Any]) -> Interval:
    name = field.name
    if not field.is_number:
        raise KeyedError(name, "has no range, as it is no number; write a list of its values")
    ends = {end: check_value(field, entry[end], f"{name}.{end}") for end in ("low", "high") if end in entry}
    interval = _check_table(name, entry | ends, Interval)
    if field.is_integer and not (interval.step or 1.0).is_integer():
        raise KeyedError(f"{name}.step", f"should be a whole number, not {interval.step!r}, as {name} is one")
    return interval


def _check_table(name: str, entry: dict[str, Any], model: type[Table]) -> Table:
    try:
        return model.model_validate(entry)
    except ValidationError as error:
        key, problem = describe(error.errors()[0], model)
        raise KeyedError(f"{name}.{key}" if key else name, problem) from None
