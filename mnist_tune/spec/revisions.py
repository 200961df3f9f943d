"""How a search has grown: each revision says what it added, so that each stage before it is known.

Values are appended to an axis, points to the list of points. So a stage is what is there now without what
the later revisions have added. An axis that a revision made had one value until then, the first of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from mnist_tune.jobs.hyperparameters import Count
from mnist_tune.spec.conditions import SEED, Value
from mnist_tune.spec.documents import Section
from mnist_tune.spec.rounds import Round
from mnist_tune.text.wording import counted

Point = dict[str, Value]
"""Values by the field that has them."""
Grid = dict[str, list[Value]]


class Revision(Section):
    """What was added to a study at one time, or which of its cells were closed."""

    id: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
    """Who asks a second time, since no answer came, is known by it."""
    when: Annotated[str, Field(max_length=40)]
    """In ISO 8601, in UTC."""
    version: Annotated[str, Field(max_length=100)]
    """The version of the mnist-tune that did it."""
    values: dict[str, list[Value]] = Field(default_factory=dict)
    """What was appended to axes of the grid. An axis that was new had one value before."""
    points: Count = 0
    """How many points were appended to [search] enqueue."""
    n_trials: Count = 0
    """How many trials a sampled search was given."""
    epochs: Count = 0
    """How many more epochs each trial has since."""
    going_on: Count = 0
    """How many trials that were complete go on for them, each as a new attempt at its cell."""
    cells: Count
    """How many cells were added by all this."""
    race: Round | None = None
    """The judgement after which a race over seeds added the points, or ended."""

    closed: list[Annotated[list[Count], Field(min_length=2, max_length=2)]] = Field(default_factory=list)
    """Cells for which a sampler had nothing left to draw: the first and the last of each row of them."""
    configurations: Count = 0
    """How many configurations the space has, all of which are cells. 0: it has others, but none with the
    values that a closed cell was given.
    """

    @property
    def n_closed(self) -> int:
        """How many cells were closed."""
        return sum(last - first + 1 for first, last in self.closed)

    @property
    def told(self) -> str:
        """What was added, in words."""
        if self.race is not None:
            return _told_of_race(self.race, self.cells)
        if self.closed:
            has = f"the space has only {counted(self.configurations, 'configuration')}"
            why = has if self.configurations else "every configuration with its values is a cell already"
            return f"{counted(self.n_closed, 'trial')} left out: {why}"
        parts = [f"{name} = {', '.join(map(str, values))}" for name, values in self.values.items() if values]
        parts += [counted(self.points, "point")] if self.points else []
        more = self.n_trials - self.points
        parts += [counted(more, "trial")] if more > 0 else []
        parts += [f"{counted(self.epochs, 'more epoch')} for each trial"] if self.epochs else []
        notes = [counted(self.cells, "cell")] if self.cells or not self.epochs else []
        notes += (
            [f"{self.going_on:,} {'was' if self.going_on == 1 else 'were'} complete"] if self.going_on else []
        )
        return f"{'; '.join(parts)} ({', '.join(notes)})" if notes else "; ".join(parts)


class Stage(NamedTuple):
    """A grid and the points beside it, as they were after one revision."""

    grid: Grid
    points: list[Point]


def stages(grid: Grid, points: Sequence[Point], revisions: Sequence[Revision]) -> list[Stage]:
    """Every stage of a grid, the first one first; the last is what there is now.

    Raises:
        ValueError: a revision says that something was added that is not there.
    """
    found = [Stage({name: list(values) for name, values in grid.items()}, list(points))]
    for revision in reversed(revisions):
        later = found[-1]
        earlier = dict(later.grid)
        for name, added in revision.values.items():
            kept = earlier.get(name, [])[: -len(added) or None]
            if not kept or [*kept, *added] != earlier[name]:
                raise ValueError(f"a revision has added {name} = {added}, which the axis does not end with")
            earlier[name] = kept
        if revision.points > len(later.points):
            raise ValueError(f"a revision has added {revision.points} points, more than there are")
        found.append(Stage(earlier, later.points[: len(later.points) - revision.points]))
    return found[::-1]


def all_values(grown: Iterable[Stage]) -> Grid:
    """The values of each axis, those of points too, each where it first came up: its place never changes."""
    found: dict[str, dict[Value, None]] = {}
    for stage in grown:
        for name, values in stage.grid.items():
            of_points = (point[name] for point in stage.points)
            found.setdefault(name, {}).update(dict.fromkeys([*values, *of_points]))
    return {name: list(values) for name, values in found.items()}


def is_in(grid: Mapping[str, Sequence[Any]], point: Mapping[str, Any]) -> bool:
    """Whether a point is one of a grid's combinations."""
    return point.keys() == grid.keys() and all(point[name] in values for name, values in grid.items())


def _told_of_race(judged: Round, cells: int) -> str:
    """What a judgement of a race has come to, in words."""
    if judged.explored:
        more = f"{counted(cells, 'seed')} more"
        return f"race: {len(judged.chosen):,} of {judged.explored:,} trials take part; {more}"
    left, n = len(judged.out), len(judged.still_in)
    of = f"race after {counted(judged.seeds, 'seed')}: {left:,} out, {n:,} still in"
    if judged.ending is not None:
        return f"{of}; it is over: {judged.ending}"
    return f"{of}; {counted(cells, 'seed')} more"


def without_seed(point: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of a point: a seed only repeats it."""
    return {name: value for name, value in point.items() if name != SEED}


def key_of_point(point: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """A hashable key for a point: equal for equal points."""
    return tuple(sorted(point.items()))
