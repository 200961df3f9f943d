"""The last output and the exit code of a command that had workers of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from mnist_tune.errors import FAILED, STOPPED

if TYPE_CHECKING:
    from rich.console import Console

    from mnist_tune.results.study_results import Results
    from mnist_tune.terminal.follow import Workers
    from mnist_tune.worker.signals import StopRequest


def tell_the_end(results: Results, workers: Workers, stop: StopRequest, out: Console) -> None:
    """Print the ranking, what went wrong, and what to do next; exit with the code for that."""
    from mnist_tune.results.standing import totals
    from mnist_tune.terminal.events import conclusion
    from mnist_tune.terminal.tables import ranking

    if results.ranking:
        out.print(ranking(results, out.width))
    for line in [*workers.failures(), *conclusion(results)]:
        out.print(line)
    if not results.is_over:
        out.print(f"not finished: {totals(results)}; the same command goes on")
        raise typer.Exit(STOPPED if stop.requested else workers.exit_code() or FAILED)
    is_short = results.cells.failed or results.without_weights  # some of what was asked for is missing
    if is_short or results.stopped_badly:
        raise typer.Exit(FAILED)
