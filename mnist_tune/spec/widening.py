"""What one spec has in addition to another, where it has all of that."""

from __future__ import annotations

from mnist_tune.errors import UserError
from mnist_tune.spec.growth import Amount, Growth, grown
from mnist_tune.spec.replicates import written_points
from mnist_tune.spec.revisions import is_in
from mnist_tune.spec.study_spec import Spec, differences


def widening(stored: Spec, given: Spec) -> Growth | None:
    """What `given` has in addition to `stored`, if it has all of that and differs in nothing else; else None.

    Lists may have another order: their cells are the same.
    """
    ours, theirs = stored.search, given.search
    points = [point for point in theirs.enqueue or [] if point not in (ours.enqueue or [])]
    if ours.grid is None or theirs.grid is None:
        more = (theirs.n_trials or 0) - ((ours.n_trials or 0) - ours.n_raced) - len(points)
        amount = Amount(number=more, more=True) if more > 0 else None
        wanted = Growth(n_trials=amount, points=points)
    else:
        added = {
            name: [one for one in axis if one not in ours.grid.get(name, [])]
            for name, axis in theirs.grid.items()
        }
        wanted = Growth(values={name: values for name, values in added.items() if values}, points=points)
    try:
        now = grown(stored, wanted).spec
    except UserError:
        return None
    return wanted if not differences(in_one_order(now), in_one_order(given)) else None


def in_one_order(spec: Spec) -> Spec:
    """The spec with its grid's lists sorted, and without points that are combinations of the grid."""
    search = spec.search
    written = written_points(search)
    points = sorted(written, key=lambda point: repr(sorted(point.items())))
    grid = search.grid and {name: sorted(search.grid[name], key=repr) for name in sorted(search.grid)}
    beside = [dict(sorted(point.items())) for point in points if grid is None or not is_in(grid, point)]
    return spec.model_copy(
        update={
            "search": search.model_copy(
                update={
                    "grid": grid,
                    "enqueue": beside or None,
                    "revisions": None,
                    "n_trials": search.n_trials and search.n_trials - search.n_raced,
                }
            )
        }
    )
