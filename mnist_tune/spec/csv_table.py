"""Reads a table in CSV, of a bounded size, line by line; what is wrong with it is said in one line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mnist_tune.errors import UserError
from mnist_tune.spec.parsing import read_text
from mnist_tune.spec.plain_data import NotPlainError


class Line(NamedTuple):
    """A line of a table, with its number in the file."""

    number: int
    texts: list[str]


def lines_of(file: Path, what: str) -> Iterator[Line]:
    """The lines of a table, the names in its first line first; blank lines are left out.

    `what` is what each line below the names stands for.

    Raises:
        UserError: the file cannot be read, is no such table, or has nothing below the names.
    """
    try:
        text = read_text(file)
    except NotPlainError as error:
        raise UserError(f"{file}: {error}") from None
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror or error}") from None
    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        for other in ";\t":
            if len(header) == 1 and other in header[0]:
                raise UserError(f"{file}: line 1 has {other!r} between its names; write commas, in all lines")
        yield Line(1, header)
        is_empty = True
        for row in filter(None, reader):
            is_empty, number = False, reader.line_num
            if len(row) != len(header):
                raise UserError(f"{file}: line {number} has {len(row)} values for {len(header)} fields")
            yield Line(number, [text.strip() for text in row])
    except csv.Error as error:
        raise UserError(f"{file}: line {reader.line_num} is not valid CSV: {error}") from None
    if is_empty:
        raise UserError(f"{file}: has no {what}; write one a line below the names of the fields")
