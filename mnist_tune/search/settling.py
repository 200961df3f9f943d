"""A study's race over seeds: who takes part, whether a round is to be judged, and what follows from it.

The configurations that are still in the race are compared by their first seeds, as many as all of them have
been given. Those that are then still in, and have been given no more, get the next seed. So configurations
that a study is given later catch up seed by seed, and may be out before they have.

Looking at the same seeds of two configurations again costs nothing of the level: it is the same test, and its
level never rises.

Of a sampled search the best trials are chosen first. They were chosen since their values were high, by luck
too. So the seed of these trials is not looked at in the race: each gets as many others as it starts with.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from mnist_tune.search.ended_cells import Ended, whole
from mnist_tune.search.race import Judgement, Rival, judge
from mnist_tune.spec.conditions import SEED
from mnist_tune.spec.revisions import Point, key_of_point, without_seed
from mnist_tune.spec.rounds import Compared, Round, rounded
from mnist_tune.spec.sections import Replicates
from mnist_tune.spec.study_spec import Spec


@dataclass(frozen=True)
class Entry:
    """A configuration with its cells."""

    parameters: dict[str, Any]
    """Without the seed."""
    cells: dict[int, int]
    """Its cells by seed: the first, and those that follow it without a gap."""

    @property
    def cell(self) -> int:
        """The cell of its first seed, by which a record names it."""
        return next(iter(self.cells.values()))


class NextRound(NamedTuple):
    """A judgement that is to be stored, and the cells that follow from it."""

    judged: Round
    points: list[Point]


class Race:
    """The race of one study, as its record and its cells say at one moment."""

    def __init__(self, spec: Spec, cells: Iterable[Ended]) -> None:
        """`cells` are all of the study's; the spec has a table [replicates]."""
        assert spec.replicates is not None
        self.rules: Replicates = spec.replicates
        self.spec = spec
        self._ended = {each.cell: each for each in whole(spec, cells)}

    @property
    def first_seed(self) -> int:
        """The first of the seeds that are looked at."""
        return int(self.spec.training.seed) + (self.spec.search.grid is None)

    @cached_property
    def _record(self) -> list[Round]:
        return [one.race for one in self.spec.search.revisions or () if one.race is not None]

    @cached_property
    def rounds(self) -> list[Round]:
        """What was judged so far, oldest first."""
        return [one for one in self._record if not one.explored]

    @cached_property
    def entries(self) -> dict[int, Entry]:
        """The configurations that take part or did, by the cells that records name them by."""
        first, start = self.first_seed, self.rules.start
        found: dict[Any, tuple[dict[str, Any], dict[int, int]]] = {}
        for _, each in sorted(self._ended.items()):
            parameters = without_seed(each.parameters)
            _, seeds = found.setdefault(key_of_point(parameters), (parameters, {}))
            seeds.setdefault(each.parameters[SEED], each.cell)
        entries = []
        for parameters, seeds in found.values():
            n = next(n for n in range(len(seeds) + 1) if first + n not in seeds)
            if n >= start:
                cells = {seed: seeds[seed] for seed in range(first, first + min(n, self.rules.max))}
                entries.append(Entry(parameters, cells))
        return {entry.cell: entry for entry in entries}

    @cached_property
    def still_in(self) -> list[Entry]:
        """The configurations that no judgement has put out."""
        out = {cell for judged in self.rounds for cell in judged.out}
        return [entry for cell, entry in self.entries.items() if cell not in out]

    @property
    def n_rivals(self) -> int:
        """How many others each configuration had when the race was largest."""
        entered = {cell for judged in self.rounds for cell in judged.compared}
        return len(entered | set(self._with_values)) - 1

    @property
    def level_in_all(self) -> float:
        """The chance, at most, that the truly best configuration was dropped, in all rounds so far together.

        It is the level as long as all have entered at once. Those that join later have an equal part of the
        level each, but the others' parts are spent by then.
        """
        entered: set[int] = set()
        parts = 0.0
        for judged in self.rounds:
            new = set(judged.compared) - entered
            n_rivals = len(entered | new) - 1
            if n_rivals:
                parts += len(new) / n_rivals if entered else 1.0
            entered |= new
        return min(1.0, self.rules.level * parts) if self.rounds else self.rules.level

    @property
    def is_to_choose(self) -> bool:
        """Whether the next judgement chooses trials of a sampled search, and compares nothing."""
        return self._choice is not None

    @property
    def n_seeds(self) -> int:
        """How many seeds the next judgement looks at: as many as all that are still in have been given."""
        return min((len(entry.cells) for entry in self.still_in), default=0)

    @property
    def is_over(self) -> bool:
        """Whether nothing follows any more, if all cells have ended."""
        if self.is_to_choose:
            return False
        if not self._with_values:  # nothing can be compared
            return True
        if not self.rounds or self.rounds[-1].ending is None:
            return False
        return {entry.cell for entry in self.still_in} <= set(self.rounds[-1].still_in)

    def next_round(self) -> NextRound | None:
        """The judgement that is due now that all cells have ended; None if the race is over."""
        if self._choice is not None:
            return self._choice
        if self.is_over:
            return None
        n_seeds, racing = self.n_seeds, self._with_values
        values = {cell: self._values(self.entries[cell], n_seeds) for cell in racing}
        if not values:
            return None
        sign, step = self.spec.description.sign, self.spec.step
        judgement = judge(values, self.rules, n_seeds, self.n_rivals, sign=sign, step=step)
        missing = [
            cell
            for entry in self.still_in
            for cell in list(entry.cells.values())[:n_seeds]
            if self._ended[cell].value is None
        ]
        dropped = [entry.cell for entry in self.still_in if entry.cell not in values]
        judged = _as_stored(judgement, n_seeds, dropped, sorted(missing))
        return NextRound(judged, self._points(judged))

    @cached_property
    def _choice(self) -> NextRound | None:
        """Which trials of a sampled search take part, if some of them have ended since the last choice."""
        n_explored = self.spec.n_cells - self.spec.search.n_raced
        if self.rules.of_top is None or any(one.explored == n_explored for one in self._record):
            return None
        seed = self.first_seed - 1
        explored = {cell: each for cell, each in self._ended.items() if each.parameters[SEED] == seed}
        known = {cell: each.value for cell, each in explored.items() if each.value is not None}
        sign = self.spec.description.sign
        in_order = sorted(known, key=lambda cell: (-sign * known[cell], cell))
        distinct = {key_of_point(without_seed(explored[cell].parameters)): cell for cell in in_order[::-1]}
        best = sorted(distinct.values(), key=in_order.index)[: self.rules.of_top]
        if not best:
            return None
        there = {key_of_point(entry.parameters) for entry in self.entries.values()}
        cells = {key_of_point(each.parameters) for each in self._ended.values()}  # people may give seeds too
        chosen = [cell for cell in best if key_of_point(without_seed(explored[cell].parameters)) not in there]
        raced = self._ended.keys() - explored.keys()
        without = [cell for cell in self.spec.search.cells if cell not in raced and cell not in known]
        missing = [cell for cell in without if cell not in explored or not explored[cell].is_pruned]
        points = [
            point
            for cell in chosen
            for n in range(self.rules.start)
            if key_of_point(point := {**explored[cell].parameters, SEED: self.first_seed + n}) not in cells
        ]
        judged = Round(seeds=1, best=best[0], missing=missing, explored=n_explored, chosen=chosen)
        return NextRound(judged, points)

    @cached_property
    def _with_values(self) -> list[int]:
        """Those that are still in, that no pruner has judged worse, and that have a value."""
        n_seeds = self.n_seeds
        return [
            entry.cell
            for entry in self.still_in
            if self._values(entry, n_seeds)
            and not any(self._ended[cell].is_pruned for cell in list(entry.cells.values())[:n_seeds])
        ]

    def _values(self, entry: Entry, n_seeds: int) -> dict[int, float]:
        """The values of a configuration by seed, of its first seeds."""
        found = {seed: self._ended[cell].value for seed, cell in list(entry.cells.items())[:n_seeds]}
        return {seed: value for seed, value in found.items() if value is not None}

    def _points(self, judged: Round) -> list[Point]:
        """The next seed for those that go on and have no more than was looked at."""
        if judged.ending is not None:
            return []
        seed = self.first_seed + judged.seeds
        going_on = (self.entries[cell] for cell in sorted(judged.still_in))
        return [{**entry.parameters, SEED: seed} for entry in going_on if len(entry.cells) == judged.seeds]


def _as_stored(judgement: Judgement[int], n_seeds: int, dropped: list[int], missing: list[int]) -> Round:
    return Round(
        seeds=n_seeds,
        best=judgement.best,
        rivals=[_compared(rival) for rival in judgement.rivals],
        dropped=dropped,
        missing=missing,
        ending=judgement.ending,
    )


def _compared(rival: Rival[int]) -> Compared:
    return Compared(
        cell=rival.key,
        shared=rival.shared,
        difference=rounded(rival.difference),
        deviation=rounded(rival.deviation),
        low=rounded(rival.low),
    )


def as_rival(compared: Compared) -> Rival[int]:
    """A stored comparison as the race computes with it."""
    known = (compared.difference, compared.deviation, compared.low, compared.high)
    difference, deviation, low, high = (
        missing if number is None else number
        for number, missing in zip(
            known, (float("nan"), float("inf"), float("-inf"), float("inf")), strict=True
        )
    )
    return Rival(compared.cell, compared.shared, difference, deviation, low, high)
