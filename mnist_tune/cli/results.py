"""status, export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mnist_tune.cli import options
from mnist_tune.cli.options import JsonOption, StorageOption, StudyArgument
from mnist_tune.documents import Format
from mnist_tune.errors import FAILED


def status(
    study: StudyArgument,
    storage: StorageOption = None,
    workers: Annotated[
        bool, typer.Option("--workers", help="Show the workers instead of the attempts.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show a study's cells, every attempt, and the best so far. Changes nothing.

    Exit code 1 if the study has ended with cells missing.

    Example: mnist-tune status quickstart
    """
    from mnist_tune.progress import conclusion, failures, totals
    from mnist_tune.results import read_results
    from mnist_tune.tables import attempts_table, workers_table

    results = read_results(options.study(study, storage))
    if as_json:
        options.print_json(results.as_json())
    else:
        out = options.console()
        out.print(workers_table(results) if workers else attempts_table(results))
        out.print(f"{results.name}: {totals(results)}")
        for line in [*failures(results), *conclusion(results)]:
            out.print(line)
    if results.is_finished and results.holes:
        raise typer.Exit(FAILED)


def export(
    study: StudyArgument,
    storage: StorageOption = None,
    format_: Annotated[
        Format | None,
        typer.Option("--format", help="Default: as --output's suffix says, else toml.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", help="Default: standard output.", show_default=False)
    ] = None,
) -> None:
    """Write the best trial's configuration, which 'mnist-tune train' runs unchanged.

    Example: mnist-tune export quickstart --output best.toml
    """
    from mnist_tune.database import shown, storage_url
    from mnist_tune.documents import dump, format_of, write
    from mnist_tune.exports import best_configuration
    from mnist_tune.results import read_results

    configuration = best_configuration(
        read_results(options.study(study, storage)), shown(storage_url(storage))
    )
    document = dump(configuration.model_dump(mode="json"), format_ or format_of(output))
    if output is None:
        typer.echo(document, nl=False)
    else:
        write(output, document)
        typer.echo(f"wrote {output}; train it with: mnist-tune train {output}")
