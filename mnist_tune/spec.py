"""A study's specification: TOML to a typed, checked spec. Knows no storage and no Optuna."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from mnist_tune.configuration import DataConfig, Optimizer, Precision, TrainingConfig
from mnist_tune.documents import KeyedError, Section, complaint, describe, did_you_mean, load, validate

Value = bool | int | float | str
MAX_CELLS = 100_000

Seed = Annotated[int, Field(ge=0, lt=2**32)]


class Study(Section):
    """[study]"""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]


class Training(Section):
    """[training]: the fields of `TrainingConfig`, with the range each may take."""

    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = TrainingConfig.learning_rate
    batch_size: Annotated[int, Field(ge=1, le=60_000)] = TrainingConfig.batch_size
    optimizer: Optimizer = TrainingConfig.optimizer
    epochs: Annotated[int, Field(ge=1, le=1_000)] = TrainingConfig.epochs
    seed: Seed = TrainingConfig.seed
    precision: Precision = TrainingConfig.precision


class Data(Section):
    """[data]: how the 60,000 training images are divided; the test images are not part of it."""

    train_size: Annotated[int, Field(ge=10, le=60_000)] = DataConfig.train_size
    validation_size: Annotated[int, Field(ge=10, le=60_000)] = DataConfig.validation_size
    split_seed: Seed = DataConfig.split_seed

    @model_validator(mode="after")
    def _fit_into_the_training_images(self) -> Self:
        if self.train_size + self.validation_size > 60_000:
            raise ValueError(
                f"train_size + validation_size is {self.train_size + self.validation_size:,}, "
                "but there are 60,000 training images; make one smaller"
            )
        return self


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
    seed: Seed | None = None

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
                if getattr(self, key) is not None:
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


class Lease(Section):
    """[lease]: how long a silent worker keeps its trial, in seconds.

    The defaults let a worker miss five heartbeats in a row (a stalled disk, a suspended laptop's first
    seconds) before its cell is given to another.
    """

    heartbeat_interval: Annotated[float, Field(gt=0)] = 10.0
    grace_period: Annotated[float, Field(gt=0)] = 60.0

    @model_validator(mode="after")
    def _grace_outlasts_heartbeats(self) -> Self:
        if self.grace_period < 3 * self.heartbeat_interval - 1e-9:  # 3 * 0.1 is a little more than 0.3
            raise KeyedError(
                "grace_period", f"must be at least 3 heartbeat intervals ({3 * self.heartbeat_interval:g})"
            )
        return self


class Retry(Section):
    """[retry]: how often a cell is tried again after each kind of failure. -1 is without limit."""

    lost: Annotated[int, Field(ge=-1)] = 3
    preempted: Annotated[int, Field(ge=-1)] = -1
    exception: Annotated[int, Field(ge=-1)] = 3
    out_of_memory: Annotated[int, Field(ge=-1)] = 3
    non_finite: Annotated[int, Field(ge=-1)] = 0


class Spec(Section):
    """A whole study."""

    study: Study
    search: Search
    training: Training = Training()
    data: Data = Data()
    lease: Lease = Lease()
    retry: Retry = Retry()

    @model_validator(mode="after")
    def _axes_are_not_also_fixed(self) -> Self:
        for name in self.search.axes:
            if name in self.training.model_fields_set:
                table = "grid" if self.search.grid else "space"
                raise KeyedError(
                    f"training.{name}", f"is also searched in [search.{table}]; remove one of the two"
                )
        return self

    @property
    def n_cells(self) -> int:
        """How many cells the study has, each to end exactly once."""
        if self.search.grid is not None:
            return math.prod(len(values) for values in self.search.grid.values())
        assert self.search.n_trials is not None
        return self.search.n_trials

    def named(self, name: str | None) -> Spec:
        """This spec under another study name."""
        if name is None:
            return self
        study = validate(Study, {"name": name}, "--name")
        return self.model_copy(update={"study": study})

    def document(self) -> dict[str, Any]:
        """This spec with its defaults written out, as plain data that reads back as the same spec."""
        # A searched field has no value of its own in [training].
        searched = {"training": set(self.search.axes)}
        return self.model_dump(mode="json", exclude=searched, exclude_none=True)

    def training_config(self, parameters: dict[str, Any]) -> TrainingConfig:
        """The configuration of the cell with these parameters."""
        return TrainingConfig(**(self.training.model_dump() | parameters))


def load_spec(path: Path) -> Spec:
    """Read a study's TOML file.

    Raises:
        UserError: one line that names the file, the key and the remedy.
    """
    return load(path, Spec)


def differences(stored: Spec, given: Spec) -> list[str]:
    """What two specs of one name disagree in, one phrase a key."""
    ours, theirs = (dict(_leaves(spec.document())) for spec in (given, stored))
    return [
        f"{key} is {_shown(theirs.get(key))} there and {_shown(ours.get(key))} here"
        for key in dict.fromkeys([*theirs, *ours])
        if theirs.get(key) != ours.get(key)
    ]


def _leaves(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _shown(value: Any) -> str:
    return "absent" if value is None else str(value)


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
    return interval
