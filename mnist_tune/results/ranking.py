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
that, also among many equals, is simulated in tests/results/test_significance.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mnist_tune.results.candidates import (
    SEED,
    Candidate,
    by_configuration,
    ended_early,
    key_of,
    searched_fields,
)
from mnist_tune.results.significance import LEVEL, holm, p_value
from mnist_tune.results.trial_result import State, TrialResult


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


def rank(
    finished: Sequence[TrialResult], default_seed: int, validation_size: int, n_seeds: int = 1
) -> list[Place]:
    """Rank the configurations of finished attempts: those with all their seeds first, then the highest mean.

    Of equals, the earlier is first. Those that were ended early have no place. `default_seed` is that of
    attempts whose search has no axis of seeds; `validation_size` counts images; `n_seeds` each is to have.
    """
    unranked = {key_of(one.parameters) for one in ended_early(finished, default_seed)}
    ranked = []
    for group in by_configuration([attempt for attempt in finished if attempt.state == State.COMPLETE]):
        candidate = Candidate(searched_fields(group[0]), {}, n_seeds)
        for attempt in group:
            candidate.attempts.setdefault(attempt.parameters.get(SEED, default_seed), attempt)
        if key_of(candidate.parameters) not in unranked:
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
