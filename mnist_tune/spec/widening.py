"""Compares the spec of a study with one in a file: what the file has in addition, or has less."""

from __future__ import annotations

from mnist_tune.errors import UserError
from mnist_tune.spec.differences import differences
from mnist_tune.spec.growth import Amount, Growth, grown
from mnist_tune.spec.more_epochs import EPOCHS, why_none
from mnist_tune.spec.replicates import written_points
from mnist_tune.spec.revisions import Point, is_in
from mnist_tune.spec.search_space import Search
from mnist_tune.spec.study_spec import Spec


def widening(stored: Spec, given: Spec) -> Growth | None:
    """What `given` has in addition to `stored`, if it has all of that and differs in nothing else; else None.

    Lists may have another order: their cells are the same. What a race over seeds has added is left out.
    """
    ours, theirs = stored.search, given.search
    points = _new_points(ours, theirs)
    if ours.grid is None or theirs.grid is None:
        more = _written_trials(theirs) - _written_trials(ours) - len(points)
        amount = Amount(number=more, more=True) if more > 0 else None
        wanted = Growth(n_trials=amount, points=points)
    else:
        added = {
            name: [one for one in axis if one not in ours.grid.get(name, [])]
            for name, axis in theirs.grid.items()
        }
        wanted = Growth(values={name: values for name, values in added.items() if values}, points=points)
    if EPOCHS not in ours.axes and given.training.epochs > stored.training.epochs:
        wanted = wanted.model_copy(update={EPOCHS: Amount(number=given.training.epochs)})
    try:
        now = grown(stored, wanted).spec
    except UserError:
        return None
    return wanted if not differences(in_one_order(now), in_one_order(given)) else None


def in_one_order(spec: Spec) -> Spec:
    """The spec with its grid's lists sorted, without points of the grid and those that a race has added."""
    search = spec.search
    points = sorted(written_points(search), key=lambda point: repr(sorted(point.items())))
    grid = search.grid and {name: sorted(search.grid[name], key=repr) for name in sorted(search.grid)}
    beside = [dict(sorted(point.items())) for point in points if grid is None or not is_in(grid, point)]
    written = {"grid": grid, "enqueue": beside or None, "revisions": None}
    n_trials = search.n_trials and _written_trials(search)
    return spec.model_copy(update={"search": search.model_copy(update=written | {"n_trials": n_trials})})


def why_not(stored: Spec, given: Spec) -> str | None:
    """What to do instead where a study is refused what `given` has, if that is known."""
    name = stored.study.name
    if stored.search.revisions and widening(given, stored) is not None:
        return f"this spec has less; work on the study with 'mnist-tune worker {name}'"
    ours, theirs = stored.search, given.search
    if given.training.epochs > stored.training.epochs and (why := why_none(stored)) is not None:
        return f"{EPOCHS}: {why}"
    new = _new_points(ours, theirs)
    if not new or ours.n_trials is None or theirs.n_trials is None:
        return None
    enough = _written_trials(ours) + len(new)
    with_enough = given.model_copy(update={"search": theirs.model_copy(update={"n_trials": enough})})
    if theirs.n_trials < enough and widening(stored, with_enough) is not None:
        return f"points count in n_trials: write n_trials = {enough}"
    return None


def _new_points(ours: Search, theirs: Search) -> list[Point]:
    return [point for point in written_points(theirs) if point not in (ours.enqueue or [])]


def _written_trials(search: Search) -> int:
    return (search.n_trials or 0) - search.n_raced
