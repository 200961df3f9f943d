"""Checks of a race over seeds: each judgement is judged again, from what was known at its time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from reprlib import repr as shortened

from mnist_tune.search.ended_cells import Ended, ended_cells
from mnist_tune.search.settling import Race
from mnist_tune.spec.revisions import Point, key_of_point, without_seed
from mnist_tune.spec.rounds import Compared, Round
from mnist_tune.verification.stored import Stored

TOLERANCE = 0.01
"""By how much a stored interval may differ, as a share: another version of scipy computes it elsewhere."""


def settled(stored: Stored, _: None) -> Iterator[str]:
    """Each round of a race follows from what was known then; no seed is too many or missing."""
    spec, known = stored.spec, stored.values
    if spec.replicates is None or stored.unreadable or known.lost or known.deleted:
        return  # other checks report what cannot be read
    if not all(trial.is_sound for trial in known.trials):
        return
    revisions = spec.search.revisions or []
    points = spec.search.enqueue or []
    n_cells = spec.n_cells + spec.search.n_closed - sum(revision.cells for revision in revisions)
    n_points = len(points) - sum(revision.points for revision in revisions)
    cells = list(ended_cells(spec, known.trials))
    for number, revision in enumerate(revisions):
        if revision.race is not None:
            was = {"revisions": revisions[:number], "enqueue": points[:n_points]}
            was |= {"n_trials": n_cells} if spec.search.grid is None else {}
            search = spec.search.model_copy(update=was)
            then = spec.model_copy(update={"search": search})
            race = Race(then, _as_they_were([each for each in cells if each.cell < n_cells], revision.race))
            added = points[n_points : n_points + revision.points]
            for problem in _differing(race, revision.race, added):
                yield f"step {number + 1}, the judgement after {revision.race.seeds} seeds: {problem}"
        n_cells += revision.cells
        n_points += revision.points


def _as_they_were(cells: Sequence[Ended], judged: Round) -> Iterator[Ended]:
    """The cells as they were when the judgement was made: a retry may have ended some of them since."""
    configurations = {each.cell: key_of_point(without_seed(each.parameters)) for each in cells}
    dropped = {configurations[cell] for cell in judged.dropped if cell in configurations}
    for each in cells:
        if each.cell not in judged.missing:
            yield each
        else:
            was_pruned = each.is_pruned and configurations[each.cell] in dropped
            yield each._replace(value=None, is_pruned=was_pruned)


def _differing(race: Race, stored: Round, added: Sequence[Point]) -> Iterator[str]:
    found = race.next_round()
    if found is None:
        yield "no judgement was due"
        return
    judged, points = found
    for name in ("seeds", "best", "explored", "chosen", "dropped", "missing", "out", "ending"):
        if getattr(stored, name) != getattr(judged, name):
            yield f"{name} is {getattr(stored, name)}; it should be {getattr(judged, name)}"
    if sorted(rival.cell for rival in stored.rivals) != sorted(rival.cell for rival in judged.rivals):
        yield "other configurations were compared than those in the race"
    else:
        again = {rival.cell: rival for rival in judged.rivals}
        for rival in stored.rivals:
            if not _is_alike(rival, again[rival.cell]):
                yield f"the comparison of cell {rival.cell} is {rival}; it should be {again[rival.cell]}"
    if len(added) != len(points) or any(point not in points for point in added):
        yield f"the seeds that were added are {shortened(added)}; they should be {shortened(points)}"


def _is_alike(stored: Compared, again: Compared) -> bool:
    def is_near(one: float | None, other: float | None) -> bool:
        if one is None or other is None:
            return one is other
        return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=1e-9)

    return stored.shared == again.shared and all(
        is_near(getattr(stored, name), getattr(again, name)) for name in ("difference", "deviation", "low")
    )
