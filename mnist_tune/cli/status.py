"""The command `status`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from mnist_tune.cli import options, storages
from mnist_tune.cli.options import JsonOption, OnlyStudyArgument, StorageOption
from mnist_tune.errors import FAILED, STOPPED, UserError
from mnist_tune.processes import standard_streams

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console
    from rich.text import Text

    from mnist_tune.results.study_results import Results
    from mnist_tune.service.calls import StudiesForPeople


def status(
    study: OnlyStudyArgument = "",
    storage: StorageOption = None,
    workers: Annotated[
        bool, typer.Option("--workers", help="Show the workers instead of the cells.")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Show every attempt, rank and failure of a long study.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it as it goes, until it is finished or Ctrl-C.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show how a study stands: its cells, the ranking, and what is wrong. Changes nothing.

    Of a long study you see what runs, what is missing, the best, and what has ended last; all with --all.
    Exit code 1 if the study has ended with cells missing, or has stopped after too many failures; 3
    if --watch was left before the study's end; the workers, wherever they run, do not notice.

    Example: mnist-tune status quickstart --watch
    """
    from mnist_tune.terminal.glyphs import ASCII, UNICODE
    from mnist_tune.terminal.status_page import status_page, summary
    from mnist_tune.terminal.tables import workers_table

    if watch and as_json:
        raise UserError("--watch is for people; leave out --json, or ask 'status --json' now and then")
    service = storages.service(storage)
    results = service.results(study)
    out = options.console()
    if watch and not results.is_over:
        results = _watched(service, results, out)
    if as_json:
        options.print_json(results.as_json())
    else:
        pen = ASCII if out.options.ascii_only else UNICODE
        if workers:
            out.print(workers_table(results))
            lines: Iterable[str | Text] = summary(results)
        else:
            lines = status_page(results, pen, out.width, everything=everything)
        for line in lines:
            out.print(line)
    if results.is_over and (results.cells.failed or results.stopped_badly):
        raise typer.Exit(FAILED)


def _watched(service: StudiesForPeople, results: Results, out: Console) -> Results:
    """Watch the study until it is finished; returns its results. Exits if the user stops watching."""
    from mnist_tune.results.standing import totals
    from mnist_tune.service.calls import results_again
    from mnist_tune.terminal.display import Display
    from mnist_tune.terminal.follow import watch
    from mnist_tune.worker.signals import StopRequest

    stop = StopRequest()
    stop.listen()
    if not standard_streams.is_screen(out.file):
        out.print(f"{results.name}: {totals(results)}")
    read = partial(results_again, service, results.name)
    results = watch(read, results, stop, Display(results, out))
    if not results.is_over:
        out.print(f"{results.name}: {totals(results)}")
        raise typer.Exit(STOPPED)
    return results
