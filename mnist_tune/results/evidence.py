"""States in words what a ranking shows and what it does not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from mnist_tune.jobs.description import Binomial
from mnist_tune.results.candidates import Candidate
from mnist_tune.results.ranking import Place, Verdict
from mnist_tune.results.significance import LEVEL, measure_of, noise_margin
from mnist_tune.spec.conditions import SEED
from mnist_tune.spec.study_spec import Spec
from mnist_tune.text.wording import configuration, counted, parameter, parameters_text

MOST_NAMED = 5
"""How many tied configurations are named one by one; the others are counted."""
BEFORE_THE_END = {Verdict.BEST: "best so far", Verdict.NOT_COMPARED: "no common seed yet"}
"""Other words for verdicts while cells wait or run."""


def verdict(place: Place, *, is_finished: bool) -> str:
    """A verdict in the words in which it is shown; before the end of a study it may change."""
    words: dict[Verdict, str] = {} if is_finished else BEFORE_THE_END
    if not is_finished and place.by_race is not None:
        words = words | {Verdict.TIED: "still in the race", Verdict.NOT_JUDGED: "not judged yet"}
    return words.get(place.verdict, place.verdict)


def seeds_of(candidate: Candidate) -> str:
    """How many seeds a configuration has and, if some are missing, how many it is to have."""
    return f"{candidate.n} of {candidate.n_wanted}" if candidate.is_provisional else str(candidate.n)


def evidence(
    places: Sequence[Place],
    spec: Spec,
    n_ended_early: int = 0,
    *,
    n_open: int = 0,
    race: Sequence[str] | None = None,
) -> Iterator[str]:
    """How far the best configuration is told from the others, one sentence a line.

    `n_open` is the number of cells that wait or run; `race` says what a race over seeds has judged.
    """
    yield from reservations(places, spec, n_open)
    if n_ended_early:
        were = "configuration was" if n_ended_early == 1 else "configurations were"
        rest = "it is" if n_ended_early == 1 else "they are"
        yield f"{n_ended_early:,} {were} judged worse before the last epoch and pruned: {rest} not ranked"
    if race is not None:
        yield from race
    elif len(places) > 1:
        yield from _comparison(places, spec, " yet" if n_open else "")


def reservations(places: Sequence[Place], spec: Spec, n_open: int) -> Iterator[str]:
    """Why the ranking may change: cells that have not ended, and seeds that are missing."""
    if n_open and places:
        has = "has" if n_open == 1 else "have"
        cells = counted(spec.n_cells, "cell")
        yield f"not finished: {n_open:,} of {cells} {has} not ended; the best so far may change"
    fewer = [place.candidate for place in places if place.candidate.is_provisional]
    if len(fewer) == len(places) and len(fewer) > 1:
        yield f"provisional: no configuration has all its {fewer[0].n_wanted} seeds{' yet' if n_open else ''}"
    elif fewer:
        whose = _named([f"{configuration(one.parameters)} has {seeds_of(one)} seeds" for one in fewer])
        below = ", ranked below what has all" if len(fewer) < len(places) else ""
        yield f"provisional{below}: {whose}"


def _comparison(places: Sequence[Place], spec: Spec, yet: str) -> Iterator[str]:
    best = places[0].candidate
    compared = [place for place in places[1:] if place.p_value is not None]
    tied = [place for place in compared if place.is_tied]
    for shared in sorted({place.shared for place in tied}, reverse=True):
        alike = [place for place in tied if place.shared == shared]
        yield from _sentences(best, [place.candidate for place in alike], _seeds(alike))
    if compared and not tied:
        are_all = len(compared) == len(places) - 1
        yield _ahead(best, compared, _seeds(compared), spec, are_all=are_all)
    on_one = [place for place in tied if place.shared == 1]
    if best.n < 2 or on_one:
        yield f"one seed: {_one_seed(best, len(on_one), spec)}{_advice(spec)}"
    if unknown := [place.candidate for place in places[1:] if not place.shared]:
        whose = _named([configuration(one.parameters) for one in unknown])
        yield f"no common seed{yet} with the best, so nothing is known of how they compare: {whose}"


def _one_seed(best: Candidate, n_tied: int, spec: Spec) -> str:
    """What one seed tells: it depends on what the job says of the noise of one measurement."""
    margin, noise = noise_margin(best, n_tied, measure_of(spec)), spec.description.noise
    if margin is None or noise is None:
        return (
            "how much another seed would change is not known, so that no configuration is told from another"
        )
    if isinstance(noise, Binomial):
        of = f"the noise of {spec.n_cases:,} validation {noise.cases}"
        return f"differences below {margin:.2f} points are within {of} and are no evidence"
    metric = spec.description.of_objective
    return f"differences below {metric.text(margin)} are within the noise of one run and are no evidence"


def _whose(spec: Spec) -> str:
    noise = spec.description.noise
    return f"the {noise.cases}'" if isinstance(noise, Binomial) else "one run's"


def _ahead(best: Candidate, compared: Sequence[Place], seeds: str, spec: Spec, *, are_all: bool) -> str:
    others = "the other" if len(compared) == 1 else f"all {len(compared)} others"
    if not are_all:
        others = f"the {'one' if len(compared) == 1 else f'{len(compared):,}'} it has a seed in common with"
    is_sure = min(place.shared for place in compared) > 1
    better = "better than" if is_sure else f"ahead, by more than {_whose(spec)} noise, of"
    sure = f" ({100 * (1 - LEVEL):.0f} % confidence)" if is_sure else ""
    return f"{configuration(best.parameters)} is {better} {others} {seeds}{sure}"


def _sentences(best: Candidate, tied: Sequence[Candidate], seeds: str) -> Iterator[str]:
    """The tied configurations: by the one field in which they differ from the best, else in full."""
    by_field: dict[str, list[Any]] = defaultdict(list)
    in_full = []
    for candidate in tied:
        names = dict.fromkeys([*best.parameters, *candidate.parameters])  # not all have a conditional field
        differing = [name for name in names if best.parameters.get(name) != candidate.parameters.get(name)]
        if len(differing) == 1 and differing[0] in best.parameters.keys() & candidate.parameters.keys():
            by_field[differing[0]].append(candidate.parameters[differing[0]])
        else:
            in_full.append(candidate)
    for name, values in by_field.items():
        words = [parameter(value) for value in (best.parameters[name], *values)]
        named, more = words[: MOST_NAMED + 1], len(words) - MOST_NAMED - 1
        rest = f" and {more} more" if more > 0 else f" and {named.pop()}"
        others = {other: value for other, value in best.parameters.items() if other != name}
        at = f" (at {parameters_text(others)})" if others else ""
        yield f"{name} {', '.join(named)}{rest} are tied {seeds}{at}"
    for candidate in in_full[:MOST_NAMED]:
        yield f"{configuration(candidate.parameters)} is tied with the best {seeds}"
    if len(in_full) > MOST_NAMED:
        unnamed = counted(len(in_full) - MOST_NAMED, "more configuration")
        yield f"... and {unnamed} {'is' if len(in_full) == MOST_NAMED + 1 else 'are'} tied with it"


def _seeds(others: Sequence[Place]) -> str:
    fewest = min(place.shared for place in others)
    return f"on these {fewest} seeds" if fewest > 1 else "on one seed"


def _advice(spec: Spec) -> str:
    if spec.search.grid is None or SEED in spec.search.axes:
        return ""
    return "; more seeds tell more: add seed = [0, 1, 2] to [search.grid]"


def _named(phrases: Sequence[str]) -> str:
    more = len(phrases) - MOST_NAMED
    return "; ".join(phrases[:MOST_NAMED]) + (f"; and {more:,} more" if more > 0 else "")
