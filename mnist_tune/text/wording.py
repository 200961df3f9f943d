"""Numbers, times and stored text in the words that people read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rich.cells import cell_len, chop_cells

from mnist_tune.text.visible import visible, visible_lines

PARAMETER_WIDTH = 10
"""The most characters of a searched value on a screen with little room."""


def clock(seconds: float) -> str:
    """Seconds as a stopwatch shows them: 6:55, 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def duration(seconds: float) -> str:
    """Seconds as people say them: 45 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def setting(value: bool | float | None) -> str:
    """A setting as a spec has it; `none` for one that is not set."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}"


def counted(number: int, what: str) -> str:
    """A number of things: 1 cell, 2,000 cells."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def listed(names: Sequence[str], most: int) -> str:
    """The first of some names, and whether there are more."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def last_lines(lines: Sequence[str], length: int) -> str:
    """The last lines of a log, as many as fit into `length` bytes when stored as JSON."""
    kept = 0
    for line in reversed(lines):
        length -= len(json.dumps(f"{line}\n")) - len('""')
        if length < 0:
            break
        kept += 1
    return "".join(f"{line}\n" for line in lines[len(lines) - kept :])


def first_line(text: str) -> str:
    """The first line of a stored text, made safe by `visible`."""
    return visible_lines(text.split("\n", 1)[0])[0]


def shortened(text: str, width: int, ellipsis: str = "…") -> str:
    """A stored name in at most `width` columns of a terminal; its end is kept, where names differ."""
    line = first_line(text)
    if cell_len(line) <= width:
        return line
    half = (width - cell_len(ellipsis)) // 2
    head = chop_cells(line, half)[0] if half else ""
    tail = chop_cells(line[::-1], width - cell_len(ellipsis) - cell_len(head))[0][::-1]
    return head + ellipsis + tail


def percent(value: float | None) -> str:
    """A percentage as text; empty for None."""
    return "" if value is None else f"{value:.2f} %"


def parameter(value: Any) -> str:
    """A searched value in about 10 characters: as it was written if that is short, else rounded."""
    written = visible(value)
    return f"{value:.4g}" if isinstance(value, float) and len(written) > PARAMETER_WIDTH else written


def parameters_text(parameters: dict[str, Any]) -> str:
    """Searched fields and their values on one line; long drawn values are rounded."""
    return ", ".join(f"{visible(name)}={parameter(value)}" for name, value in parameters.items())


def configuration(parameters: dict[str, Any]) -> str:
    """A configuration's parameters on one line; if only seeds are searched, it has none and gets a name."""
    return parameters_text(parameters) or "the only configuration"
