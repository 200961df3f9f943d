"""[search]: what a study varies; each value is checked against its training field."""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import Field, ValidationError, field_validator, model_validator

from mnist_tune.jobs.fields import Fields, JobField
from mnist_tune.jobs.hyperparameters import Seed
from mnist_tune.spec.conditions import Condition, Value, as_condition, check_conditions
from mnist_tune.spec.documents import KeyedError, Section, complaint, describe, did_you_mean, short_value
from mnist_tune.spec.sections import AtLeast1

Table = TypeVar("Table", bound=Section)
MAX_CELLS = 100_000
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


class Search(Section):
    """[search]: which points are tried. A grid tries all of them; the other samplers try `n_trials`."""

    fields: ClassVar[Fields]
    """The fields of the job; each job has a class of its own."""

    sampler: Literal["grid", "random", "tpe", "gp", "cmaes"] = "grid"
    grid: dict[str, list[Value]] | None = None
    space: dict[str, list[Value] | Choices | Interval] | None = None
    n_trials: Annotated[int, Field(ge=1, le=MAX_CELLS)] | None = None
    seed: Seed = 0
    n_startup_trials: AtLeast1 | None = None
    """After how many finished trials the sampler begins to learn; None is Optuna's default."""

    @field_validator("grid", mode="before")
    @classmethod
    def _check_grid(cls, grid: Any) -> Any:
        if not isinstance(grid, dict):
            return grid
        if not grid:
            raise ValueError("has no axis; write e.g. learning_rate = [0.001, 0.0001]")
        fields = {name: _field(cls.fields, name) for name in grid}
        checked = {name: _check_choices(fields[name], values) for name, values in grid.items()}
        cells = math.prod(len(values) for values in checked.values())
        if cells > MAX_CELLS:
            raise ValueError(f'has {cells:,} cells, more than {MAX_CELLS:,}; use sampler = "random" or "tpe"')
        return checked

    @field_validator("space", mode="before")
    @classmethod
    def _check_space(cls, space: Any) -> Any:
        if not isinstance(space, dict):
            return space
        if not space:
            raise ValueError("is empty; write e.g. learning_rate = {low = 1e-5, high = 1e-2, log = true}")
        checked = {name: _check_axis(cls.fields, name, entry) for name, entry in space.items()}
        check_conditions(_conditions(checked), {name: _choices(axis) for name, axis in checked.items()})
        return checked

    @model_validator(mode="after")
    def _sampler_has_what_it_needs(self) -> Self:
        if self.sampler == "grid":
            if self.grid is None:
                raise KeyedError("grid", "missing; write the axes under [search.grid]")
            for key in ("space", "n_trials", "seed", "n_startup_trials"):
                if key in self.model_fields_set and getattr(self, key) is not None:
                    raise KeyedError(
                        key, 'sampler = "grid" tries every cell; remove this or write sampler = "tpe"'
                    )
            return self
        if self.grid is not None:
            raise KeyedError(
                "grid", f'sampler = "{self.sampler}" samples from [search.space]; remove one of the two'
            )
        if self.space is None:
            raise KeyedError("space", f'missing; sampler = "{self.sampler}" samples from [search.space]')
        if self.n_trials is None:
            raise KeyedError(
                "n_trials", f'missing; sampler = "{self.sampler}" needs a number of trials, e.g. 20'
            )
        if self.sampler == "random" and self.n_startup_trials is not None:
            raise KeyedError("n_startup_trials", 'sampler = "random" never learns; remove this')
        ranges = [name for name, axis in self.axes.items() if isinstance(axis, Interval) and not axis.when]
        if self.sampler == "cmaes" and not ranges:
            raise KeyedError(
                "sampler", '"cmaes" needs a field with a range and without a condition; write "tpe"'
            )
        return self

    @property
    def axes(self) -> dict[str, list[Value] | Interval]:
        """The values or interval of each searched field, with or without a condition."""
        space = self.grid or self.space or {}
        return {name: axis.choices if isinstance(axis, Choices) else axis for name, axis in space.items()}

    @property
    def conditions(self) -> dict[str, Condition]:
        """The condition of each field that only some trials have."""
        return _conditions(self.space or {})


def _field(fields: Fields, name: str) -> JobField:
    if name not in fields:
        raise KeyedError(name, f"unknown training field; {did_you_mean(name, fields)}")
    if not fields[name].is_searchable:
        raise KeyedError(
            name, "can only be fixed in [training]: its type is none of int, float, bool and text"
        )
    return fields[name]


def _check_value(field: JobField, value: Any, key: str | None = None) -> Value:
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


def _check_axis(fields: Fields, name: str, entry: Any) -> list[Value] | Choices | Interval:
    field = _field(fields, name)
    if not isinstance(entry, dict):
        return _check_choices(field, entry)
    if "choices" not in entry:
        return _with_typed_condition(fields, _check_interval(field, entry))
    choices = _with_typed_condition(fields, _check_table(name, entry, Choices))
    checked = _check_choices(field, choices.choices)
    return checked if choices.when is None else choices.model_copy(update={"choices": checked})


def _with_typed_condition(fields: Fields, axis: AnyConditional) -> AnyConditional:
    if axis.when is None:
        return axis
    typed = {name: [_as_field(fields, name, one) for one in values] for name, values in axis.when.items()}
    return axis.model_copy(update={"when": typed})


def _conditions(space: dict[str, list[Value] | Choices | Interval]) -> dict[str, Condition]:
    return {name: axis.when for name, axis in space.items() if isinstance(axis, Conditional) and axis.when}


def _choices(axis: list[Value] | Choices | Interval) -> list[Value] | None:
    return None if isinstance(axis, Interval) else axis.choices if isinstance(axis, Choices) else axis


def _check_choices(field: JobField, values: Any) -> list[Value]:
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
    checked = [_check_value(field, value) for value in values]
    for value in checked:
        if checked.count(value) > 1:
            raise KeyedError(name, f"has the value {value!r} twice; remove one")
    return checked


def _check_interval(field: JobField, entry: dict[str, Any]) -> Interval:
    name = field.name
    if not field.is_number:
        raise KeyedError(name, "has no range, as it is no number; write a list of its values")
    ends = {end: _check_value(field, entry[end], f"{name}.{end}") for end in ("low", "high") if end in entry}
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
