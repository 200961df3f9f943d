"""How a study's race over seeds stands: who is still in it, by how much, and what is to be expected."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mnist_tune.results.trial_result import State, TrialResult
from mnist_tune.search.ended_cells import Ended, known_parameters
from mnist_tune.search.race import level_of, seeds_to_decide, seeds_to_tell
from mnist_tune.search.settling import Race, as_rival
from mnist_tune.spec.rounds import Compared, Ending, Round
from mnist_tune.spec.study_spec import Spec
from mnist_tune.text.wording import configuration, counted


@dataclass(frozen=True)
class Contender:
    """A configuration that is in the race, or was."""

    parameters: dict[str, Any]
    after: int
    """By how many seeds it was last judged; 0 before that."""
    compared: Compared | None
    """Its last comparison; None for the best, and without one."""
    is_out: bool
    decided_after: int | None = None
    """After how many seeds it is out or equal, if nothing changes; None where that cannot be said."""

    def as_json(self) -> dict[str, Any]:
        """The configuration as plain data for JSON."""
        one = self.compared
        return {
            "parameters": self.parameters,
            "seeds": self.after,
            "out": self.is_out,
            "common_seeds": None if one is None else one.shared,
            "difference": None if one is None else one.difference,
            "deviation": None if one is None else one.deviation,
            "interval": None if one is None or one.low is None else [one.low, one.high],
            "decided_after": self.decided_after,
        }


class RaceStanding:
    """The race of a study at one moment. What was judged is read, and not judged anew."""

    def __init__(self, spec: Spec, latest: Sequence[TrialResult], *, is_open: bool) -> None:
        """`latest` are the last attempts at the cells; `is_open`: some of these wait or run."""
        last = {attempt.cell: attempt for attempt in latest}
        known = known_parameters(spec, {cell: attempt.parameters for cell, attempt in last.items()})
        self._race = Race(spec, [_ended(cell, parameters, last.get(cell)) for cell, parameters in known])
        self._metric = spec.description.of_objective
        self._is_open = is_open

    @property
    def rounds(self) -> list[Round]:
        """What was judged, oldest first."""
        return self._race.rounds

    @property
    def is_over(self) -> bool:
        """Whether nothing follows any more: all cells have ended, and what they show was judged."""
        return not self._is_open and self._race.is_over

    @property
    def ending(self) -> Ending | None:
        """How the race ended; None while it goes on, and if nobody is left in it."""
        return self.rounds[-1].ending if self.is_over and self.rounds else None

    @property
    def has_nobody_left(self) -> bool:
        """Whether the race is over without an ending: those still in were pruned, or have no value."""
        return self.is_over and bool(self.rounds) and self.ending is None

    @cached_property
    def contenders(self) -> list[Contender]:
        """First those that are still in, from the best on; then those to be judged; then who left last."""
        last = self.rounds[-1] if self.rounds else None
        still_in = {entry.cell for entry in self._race.still_in}
        judged = [cell for cell in dict.fromkeys(last.still_in if last else ()) if cell in still_in]
        are_out = self.has_nobody_left
        found = [self._contender(cell, last, is_out=are_out) for cell in judged]
        found += [
            Contender(entry.parameters, 0, None, is_out=are_out)
            for entry in self._race.still_in
            if entry.cell not in judged
        ]
        for each in reversed(self.rounds):
            left = (cell for cell in each.out if cell in self._race.entries)  # a damaged one is nowhere
            found += [self._contender(cell, each, is_out=True) for cell in left]
        return found

    def _contender(self, cell: int, judged: Round | None, *, is_out: bool = False) -> Contender:
        assert judged is not None
        compared = next((rival for rival in judged.rivals if rival.cell == cell), None)
        decided = None
        if compared is not None and not is_out and judged.ending is None:
            decided = seeds_to_decide(as_rival(compared), self._race.rules, self._race.n_rivals)
        return Contender(self._race.entries[cell].parameters, judged.seeds, compared, is_out, decided)

    @property
    def n_still_in(self) -> int:
        return sum(not each.is_out for each in self.contenders)

    @property
    def seeds_expected(self) -> int | None:
        """How many more seeds each is expected to get until all is decided; None if that is not known.

        At most as many as [replicates] allows.
        """
        if self.is_over or not self.rounds or self.rounds[-1].ending is not None:
            return None
        most = self._race.rules.max
        decided = [
            each.decided_after or most for each in self.contenders if each.compared and not each.is_out
        ]
        return max(0, min(most, max(decided, default=0)) - self.rounds[-1].seeds)

    @property
    def seeds_to_tell(self) -> int | None:
        """How many seeds would tell a difference of the indifference, with the largest deviation observed.

        By one test of each. None if no number does, or nothing is known yet.
        """
        rules, last = self._race.rules, self.rounds[-1] if self.rounds else None
        known = [rival.deviation for rival in (last.rivals if last else ()) if not rival.is_out]
        deviations = [deviation for deviation in known if deviation is not None]
        if not deviations:
            return None
        return seeds_to_tell(rules.indifference, max(deviations), rules.level / max(self._race.n_rivals, 1))

    def lines(self) -> Iterator[str]:
        """How the race stands, in sentences."""
        rules, n = self._race.rules, len(self.contenders)
        if not self.rounds:
            if not n and not self.is_over:
                yield f"race: the best {rules.of_top} trials take part when all have ended"
            elif not self.is_over:
                yield f"race: {counted(n, 'configuration')} with {rules.start} seeds each are judged first"
            return
        last = self.rounds[-1]
        after = f"after {counted(last.seeds, 'seed')}"
        level = f"{100 * self._race.level_in_all:.3g} %"
        if self.has_nobody_left:
            yield f"race over {after}: no configuration is left: those still in were pruned or have no value"
        elif self.ending is None:
            yield f"race {after}: {self.n_still_in:,} of {counted(n, 'configuration')} are still in"
            if (more := self.seeds_expected) is not None:
                yield f"about {counted(more, 'more seed')} each are expected, and {rules.max} in all at most"
            if not self._is_open:
                yield "all cells have ended: the next worker judges them"
        elif self.ending is Ending.BEST:
            best = next((configuration(each.parameters) for each in self.contenders), "an unknown one")
            yield f"race over {after}: {best} is best (a better one is dropped in {level} at most)"
        elif self.ending is Ending.EQUAL:
            within = self._metric.difference(f"{rules.indifference:g}")
            yield f"race over {after}: {self.n_still_in} are equal for every purpose, within {within}"
        else:
            yield f"race over {after}: {self.n_still_in} configurations are tied"
            yield from self._what_it_would_take()

    def _what_it_would_take(self) -> Iterator[str]:
        indifference = self._race.rules.indifference
        if indifference and (n := self.seeds_to_tell) is not None:
            within = self._metric.difference(f"{indifference:g}")
            yield f"to tell a difference of {within} takes about {n:,} seeds each"

    def interval(self, contender: Contender) -> str:
        """By how much a configuration is behind the best, with the interval of the difference, in words."""
        one = contender.compared
        if one is None or one.difference is None:
            return ""
        number = self._metric.number
        if one.low is None:
            return number(one.difference)
        return f"{number(one.difference)} ({number(one.low)} to {number(one.high)})"

    @property
    def short(self) -> str:
        """The race in a few words."""
        if not self.rounds:
            return "race without a value" if self.is_over else "race not judged yet"
        if self.has_nobody_left:
            return "race over, none left"
        return (
            self.ending or f"{self.n_still_in:,} in the race after {counted(self.rounds[-1].seeds, 'seed')}"
        )

    def as_json(self) -> dict[str, Any]:
        """The race as plain data for JSON."""
        return {
            "rounds": len(self.rounds),
            "seeds": self.rounds[-1].seeds if self.rounds else 0,
            "over": self.is_over,
            "ending": self.ending,
            "level": self._race.rules.level,
            "level_of_a_comparison": self._level(),
            "indifference": self._race.rules.indifference,
            "seeds_expected": self.seeds_expected,
            "seeds_to_tell": self.seeds_to_tell,
            "configurations": [each.as_json() for each in self.contenders],
        }

    def _level(self) -> float | None:
        if not self.rounds:
            return None
        seeds = max(self.rounds[-1].seeds, self._race.rules.start)
        return level_of(self._race.rules, seeds, self._race.n_rivals)


def _ended(cell: int, parameters: Any, attempt: TrialResult | None) -> Ended:
    if attempt is None or not attempt.is_sound:
        return Ended(cell, parameters, None)
    value = attempt.value if attempt.state == State.COMPLETE else None
    return Ended(cell, parameters, value, attempt.state == State.PRUNED)
