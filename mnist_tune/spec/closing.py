"""A spec whose sampled search has fewer cells, since nothing was left that could be drawn for them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from mnist_tune.spec.documents import validate
from mnist_tune.spec.growth import Step
from mnist_tune.spec.revisions import Revision
from mnist_tune.spec.study_spec import Spec


def without_cells(spec: Spec, cells: Iterable[int], configurations: int, step: Step) -> Spec:
    """The spec without these cells; `configurations` is how many the space has, 0 if there are more."""
    closed = Revision(
        id=step.id,
        when=step.when,
        version=step.version,
        closed=_rows(cells),
        configurations=configurations,
        cells=0,
    )
    document = spec.document()
    document["search"]["revisions"] = [
        *spec.revisions,
        closed.model_dump(mode="json", exclude_defaults=True),
    ]
    return validate(type(spec), document, step.source)


def _rows(cells: Iterable[int]) -> list[list[int]]:
    """The first and the last of each row of numbers without a gap."""
    rows = (list(row) for _, row in groupby(enumerate(sorted(cells)), lambda one: one[1] - one[0]))
    return [[row[0][1], row[-1][1]] for row in rows]
