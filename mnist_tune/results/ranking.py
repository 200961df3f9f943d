"""Ranks the configurations by the objective, and says which may be as good as the best.

Configurations are ranked by their mean over seeds. Those with all their seeds come first. The place of the
others is provisional: a mean of the seeds that happened to end first cannot be compared with a mean of all. A
configuration with a pruned seed has no place: the pruner judged it worse, and only lucky seeds ran to the
end.

The first configuration is there partly by luck. So each other one is tested against it, and all that may be
the truly best form the tied set:

- With two or more common seeds: a one-sided paired t-test over the seeds.
- With one common seed: the difference against the noise of two measurements, as the job describes it: that
  of a percentage is binomial. This ignores the luck of the seed, and no level is claimed for it. If the job
  says nothing of its noise, nothing is claimed.
- Without a common seed nothing is known, and nothing is claimed.

A study with a race over seeds is ranked as the race has judged, by its own level.

Holm's correction (1979) keeps the chance of wrongly leaving out any configuration below 5 %. It does not
consider that "the best" was chosen from the same numbers. tests/results/test_significance.py simulates that
the truly best one is left out less often than 5 % nevertheless, also among many equals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from mnist_tune.results.candidates import Candidate, by_configuration, ended_early, searched_fields
from mnist_tune.results.race_standing import Contender, RaceStanding
from mnist_tune.results.significance import LEVEL, Measure, holm, p_value
from mnist_tune.results.trial_result import State, TrialResult
from mnist_tune.spec.conditions import SEED
from mnist_tune.spec.revisions import key_of_point

Seeds = int | Callable[[dict[str, Any]], int]
"""How many seeds each configuration is to have; it may depend on its parameters."""


class Verdict(StrEnum):
    """How a configuration compares with the first."""

    BEST = "best"
    TIED = "tied"
    BEHIND = "behind"
    NOT_COMPARED = "no common seed"
    ONE_SEED = "one seed"
    """Nothing is known of the noise of one measurement, so that one seed tells nothing."""
    NOT_JUDGED = "not judged"
    """The study has a race over seeds, which has not compared it."""


@dataclass(frozen=True)
class Place:
    """A candidate's place in the ranking."""

    rank: int
    candidate: Candidate
    shared: int
    """How many seeds it has in common with the first."""
    p_value: float | None
    """The probability that the first is ahead by luck alone, corrected for all comparisons.

    None for the first, without a common seed, and where nothing is known of the noise of one seed.
    """
    by_race: Verdict | None = None
    """The verdict of the study's race over seeds, if it has one."""
    judged: Contender | None = None
    """What the race has judged of it."""

    @property
    def is_tied(self) -> bool:
        """Whether the configuration may be the truly best one; always true of the first."""
        return self.verdict in (Verdict.BEST, Verdict.TIED)

    @property
    def verdict(self) -> Verdict:
        """The comparison with the first, in a word."""
        if self.rank == 1:
            return Verdict.BEST
        if self.by_race is not None:
            return self.by_race
        if self.p_value is None:
            return Verdict.ONE_SEED if self.shared else Verdict.NOT_COMPARED
        return Verdict.TIED if self.p_value >= LEVEL else Verdict.BEHIND

    def as_json(self) -> dict[str, Any]:
        """The place as plain data for JSON."""
        candidate = self.candidate
        return {
            "rank": self.rank,
            "parameters": candidate.parameters,
            "mean": candidate.mean,
            "standard_error": candidate.standard_error,
            "n": candidate.n,
            "provisional": candidate.is_provisional,
            "p_value": self.p_value,
            "verdict": str(self.verdict),
            "trials": sorted(attempt.number for attempt in candidate.attempts.values()),
        }


def rank(
    finished: Sequence[TrialResult],
    default_seed: int,
    measure: Measure,
    n_seeds: Seeds = 1,
) -> list[Place]:
    """Rank the configurations of finished attempts: those with all their seeds first, then by mean.

    Of equals, the earlier comes first. Configurations with a pruned seed have no place. `default_seed` is the
    seed of attempts whose search has no axis of seeds; `n_seeds` is how many seeds each is to have, or says
    so of its parameters.
    """
    candidates = in_order(finished, default_seed, measure.sign, n_seeds)
    shared = [len(candidates[0].attempts.keys() & other.attempts.keys()) for other in candidates]
    compared = [place for place in range(1, len(candidates)) if shared[place]]
    found = {place: p_value(candidates[0], candidates[place], measure) for place in compared}
    known = {place: chance for place, chance in found.items() if chance is not None}
    chances = dict(zip(known, holm(list(known.values())), strict=True))
    return [
        Place(place + 1, candidate, shared[place], chances.get(place))
        for place, candidate in enumerate(candidates)
    ]


def in_order(
    finished: Sequence[TrialResult], default_seed: int, sign: int = 1, n_seeds: Seeds = 1
) -> list[Candidate]:
    """The configurations in the order of `rank`, without the tests, which take longer."""
    unranked = {key_of_point(one.parameters) for one in ended_early(finished, default_seed, sign)}
    ranked = []
    for group in by_configuration([attempt for attempt in finished if attempt.state == State.COMPLETE]):
        parameters = searched_fields(group[0])
        wanted = n_seeds if isinstance(n_seeds, int) else n_seeds(parameters)
        candidate = Candidate(parameters, {}, wanted)
        for attempt in group:
            candidate.attempts.setdefault(attempt.parameters.get(SEED, default_seed), attempt)
        if key_of_point(candidate.parameters) not in unranked:
            ranked.append(candidate)
    return sorted(ranked, key=lambda one: (one.is_provisional, -sign * one.mean, one.first.number))


def as_judged(candidates: Sequence[Candidate], race: RaceStanding) -> list[Place]:
    """Their places in the order of a race: who is still in, who is to be judged, who left last and before.

    `candidates` are in the order of their means, which counts as long as nothing is judged.
    """
    of = {key_of_point(each.parameters): (number, each) for number, each in enumerate(candidates)}
    found: list[tuple[int, Place]] = []
    for contender in race.contenders:
        if (known := of.pop(key_of_point(contender.parameters), None)) is None:
            continue
        verdict = Verdict.NOT_JUDGED
        if contender.after and (contender.compared is not None or not contender.is_out):
            verdict = Verdict.BEHIND if contender.is_out else Verdict.TIED
        shared = 0 if contender.compared is None else contender.compared.shared
        found.append((known[0], Place(0, known[1], shared, None, verdict, contender)))
    found += [(number, Place(0, each, 0, None, Verdict.NOT_JUDGED)) for number, each in of.values()]
    if not race.rounds:
        found.sort(key=lambda one: one[0])
    return [replace(place, rank=rank) for rank, (_, place) in enumerate(found, start=1)]
