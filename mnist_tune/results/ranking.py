"""Which configuration is best on the validation images, and which others may as well be.

Configurations are ranked by their mean over seeds. Those that have all their seeds stand above the others,
whose place is provisional: a mean of the seeds that happened to end first is no match for one of all. One
with a pruned seed has no place: the pruner judged it worse, and the seeds that it let run are the lucky ones.
The one on top is partly there by luck, so each other is tested against it, and all that may be the truly
best make up the tied set:

- With two seeds or more in common: a one-sided paired t-test over the seeds.
- With one: the difference against the binomial noise of two readings of the validation images. That knows
  nothing of the luck of the seed, and nothing is claimed of it.
- With none, nothing is known, and nothing is said of it.

Holm's correction (1979) keeps the chance of wrongly leaving out any of them below 5 %. It does not know that
"the best" was picked from the same numbers; that the truly best one is even so left out less often than
that, also among many equals, is simulated in tests/results/test_ranking.py.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

from mnist_tune.results.trial_result import State, TrialResult

LEVEL = 0.05
"""The chance that the truly best configuration is not in the tied set, with two seeds or more."""
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


class Verdict(StrEnum):
    """What is known of a configuration beside the first."""

    BEST = "best"
    TIED = "tied"
    BEHIND = "behind"
    NOT_COMPARED = "no common seed"


@dataclass(frozen=True)
class Place:
    """A candidate's place in the ranking."""

    rank: int
    candidate: Candidate
    shared: int
    """How many seeds it has in common with the first."""
    p_value: float | None
    """That the first is ahead by luck alone, corrected for all comparisons; None for the first, and for one
    that cannot be compared with it."""

    @property
    def is_tied(self) -> bool:
        """Whether it may be the truly best one for all that is known; the first is."""
        return self.verdict in (Verdict.BEST, Verdict.TIED)

    @property
    def verdict(self) -> Verdict:
        """In a word."""
        if self.rank == 1:
            return Verdict.BEST
        if self.p_value is None:
            return Verdict.NOT_COMPARED
        return Verdict.TIED if self.p_value >= LEVEL else Verdict.BEHIND

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        candidate = self.candidate
        return {
            "rank": self.rank,
            "parameters": candidate.parameters,
            "mean": candidate.mean,
            "standard_error": candidate.standard_error,
            "n": candidate.n,
            "provisional": candidate.is_provisional,
            "p_value": self.p_value,
            "verdict": self.verdict,
            "trials": sorted(attempt.number for attempt in candidate.attempts.values()),
        }


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
    for group in _by_configuration(finished):
        complete = [attempt for attempt in group if attempt.state == State.COMPLETE]
        seeds = {attempt.parameters.get(SEED, default_seed) for attempt in complete}
        pruned = [one for one in group if one.state == State.PRUNED]
        pruned = [one for one in pruned if one.parameters.get(SEED, default_seed) not in seeds]
        if pruned:
            found.append(EndedEarly(_configuration(group[0]), complete, pruned))
    return sorted(found, key=_how_far)


def _how_far(one: EndedEarly) -> tuple[int, float, int]:
    return -one.epochs, math.inf if one.accuracy is None else -one.accuracy, one.pruned[0].number


def rank(
    finished: Sequence[TrialResult], default_seed: int, validation_size: int, n_seeds: int = 1
) -> list[Place]:
    """Rank the configurations of finished attempts: those with all their seeds first, then the highest mean.

    Of equals, the earlier is first. Those that were ended early have no place. `default_seed` is that of
    attempts whose search has no axis of seeds; `validation_size` counts images; `n_seeds` each is to have.
    """
    unranked = {_key(one.parameters) for one in ended_early(finished, default_seed)}
    ranked = []
    for group in _by_configuration([attempt for attempt in finished if attempt.state == State.COMPLETE]):
        candidate = Candidate(_configuration(group[0]), {}, n_seeds)
        for attempt in group:
            candidate.attempts.setdefault(attempt.parameters.get(SEED, default_seed), attempt)
        if _key(candidate.parameters) not in unranked:
            ranked.append(candidate)
    candidates = sorted(ranked, key=lambda one: (one.is_provisional, -one.mean, one.first.number))
    shared = [len(candidates[0].attempts.keys() & other.attempts.keys()) for other in candidates]
    compared = [place for place in range(1, len(candidates)) if shared[place]]
    raw = [p_value(candidates[0], candidates[place], validation_size) for place in compared]
    chances = dict(zip(compared, holm(raw), strict=True))
    return [
        Place(place + 1, candidate, shared[place], chances.get(place))
        for place, candidate in enumerate(candidates)
    ]


def _by_configuration(attempts: Sequence[TrialResult]) -> list[list[TrialResult]]:
    groups: dict[Any, list[TrialResult]] = defaultdict(list)
    for attempt in sorted(attempts, key=lambda attempt: attempt.number):
        groups[_key(_configuration(attempt))].append(attempt)
    return list(groups.values())


def _configuration(attempt: TrialResult) -> dict[str, Any]:
    return {name: value for name, value in attempt.parameters.items() if name != SEED}


def _key(parameters: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(parameters.items()))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for their number: the smallest times all of them, the next times one less, ..."""
    corrected = [0.0] * len(p_values)
    least = 0.0
    for done, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        least = max(least, min(1.0, (len(p_values) - done) * p_values[index]))
        corrected[index] = least
    return corrected


def p_value(best: Candidate, other: Candidate, validation_size: int) -> float:
    """The chance that `best` comes out so far ahead of `other`, on common seeds, if it is no better.

    Uncorrected. They must have a seed in common.
    """
    shared = sorted(best.attempts.keys() & other.attempts.keys())
    differences = [best.accuracies[seed] - other.accuracies[seed] for seed in shared]
    if len(shared) == 1:
        noise = binomial_noise(best.accuracies[shared[0]], validation_size) * math.sqrt(2)
        return statistics.NormalDist().cdf(-differences[0] / noise)
    from scipy.special import stdtr  # scipy.stats takes four times as long to import

    # Accuracies move in steps of an image: the same difference on a few seeds is luck, not certainty.
    deviation = max(statistics.stdev(differences), 100 / validation_size)
    t = statistics.fmean(differences) / (deviation / math.sqrt(len(shared)))
    return float(stdtr(len(shared) - 1, -t))


def binomial_noise(accuracy: float, n_images: int) -> float:
    """The standard deviation, in points, of an accuracy in percent that was read on `n_images` images.

    Two right and two wrong answers are added, so that 100 % is not certain (Agresti and Coull, 1998).
    """
    share = (accuracy / 100 * n_images + 2) / (n_images + 4)
    return 100 * math.sqrt(share * (1 - share) / (n_images + 4))


def noise_margin(best: Candidate, n_tied: int, validation_size: int) -> float:
    """The difference, in points, up to which one seed does not tell `n_tied` candidates from the best."""
    z = -statistics.NormalDist().inv_cdf(LEVEL / max(n_tied, 1))
    return z * math.sqrt(2) * binomial_noise(best.mean, validation_size)
