"""The configurations of a study, each with its attempts: what is ranked, and what was ended early."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mnist_tune.results.trial_result import State, TrialResult

SEED = "seed"
"""The axis that makes replicates of a configuration."""


@dataclass(frozen=True)
class Candidate:
    """One configuration with its completed attempts, one a seed. Accuracies in percent."""

    parameters: dict[str, Any]
    """The searched fields but the seed."""
    attempts: dict[int, TrialResult]
    """By seed; of two with the same seed, which are the same training, the earlier."""
    n_wanted: int = 1
    """How many seeds it is to have."""

    @cached_property
    def mean(self) -> float:
        """Validation accuracy after the last epoch, over the seeds."""
        return statistics.fmean(self.accuracies.values())

    @property
    def n(self) -> int:
        """How many seeds it has been run with."""
        return len(self.attempts)

    @property
    def is_provisional(self) -> bool:
        """Whether seeds of it are missing, which may change its mean."""
        return self.n < self.n_wanted

    @property
    def standard_error(self) -> float | None:
        """Of the mean; one seed alone tells nothing of it."""
        return statistics.stdev(self.accuracies.values()) / math.sqrt(self.n) if self.n > 1 else None

    @property
    def accuracies(self) -> dict[int, float]:
        """By seed."""
        return {seed: attempt.accuracy for seed, attempt in self.attempts.items()}

    @property
    def first(self) -> TrialResult:
        """The earliest attempt. Not the one with the highest value: that is the luckiest seed."""
        return min(self.attempts.values(), key=lambda attempt: attempt.number)


@dataclass(frozen=True)
class EndedEarly:
    """A configuration of which the pruner has ended at least one seed: it was judged worse, and has no place.

    The seeds that it did complete are those that did well: their mean would be too good.
    """

    parameters: dict[str, Any]
    """The searched fields but the seed."""
    complete: list[TrialResult]
    pruned: list[TrialResult]

    @property
    def epochs(self) -> int:
        """After which epoch the first was ended."""
        return min((len(attempt.history) for attempt in self.pruned), default=0)

    @property
    def accuracy(self) -> float | None:
        """The mean over the pruned seeds of what each had after its last epoch; None if that is not known."""
        last = [attempt.accuracies[-1] for attempt in self.pruned if attempt.accuracies]
        return statistics.fmean(last) if last else None

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "parameters": self.parameters,
            "epochs": self.epochs,
            "mean": self.accuracy,
            "complete": [attempt.number for attempt in self.complete],
            "pruned": [attempt.number for attempt in self.pruned],
        }


def ended_early(finished: Sequence[TrialResult], default_seed: int) -> list[EndedEarly]:
    """The configurations of finished attempts that have a seed which was pruned and never completed.

    Those that came furthest are first.
    """
    found = []
    for group in by_configuration(finished):
        complete = [attempt for attempt in group if attempt.state == State.COMPLETE]
        seeds = {attempt.parameters.get(SEED, default_seed) for attempt in complete}
        pruned = [one for one in group if one.state == State.PRUNED]
        pruned = [one for one in pruned if one.parameters.get(SEED, default_seed) not in seeds]
        if pruned:
            found.append(EndedEarly(searched_fields(group[0]), complete, pruned))
    return sorted(found, key=_how_far)


def _how_far(one: EndedEarly) -> tuple[int, float, int]:
    return -one.epochs, math.inf if one.accuracy is None else -one.accuracy, one.pruned[0].number


def by_configuration(attempts: Sequence[TrialResult]) -> list[list[TrialResult]]:
    """The attempts of each configuration, whatever their seeds, in the order of their numbers."""
    groups: dict[Any, list[TrialResult]] = defaultdict(list)
    for attempt in sorted(attempts, key=lambda attempt: attempt.number):
        groups[key_of(searched_fields(attempt))].append(attempt)
    return list(groups.values())


def searched_fields(attempt: TrialResult) -> dict[str, Any]:
    """The configuration of an attempt: its parameters but the seed."""
    return {name: value for name, value in attempt.parameters.items() if name != SEED}


def key_of(parameters: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    """What tells a configuration from others."""
    return tuple(sorted(parameters.items()))
