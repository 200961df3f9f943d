"""How a search may grow: by values of axes, seeds, trials and points. Nothing is ever taken away."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pydantic import Field

from mnist_tune import __version__
from mnist_tune.errors import UserError
from mnist_tune.spec.axes import MAX_VALUES, check_choices, check_value, field_named
from mnist_tune.spec.conditions import SEED, Value
from mnist_tune.spec.documents import KeyedError, Section, validate
from mnist_tune.spec.more_epochs import EPOCHS, OF_HYPERBAND, why_none
from mnist_tune.spec.points import check_point
from mnist_tune.spec.pruner_options import Hyperband
from mnist_tune.spec.replicates import seeded
from mnist_tune.spec.revisions import Grid, Point, Revision, is_in, key_of_point, without_seed
from mnist_tune.spec.rounds import Round
from mnist_tune.spec.sections import AtLeast1
from mnist_tune.spec.study_spec import Spec

GIVEN_BY_RACE = "[replicates] gives the seeds of this study: its race adds them where they tell something"


class Amount(Section):
    """How many of something: so many in all or, with `more`, so many more than there are."""

    number: AtLeast1
    more: bool = False

    def missing(self, there: int) -> int:
        """How many are to be added where there are `there`."""
        return self.number if self.more else max(0, self.number - there)


class Growth(Section):
    """What a study is to be given in addition."""

    n_trials: Amount | None = None
    """Trials of a sampled search."""
    values: dict[str, list[Value]] = Field(default_factory=dict)
    """Values of a grid's axes; an axis that is new has the value too that all cells had before."""
    seeds: Amount | None = None
    """Seeds of each configuration of a grid."""
    points: list[Point] = Field(default_factory=list)
    """Points that are known. One of a grid may name a field that is no axis yet."""
    epochs: Amount | None = None
    """Epochs of each trial, also of those that have ended."""

    @property
    def command(self) -> str:
        """What a person has typed for it."""
        return "extend" if self.n_trials or self.values or self.seeds or self.epochs else "enqueue"


class Grown(NamedTuple):
    """A spec with more in it, and what that is."""

    spec: Spec
    revision: Revision | None
    """What was added; None if all of it was there."""
    known: list[Point]
    """Those points that were cells already."""


@dataclass(frozen=True)
class Step:
    """Who lets a study grow, and when; see `Revision`."""

    id: str = "0" * 32
    when: str = ""
    version: str = ""
    source: str = "extend"
    """What errors begin with: the command."""
    race: Round | None = None
    """The judgement of a race that adds the points."""

    @classmethod
    def now(cls, source: str, revision: str | None = None, race: Round | None = None) -> Step:
        """A step at this moment by this version, with the id that a caller has made, or a new one."""
        when = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(revision or secrets.token_hex(16), when, __version__, source, race)


def grown(
    spec: Spec, wanted: Growth, step: Step | None = None, there: Sequence[Mapping[str, Any]] = ()
) -> Grown:
    """The spec with what is wanted. `there` has parameters of trials: such a point is a cell already.

    Raises:
        UserError: a value does not fit its field, or the search cannot grow in this way.
    """
    step = step or Step()
    document = spec.document()
    search = document["search"]
    if step.race is None:
        points, known = _new_points(spec, wanted, step.source, there)
    else:  # their seeds are new
        points, known = wanted.points, []
    before = spec.search.enqueue or []
    added: dict[str, Any] = {"points": len(points)}
    try:
        if wanted.epochs is not None:
            added[EPOCHS] = _more_epochs(spec, wanted)
            document["training"][EPOCHS] += added[EPOCHS]
        if spec.search.grid is None:
            added["n_trials"] = _more_trials(spec, wanted) + len(points)
            search["n_trials"] += added["n_trials"]
        else:
            grid, added["values"] = _more_values(spec, wanted)
            for name in {name: None for point in points for name in point if name not in grid}:
                grid[name], added["values"][name] = [_default(spec, name)], []
            search["grid"] = grid if spec.replicates is None else without_seed(grid)
            document["training"] = {
                name: value for name, value in document["training"].items() if name not in search["grid"]
            }
            defaults = {name: grid[name][0] for name in added["values"] if name not in spec.search.grid}
            before, points = ([defaults | point for point in some] for some in (before, points))
    except KeyedError as error:
        raise UserError(f"{step.source}: {error.key}: {error}") from None
    if not any(added.values()) and step.race is None:
        return Grown(spec, None, known)
    if before or points:
        search["enqueue"] = [*before, *points]
    added |= {"id": step.id, "when": step.when, "version": step.version, "cells": 0}
    if step.race is not None:
        added["race"] = step.race.model_dump(mode="json", exclude_defaults=True)
    # How many cells it adds is known only when the new search is: it is counted without that number first.
    search["revisions"] = [*spec.revisions, added]
    uncounted = validate(type(spec), document, step.source)
    added["cells"] = uncounted.n_cells - spec.n_cells
    now = validate(type(spec), document, step.source)
    if isinstance(spec.pruner, Hyperband) and now.most_epochs != spec.most_epochs:
        raise UserError(f"{step.source}: epochs: {OF_HYPERBAND}")
    return Grown(now, (now.search.revisions or [])[-1], known)


def with_last_revision(spec: Spec, revision: Revision) -> Spec:
    """The spec with another account of its last revision."""
    revisions = [*(spec.search.revisions or ())[:-1], revision]
    return spec.model_copy(update={"search": spec.search.model_copy(update={"revisions": revisions})})


def typed_point(spec: Spec, point: Mapping[str, Any]) -> Point:
    """A point with each value in its field's type, if the search can use it.

    Raises:
        KeyedError: which field is wrong, and why.
    """
    fields, search = spec.description.fields, spec.search
    typed = {name: check_value(field_named(fields, name), value) for name, value in point.items()}
    # What all cells have is nothing that a point need say.
    fixed = {name: getattr(spec.training, name) for name in typed if name not in search.axes}
    typed = {name: value for name, value in typed.items() if name not in fixed or value != fixed[name]}
    if search.grid is None:
        for name in (typed.keys() & fixed.keys()) - {SEED}:
            raise KeyedError(name, f"is {fixed[name]!r} in this study, and is not searched; leave it out")
        check_point(typed, search.axes, search.conditions)
    else:
        # An axis that came later had one value before, which the cells of that time have.
        first = {name: values[0] for name, values in search.stages[0].grid.items() if len(values) == 1}
        typed = first | typed
        check_point(typed, dict.fromkeys([*search.grid, *typed]), {}, whole=True)
    return {name: typed[name] for name in (*search.axes, *fixed) if name in typed}


def _new_points(
    spec: Spec, wanted: Growth, source: str, there: Sequence[Mapping[str, Any]]
) -> tuple[list[Point], list[Point]]:
    """The points that are no cells yet, and those that are."""
    new: list[Point] = []
    known: list[Point] = []
    cells = {key_of_point(point) for point in (*there, *(spec.search.enqueue or ()))}
    seeds = spec.seeds_of_race
    for point in seeded(wanted.points, seeds) if seeds else wanted.points:
        try:
            typed = typed_point(spec, point)
        except KeyedError as error:
            raise UserError(f"{source}: {error.key}: {error}") from None
        grid, key = spec.search.grid, key_of_point(typed)
        is_there = key in cells or (grid is not None and is_in(grid, typed))
        (known if is_there else new).append(typed)
        cells.add(key)
    return new, known


def _more_trials(spec: Spec, wanted: Growth) -> int:
    """How many trials a sampled search is given. Raises KeyedError."""
    for name in wanted.values:
        raise KeyedError(name, "the study samples its points; give it more trials with --n-trials")
    if wanted.seeds is not None:
        if spec.replicates is not None:
            raise KeyedError("seeds", GIVEN_BY_RACE)
        raise KeyedError("seeds", "the study samples its points; name how many of the best with --top")
    there = (spec.search.n_trials or 0) - spec.search.n_raced
    return 0 if wanted.n_trials is None else wanted.n_trials.missing(there)


def _more_values(spec: Spec, wanted: Growth) -> tuple[Grid, Grid]:
    """The axes of a grid with what they are given, and what that is. Raises KeyedError."""
    assert spec.search.grid is not None
    if wanted.n_trials is not None:
        raise KeyedError(
            "n_trials", "the study is a grid; give it more values with --add FIELD=VALUE or --seeds"
        )
    grid = {name: list(values) for name, values in spec.search.grid.items()}
    if spec.replicates is not None and (wanted.seeds is not None or SEED in wanted.values):
        raise KeyedError("seeds", GIVEN_BY_RACE)
    asked: dict[str, Sequence[Any]] = dict(wanted.values)
    if wanted.seeds is not None:
        if SEED in asked:
            raise KeyedError(SEED, "values and a number of seeds are named; leave out one of the two")
        asked[SEED] = next_seeds(grid.get(SEED, [spec.training.seed]), wanted.seeds)
    added: Grid = {}
    for name, values in asked.items():
        if not values:
            continue
        typed = check_choices(field_named(spec.description.fields, name), list(values))
        axis = grid.get(name) or [_default(spec, name)]
        if not (new := [value for value in typed if value not in axis]):
            continue
        if name == "epochs" and isinstance(spec.pruner, Hyperband):
            raise KeyedError(name, OF_HYPERBAND)
        grid[name], added[name] = [*axis, *new], new
    return grid, added


def _more_epochs(spec: Spec, wanted: Growth) -> int:
    """How many more epochs each trial is given. Raises KeyedError."""
    assert wanted.epochs is not None
    if (why := why_none(spec)) is not None:
        raise KeyedError(EPOCHS, why)
    if EPOCHS in wanted.values:
        raise KeyedError(EPOCHS, "values and a number of epochs are named; leave out one of the two")
    return wanted.epochs.missing(spec.training.epochs)


def next_seeds(there: Sequence[Any], amount: Amount) -> list[int]:
    """Seeds that a configuration with the seeds `there` is given: those that follow the largest.

    Raises:
        KeyedError: there would be more than an axis may have.
    """
    first, count = max(there) + 1, amount.missing(len(there))
    if count > MAX_VALUES:
        raise KeyedError(SEED, f"{count:,} more are too many; write at most {MAX_VALUES:,}")
    return list(range(first, first + count))


def _default(spec: Spec, name: str) -> Value:
    """The value that all cells have of a field that is no axis yet. Raises KeyedError."""
    value: Value | None = getattr(spec.training, name)
    if value is None:
        raise KeyedError(name, "the cells that there are have no value of it; make another study")
    return value
