"""How a study goes, on one screen."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from mnist_tune.progress import epochs_of, totals
from mnist_tune.results import Results
from mnist_tune.tables import SYMBOLS, axis_values, compact_table, state_text


def overview(results: Results, max_rows: int = 1_000) -> RenderableType:
    """Each cell's latest attempt, then the totals; of many cells, those where most happens."""
    table = compact_table(
        "trial", *results.spec.search.axes, "state", "epoch", "loss", "accuracy", "images/s"
    )
    busiest = sorted(results.latest, key=lambda attempt: list(SYMBOLS).index(attempt.state))[:max_rows]
    for attempt in sorted(busiest, key=lambda attempt: attempt.number):
        last = attempt.history[-1] if attempt.history else None
        table.add_row(
            str(attempt.number),
            *axis_values(results, attempt),
            state_text(attempt),
            f"{len(attempt.history)}/{epochs_of(results, attempt)}",
            f"{last.validation_loss:.4f}" if last else "",
            f"{last.validation_accuracy:.2f} %" if last else "",
            f"{last.images_per_second:,.0f}" if last else "",
        )
    hidden = len(results.latest) - len(busiest)
    more = [Text(f"... and {hidden} more cells")] if hidden else []
    return Group(table, *more, Text(totals(results)))
