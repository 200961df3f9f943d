"""Groups a study's trials by configuration: those to be ranked, and those that the pruner ended early."""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mnist_tune.results.trial_result import State, TrialResult
from mnist_tune.spec.axes import Interval
from mnist_tune.spec.conditions import SEED, Value
from mnist_tune.spec.revisions import is_in, key_of_point, without_seed
from mnist_tune.spec.study_spec import Spec

NOT_THE_RECIPE = {SEED, "precision"}
"""Fields in which a model may differ from the winner and still have the same configuration."""


@dataclass(frozen=True)
class Candidate:
    """One configuration with its completed trials, one for each seed."""

    parameters: dict[str, Any]
    """The searched fields, without the seed."""
    attempts: dict[int, TrialResult]
    """The trials by seed; of two with the same seed, which train the same, the earlier one."""
    n_wanted: int = 1
    """How many seeds the configuration is to have."""

    @cached_property
    def mean(self) -> float:
        """The mean over seeds of the values with which the trials ended."""
        return statistics.fmean(self.values.values())

    @property
    def n(self) -> int:
        """How many seeds the configuration has been run with."""
        return len(self.attempts)

    @property
    def is_provisional(self) -> bool:
        """Whether seeds of the configuration are missing, so that its mean may change."""
        return self.n < self.n_wanted

    @property
    def standard_error(self) -> float | None:
        """The standard error of the mean; None for a single seed, from which it cannot be computed."""
        return statistics.stdev(self.values.values()) / math.sqrt(self.n) if self.n > 1 else None

    @property
    def values(self) -> dict[int, float]:
        """The values by seed."""
        return {seed: attempt.final_value for seed, attempt in self.attempts.items()}

    @property
    def first(self) -> TrialResult:
        """The earliest trial. The one with the best value would be the luckiest seed."""
        return min(self.attempts.values(), key=lambda attempt: attempt.number)


@dataclass(frozen=True)
class EndedEarly:
    """A configuration without a rank, since the pruner has ended at least one of its seeds.

    The seeds that were completed are those that did well: their mean would be too good.
    """

    parameters: dict[str, Any]
    """The searched fields, without the seed."""
    complete: list[TrialResult]
    pruned: list[TrialResult]

    @property
    def epochs(self) -> int:
        """The epoch after which the first of its seeds was ended."""
        return min((len(attempt.history) for attempt in self.pruned), default=0)

    @property
    def mean(self) -> float | None:
        """The mean objective of the pruned seeds, each after its last epoch; None if it is not known."""
        last = [attempt.objective_values[-1] for attempt in self.pruned if attempt.objective_values]
        return statistics.fmean(last) if last else None

    def as_json(self) -> dict[str, Any]:
        """The configuration as plain data for JSON."""
        return {
            "parameters": self.parameters,
            "epochs": self.epochs,
            "mean": self.mean,
            "complete": [attempt.number for attempt in self.complete],
            "pruned": [attempt.number for attempt in self.pruned],
        }


def ended_early(finished: Sequence[TrialResult], default_seed: int, sign: int = 1) -> list[EndedEarly]:
    """The configurations of finished trials with a seed that was pruned and never completed.

    Those that were ended after the most epochs come first, and of these the best. `sign` is -1 if lower
    values are better.
    """
    found = []
    for group in by_configuration(finished):
        complete = [attempt for attempt in group if attempt.state == State.COMPLETE]
        seeds = {attempt.parameters.get(SEED, default_seed) for attempt in complete}
        pruned = [one for one in group if one.state == State.PRUNED]
        pruned = [one for one in pruned if one.parameters.get(SEED, default_seed) not in seeds]
        if pruned:
            found.append(EndedEarly(searched_fields(group[0]), complete, pruned))

    def how_far(one: EndedEarly) -> tuple[int, float, int]:
        return -one.epochs, math.inf if one.mean is None else -sign * one.mean, one.pruned[0].number

    return sorted(found, key=how_far)


def by_configuration(attempts: Sequence[TrialResult]) -> list[list[TrialResult]]:
    """The trials of each configuration, with any seed, ordered by number."""
    groups: dict[Any, list[TrialResult]] = defaultdict(list)
    for attempt in sorted(attempts, key=lambda attempt: attempt.number):
        groups[key_of_point(searched_fields(attempt))].append(attempt)
    return list(groups.values())


def searched_fields(attempt: TrialResult) -> dict[str, Any]:
    """The configuration of a trial: its parameters without the seed."""
    return without_seed(attempt.parameters)


def seeds_wanted(spec: Spec) -> Callable[[dict[str, Any]], int]:
    """How many seeds a configuration is to have to be compared, as a function of its parameters.

    A combination of the grid needs those of the grid. Those that it is given beside them only tell more of
    it: while they run, it keeps its place. A configuration beside the grid needs as many: one lucky seed is
    not to outrank the mean of several. A race over seeds gives all the same number to begin with.
    """
    if seeds_of_race := spec.seeds_of_race:
        return lambda _: len(seeds_of_race)
    grid = spec.search.grid
    if grid is None:
        return lambda _: 1
    of_grid = {name: values for name, values in grid.items() if name != SEED}
    beside = Counter(
        key_of_point(without_seed(point)) for point in spec.search.enqueue or () if not is_in(grid, point)
    )
    seeds = len(grid.get(SEED, (None,)))

    def of(parameters: dict[str, Any]) -> int:
        return seeds if is_in(of_grid, parameters) else max(seeds, beside[key_of_point(parameters)])

    return of


def varied(spec: Spec, latest: Sequence[TrialResult]) -> dict[str, list[Value] | Interval]:
    """What cells have of their own: the searched fields and, if some are replicates, the seed."""
    if not spec.search.has_replicates:
        return spec.search.axes
    seeds = {one.parameters.get(SEED, spec.training.seed) for one in latest}
    return spec.search.axes | {SEED: sorted(seeds)}
