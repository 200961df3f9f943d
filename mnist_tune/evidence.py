"""What a ranking shows and what it does not, in words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from mnist_tune.ranking import LEVEL, SEED, Candidate, Place, noise_margin
from mnist_tune.spec import Spec
from mnist_tune.wording import parameter, parameters_text

MOST_NAMED = 5
"""Tied configurations that are named one by one; more are counted."""


def evidence(places: Sequence[Place], spec: Spec, n_ended_early: int = 0) -> Iterator[str]:
    """How far the best configuration is told from the others, one sentence a line."""
    if n_ended_early:
        were = "configuration was" if n_ended_early == 1 else "configurations were"
        rest = "it is" if n_ended_early == 1 else "they are"
        yield f"{n_ended_early:,} {were} judged worse before the last epoch and pruned: {rest} not ranked"
    if len(places) < 2:
        return
    best = places[0].candidate
    tied = [place.candidate for place in places[1:] if place.is_tied]
    seeds = _seeds(best, tied or [place.candidate for place in places[1:]])
    yield from _sentences(best, tied, seeds)
    if not tied:
        others = "the other" if len(places) == 2 else f"all {len(places) - 1} others"
        better = "better than" if best.n > 1 else "ahead, by more than the images' noise, of"
        sure = f" ({100 * (1 - LEVEL):.0f} % confidence)" if best.n > 1 else ""
        yield f"{parameters_text(best.parameters)} is {better} {others} {seeds}{sure}"
    if best.n < 2:
        margin = noise_margin(best, len(tied), spec.data.validation_size)
        yield (
            f"one seed: differences below {margin:.2f} points are within the noise of "
            f"{spec.data.validation_size:,} validation images and are no evidence{_advice(spec)}"
        )
    yield from _missing_seeds(places, spec)


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
        yield f"{name} {', '.join(named)}{rest} are not distinguishable {seeds}{at}"
    for candidate in in_full[:MOST_NAMED]:
        yield f"{parameters_text(candidate.parameters)} is not distinguishable from the best {seeds}"
    if len(in_full) > MOST_NAMED:
        yield f"... nor are {len(in_full) - MOST_NAMED} more configurations"


def _seeds(best: Candidate, others: Sequence[Candidate]) -> str:
    fewest = min(len(best.attempts.keys() & other.attempts.keys()) for other in others)
    return f"on these {fewest} seeds" if fewest > 1 else "on one seed" if fewest else "without a common seed"


def _advice(spec: Spec) -> str:
    if spec.search.grid is None or SEED in spec.search.axes:
        return ""
    return "; more seeds tell more: add seed = [0, 1, 2] to [search.grid]"


def _missing_seeds(places: Sequence[Place], spec: Spec) -> Iterator[str]:
    axis = spec.search.axes.get(SEED)
    wanted = len(axis) if isinstance(axis, list) and spec.search.grid else 1
    fewer = [place.candidate for place in places if place.candidate.n < wanted]
    if fewer:
        shown = "; ".join(f"{parameters_text(one.parameters)} has {one.n}" for one in fewer[:MOST_NAMED])
        more = f"; and {len(fewer) - MOST_NAMED} more have fewer" if len(fewer) > MOST_NAMED else ""
        yield f"not all have {wanted} seeds: {shown}{more}"
