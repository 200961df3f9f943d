"""[search]: what a study varies, each value checked against the training field it is for."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from mnist_tune.documents import KeyedError, Section, complaint, describe, did_you_mean
from mnist_tune.sections import Seed, Training, is_integer

Value = bool | int | float | str
MAX_CELLS = 100_000
MAX_VALUES = 1_000
"""Of one axis: Optuna stores the whole axis with every cell."""


class Interval(Section):
    """A range to sample from, e.g. {low = 1e-5, high = 1e-2, log = true}."""

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = None

    @model_validator(mode="after")
    def _is_an_interval(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low = {self.low} must be less than high = {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"low = {self.low} must be above 0 when log = true")
        if self.log and self.step is not None:
            raise ValueError("step and log = true exclude each other; remove one")
        if self.step is not None and self.step <= 0:
            raise ValueError(f"step = {self.step} must be above 0")
        return self


class Search(Section):
    """[search]: which points are tried. A grid tries all; the other samplers try `n_trials`."""

    sampler: Literal["grid", "random", "tpe"] = "grid"
    grid: dict[str, list[Value]] | None = None
    space: dict[str, list[Value] | Interval] | None = None
    n_trials: Annotated[int, Field(ge=1, le=MAX_CELLS)] | None = None
    seed: Seed = 0

    @field_validator("grid", mode="before")
    @classmethod
    def _check_grid(cls, grid: Any) -> Any:
        if not isinstance(grid, dict):
            return grid
        if not grid:
            raise ValueError("has no axis; write e.g. learning_rate = [0.001, 0.0001]")
        checked = {name: _check_choices(name, values) for name, values in grid.items()}
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
        return {
            name: _check_interval(name, entry) if isinstance(entry, dict) else _check_choices(name, entry)
            for name, entry in space.items()
        }

    @model_validator(mode="after")
    def _sampler_has_what_it_needs(self) -> Self:
        if self.sampler == "grid":
            if self.grid is None:
                raise KeyedError("grid", "missing; write the axes under [search.grid]")
            for key in ("space", "n_trials", "seed"):
                if key in self.model_fields_set:
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
        return self

    @property
    def axes(self) -> dict[str, list[Value]] | dict[str, list[Value] | Interval]:
        """What is searched: field name to its values or interval."""
        return self.grid or self.space or {}


def _check_value(name: str, value: Any) -> Value:
    if name not in Training.model_fields:
        raise KeyedError(name, f"unknown training field; {did_you_mean(name, Training.model_fields)}")
    try:
        checked: Value = getattr(Training.model_validate({name: value}), name)
    except ValidationError as error:
        raise KeyedError(name, complaint(error.errors()[0])) from None
    return checked


def _check_choices(name: str, values: Any) -> list[Value]:
    if not isinstance(values, list):
        raise KeyedError(name, f"should be a list of values, not {values!r}; write {name} = [{values!r}]")
    if not values:
        raise KeyedError(name, "has no values; write at least one, or remove the axis")
    if len(values) > MAX_VALUES:
        raise KeyedError(
            name, f'has {len(values):,} values, more than {MAX_VALUES:,}; sample them with sampler = "random"'
        )
    checked = [_check_value(name, value) for value in values]
    for value in checked:
        if checked.count(value) > 1:
            raise KeyedError(name, f"has the value {value!r} twice; remove one")
    return checked


def _check_interval(name: str, entry: dict[str, Any]) -> Interval:
    try:
        interval = Interval.model_validate(entry)
    except ValidationError as error:
        key, problem = describe(error.errors()[0], Interval)
        raise KeyedError(f"{name}.{key}" if key else name, problem) from None
    for end in (interval.low, interval.high):
        _check_value(name, end)
    if is_integer(name) and not isinstance(interval.step or 1, int):
        raise KeyedError(f"{name}.step", f"should be a whole number, not {interval.step!r}, as {name} is one")
    return interval
