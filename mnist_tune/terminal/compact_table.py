"""The table that all commands print: narrow enough for 80 columns."""

from __future__ import annotations

from rich import box
from rich.table import Table

NUMBERS = {"rank", "trial", "attempt", "epoch", "loss", "accuracy", "checked", "seeds"}
"""Columns that are easier to compare when aligned to the right."""


def compact_table(*columns: str) -> Table:
    """A table without vertical lines; columns of numbers are aligned to the right."""
    # Gaps are narrow and headers break between words, so that the table fits into 80 columns.
    table = Table(box=box.SIMPLE_HEAD, padding=0)
    for column in columns:
        parts = column.replace("_", " ").split()
        table.add_column(
            " ".join(parts),
            justify="right" if column in NUMBERS or column.endswith("/s") else "left",
            no_wrap=len(parts) == 1,
            min_width=max(map(len, parts)),
        )
    return table
