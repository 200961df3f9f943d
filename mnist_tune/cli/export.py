"""The command `export`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from mnist_tune.cli import options, storages
from mnist_tune.cli.options import ArtifactsOption, OnlyStudyArgument, StorageOption
from mnist_tune.spec.parsing import Format


def export(
    study: OnlyStudyArgument = "",
    storage: StorageOption = None,
    format_: Annotated[
        Format | None,
        typer.Option("--format", help="Default: as --output's suffix says, else toml.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", help="Default: standard output.", show_default=False)
    ] = None,
    files: Annotated[
        Path | None,
        typer.Option(
            "--files",
            metavar="DIR",
            help="A new folder for the files that the first trial of the best configuration has saved, such "
            "as its model, with the configuration and the metrics: what 'mnist-tune evaluate' takes.",
            show_default=False,
        ),
    ] = None,
    artifacts: ArtifactsOption = None,
) -> None:
    """Write the best configuration, which 'mnist-tune train' runs unchanged, and the files of a trial of it.

    The best is the one with the best mean objective over its seeds; what is tied with it is
    named, and written beside it, as is that the study is not finished yet.

    Example: mnist-tune export quickstart --output best.toml
    """
    from mnist_tune.results.exports import best_configuration, vouching
    from mnist_tune.spec.documents import dump, format_of, write

    service = storages.service(storage, artifacts=artifacts)
    results = service.results(study)
    configuration = best_configuration(results, service.where)
    document = dump(configuration.document(), format_ or format_of(output))
    for line in results.reservations:
        options.say(f"warning: {line}", err=True)
    if output is None and files is None:
        for line in document.removesuffix("\n").split("\n"):
            options.say(line)
    if output is not None:
        write(output, document)
        for line in results.evidence:
            if line not in results.reservations:
                options.say(line)
        train = f"mnist-tune train {shlex.quote(str(output))}{vouching(configuration.job)}"
        options.say(f"wrote {output}; train it with: {train}")
    if files is not None:
        from mnist_tune.models.exported import export_files

        written = export_files(results, configuration, service, files)
        evaluate = f"mnist-tune evaluate {shlex.quote(str(files))}{vouching(configuration.job)}"
        measure = f"; measure it with: {evaluate}" if results.job.evaluates else ""
        options.say(f"wrote {', '.join(written)} to {files}{measure}")
