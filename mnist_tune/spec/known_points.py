"""Points that people know, as they type them or have them in a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mnist_tune.errors import UserError
from mnist_tune.spec.axes import field_named
from mnist_tune.spec.conditions import SEED, holds
from mnist_tune.spec.csv_table import lines_of
from mnist_tune.spec.documents import KeyedError, content_of, short_value
from mnist_tune.spec.growth_texts import checked, typed
from mnist_tune.spec.revisions import Point
from mnist_tune.spec.study_spec import Spec


def typed_points(spec: Spec, assignments: Sequence[str], file: Path | None) -> list[Point]:
    """The point in KEY=VALUE texts and those in a file; `spec` is the study's.

    Raises:
        UserError: there is none, a text has another form, or the file cannot be read.
    """
    if not assignments and file is None:
        raise UserError("enqueue: name a point, as learning_rate=0.002 batch_size=64, or --from FILE")
    points = [] if file is None else points_in(spec, file)
    point: Point = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not (name and equals):
            raise UserError(f"enqueue {assignment}: write KEY=VALUE")
        if name in point:
            raise UserError(f"enqueue {name}: is given twice; leave one out")
        point[name] = typed(spec, name, text, "enqueue")
    return [*points, point] if point else points


def points_in(spec: Spec, file: Path) -> list[Point]:
    """The points in a file: one configuration as `export` writes it, or a table in CSV with a header.

    A configuration has a value of every field: those that the study does not search are left out, and so is
    the seed where a race gives the seeds.

    Raises:
        UserError: the file cannot be read, or has something else in it.
    """
    if file.suffix.lower() == ".csv":
        return list(_rows(spec, file))
    content = content_of(file)
    table = content.get("training") if isinstance(content, dict) else None
    if not isinstance(table, dict) or "search" in content:
        raise UserError(
            f"{file}: holds no configuration; name one that 'mnist-tune export' has written, or a CSV file"
        )
    axes, conditions = spec.search.axes, spec.search.conditions
    given = {SEED} if spec.replicates is not None else set()
    searched = {name: value for name, value in table.items() if name in axes and name not in given}
    return [{name: value for name, value in searched.items() if holds(conditions.get(name), searched)}]


def _rows(spec: Spec, file: Path) -> Iterator[Point]:
    lines = lines_of(file, "point")
    header = next(lines).texts
    _check_header(spec, header, file)
    for line in lines:
        yield {
            name: typed(spec, name, text, f"{file}: line {line.number}:")
            for name, text in zip(header, line.texts, strict=True)
            if text
        }


def _check_header(spec: Spec, header: Sequence[str], file: Path) -> None:
    """Check that the first line of a table names fields. Raises UserError."""
    if not all(header or [""]) or len(set(header)) < len(header):
        raise UserError(f"{file}: its first line should name each field once, as learning_rate,batch_size")
    for name in header:
        try:
            field_named(spec.description.fields, name)
        except KeyedError as error:
            raise UserError(f"{file}: line 1: {name}: {error}") from None


def as_points(spec: Spec, given: Any) -> list[Point]:
    """One point, or a list of them, as it is given from Python; `spec` is the study's. Raises UserError."""
    points = given if isinstance(given, list | tuple) else [given]
    if not points:
        raise UserError("enqueue: has no point; give a dict of values by field, or several")
    for point in points:
        if not isinstance(point, Mapping):
            raise UserError(f"enqueue: should be a dict of values by field, not {short_value(point)}")
    return [
        {name: checked(spec, name, value, "enqueue:") for name, value in point.items()} for point in points
    ]
