"""Points that people know, as they type them or have them in a file."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mnist_tune.errors import UserError
from mnist_tune.spec.conditions import holds
from mnist_tune.spec.documents import content_of, short_value
from mnist_tune.spec.growth_texts import typed
from mnist_tune.spec.parsing import read_text
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

    A configuration has a value of every field: those that the study does not search are left out.

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
    searched = {name: value for name, value in table.items() if name in axes}
    return [{name: value for name, value in searched.items() if holds(conditions.get(name), searched)}]


def _rows(spec: Spec, file: Path) -> Iterator[Point]:
    try:
        lines = read_text(file).splitlines()
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror or error}") from None
    header, *rows = list(csv.reader(lines)) or [[]]
    if not header or len(set(header)) < len(header):
        raise UserError(f"{file}: its first line should name each field once, as learning_rate,batch_size")
    for number, row in enumerate(rows, start=2):
        if not row:
            continue
        if len(row) != len(header):
            raise UserError(f"{file}: line {number} has {len(row)} values for {len(header)} fields")
        yield {
            name: typed(spec, name, text.strip(), f"{file}: line {number}:")
            for name, text in zip(header, row, strict=True)
            if text.strip()
        }


def as_points(given: Any) -> list[dict[str, Any]]:
    """One point, or a list of them, as it is given from Python. Raises UserError."""
    points = given if isinstance(given, list | tuple) else [given]
    for point in points:
        if not isinstance(point, dict):
            raise UserError(f"enqueue: should be a dict of values by field, not {short_value(point)}")
    return list(points)
