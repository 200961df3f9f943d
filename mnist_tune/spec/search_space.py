"""[search]: what a study varies; each value is checked against its training field."""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from mnist_tune.jobs.fields import Fields
from mnist_tune.jobs.hyperparameters import Seed
from mnist_tune.spec.axes import (
    Choices,
    Interval,
    check_axis,
    check_choices,
    check_value,
    choices_of,
    conditions_of,
    field_named,
)
from mnist_tune.spec.conditions import SEED, Condition, Value, check_conditions
from mnist_tune.spec.documents import KeyedError, Section
from mnist_tune.spec.points import check_points
from mnist_tune.spec.revisions import Point, Revision, Stage, all_values, is_in, stages
from mnist_tune.spec.sampler_options import OF_SAMPLERS, Options, SamplerName, check_options
from mnist_tune.spec.sections import AtLeast1

MAX_CELLS = 100_000


class Search(Section):
    """[search]: which points are tried. A grid tries all of them; the other samplers try `n_trials`."""

    fields: ClassVar[Fields]
    """The fields of the job; each job has a class of its own."""

    sampler: SamplerName = "grid"
    grid: dict[str, list[Value]] | None = None
    space: dict[str, list[Value] | Choices | Interval] | None = None
    n_trials: Annotated[int, Field(ge=1, le=MAX_CELLS)] | None = None
    seed: Seed = 0
    duplicates: Literal["redraw", "reuse", "train"] | None = None
    """What becomes of a trial for which a sampler draws the parameters of another one. None is as in studies
    that were made before there was the key: it is trained too.
    """
    n_startup_trials: AtLeast1 | None = None
    """After how many finished trials the sampler begins to learn; None is Optuna's default."""
    qmc_type: Literal["sobol", "halton"] | None = None
    """Which sequence "qmc" follows; None is Optuna's default, Sobol's."""
    scramble: bool | None = None
    """Whether `seed` shifts that sequence; None is Optuna's default, not."""
    options: Options | None = None
    """What an installed sampler is given by name."""
    enqueue: list[Point] | None = None
    """Known points: the first trials of a sampled search, or cells of a grid beside its combinations."""
    revisions: list[Revision] | None = None
    """How the search has grown since the study was made, oldest first."""

    @field_validator("grid", mode="before")
    @classmethod
    def _check_grid(cls, grid: Any) -> Any:
        if not isinstance(grid, dict):
            return grid
        if not grid:
            raise ValueError("has no axis; write e.g. learning_rate = [0.001, 0.0001]")
        fields = {name: field_named(cls.fields, name) for name in grid}
        checked = {name: check_choices(fields[name], values) for name, values in grid.items()}
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
        checked = {name: check_axis(cls.fields, name, entry) for name, entry in space.items()}
        check_conditions(conditions_of(checked), {name: choices_of(axis) for name, axis in checked.items()})
        return checked

    @model_validator(mode="after")
    def _sampler_has_what_it_needs(self) -> Self:
        if self.sampler == "grid":
            if self.grid is None:
                raise KeyedError("grid", "missing; write the axes under [search.grid]")
            for key in ("space", "n_trials", "seed", "duplicates", *OF_SAMPLERS):
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
        check_options(self.sampler, {key for key in OF_SAMPLERS if getattr(self, key) is not None})
        ranges = [name for name, axis in self.axes.items() if isinstance(axis, Interval) and not axis.when]
        if self.sampler == "cmaes" and not ranges:
            raise KeyedError(
                "sampler", '"cmaes" needs a field with a range and without a condition; write "tpe"'
            )
        return self

    @field_validator("enqueue", mode="before")
    @classmethod
    def _are_typed(cls, points: Any) -> Any:
        if not isinstance(points, list) or not all(isinstance(point, dict) for point in points):
            return points
        return [
            {
                name: check_value(field_named(cls.fields, name), value, f"{number}.{name}")
                for name, value in point.items()
            }
            for number, point in enumerate(points)
        ]

    @model_validator(mode="after")
    def _points_and_revisions_fit(self) -> Self:
        if self.grid is not None:
            check_points(self.enqueue or [], dict.fromkeys(self.grid), {}, whole=True)
            try:
                stages(self.grid, self.enqueue or [], self.revisions or [])
            except ValueError as problem:
                raise KeyedError("revisions", str(problem)) from None
        elif self.n_trials is not None:
            check_points(self.enqueue or [], self.axes, self.conditions)
            if len(self.enqueue or []) > self.n_trials:
                raise KeyedError(
                    "enqueue", f"has {len(self.enqueue or [])} points, more than n_trials = {self.n_trials}"
                )
            if sum(revision.n_trials for revision in self.revisions or ()) >= self.n_trials:
                raise KeyedError("revisions", "have added more trials than there are")
            closed = self.closed_cells
            if len(closed) != self.n_closed or max(closed, default=0) >= self.n_trials:
                raise KeyedError("revisions", "have closed cells twice, or cells that there are not")
        return self

    @property
    def axes(self) -> dict[str, list[Value] | Interval]:
        """The values or interval of each searched field, with or without a condition."""
        if self.grid is not None:
            return {**all_values(self.stages)} if self.is_grown else {**self.grid}
        space = self.space or {}
        return {name: axis.choices if isinstance(axis, Choices) else axis for name, axis in space.items()}

    @property
    def is_grown(self) -> bool:
        """Whether there is more than a grid as it was written, or tickets without known points."""
        return bool(self.enqueue or self.revisions)

    @property
    def first_points(self) -> list[Point]:
        """The known points with which the study was made."""
        later = sum(revision.points for revision in self.revisions or ())
        points = self.enqueue or []
        return points[: len(points) - later]

    @property
    def has_replicates(self) -> bool:
        """Whether known points have seeds that a sampled search does not draw."""
        return SEED not in self.axes and any(SEED in point for point in self.enqueue or ())

    @property
    def stages(self) -> list[Stage]:
        """What a grid was before each of its revisions, and what it is now."""
        return stages(self.grid or {}, self.enqueue or [], self.revisions or [])

    @property
    def n_cells(self) -> int:
        """How many cells there are: a grid's combinations with the points beside them, or open tickets."""
        if self.grid is None:
            return (self.n_trials or 0) - self.n_closed
        beside = sum(not is_in(self.grid, point) for point in self.enqueue or [])
        return math.prod(len(values) for values in self.grid.values()) + beside

    @property
    def n_raced(self) -> int:
        """How many of the cells a race over seeds has added."""
        return sum(revision.points for revision in self.revisions or () if revision.race is not None)

    @property
    def n_closed(self) -> int:
        """How many tickets of a sampled search were closed, since nothing was left to draw."""
        return sum(revision.n_closed for revision in self.revisions or ())

    @property
    def closed_cells(self) -> set[int]:
        """The cells that were closed: no number is given to a cell twice."""
        rows = (row for revision in self.revisions or () for row in revision.closed)
        return {cell for first, last in rows for cell in range(first, min(last, MAX_CELLS) + 1)}

    @property
    def cells(self) -> list[int]:
        """The numbers of the cells that there are."""
        closed = self.closed_cells
        return [cell for cell in range(self.n_cells + len(closed)) if cell not in closed]

    @property
    def cells_told(self) -> str:
        """Which numbers the cells have, in words."""
        without = f", without the {self.n_closed:,} that were left out" if self.n_closed else ""
        return f"0 to {self.n_cells + self.n_closed - 1}{without}"

    @property
    def conditions(self) -> dict[str, Condition]:
        """The condition of each field that only some trials have."""
        return conditions_of(self.space or {})
