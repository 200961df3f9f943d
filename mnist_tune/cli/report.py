"""The command `report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mnist_tune.cli import options, storages
from mnist_tune.cli.options import OnlyStudyArgument, StorageOption


def report(
    study: OnlyStudyArgument = "",
    storage: StorageOption = None,
    model: Annotated[
        list[Path] | None,
        typer.Option(
            "--model",
            metavar="DIR",
            help="A folder of 'train' or 'export --files', evaluated; once for each seed.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", help="The file to write.")] = Path("report.html"),
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    png: Annotated[
        Path | None,
        typer.Option(
            "--png", metavar="DIR", help="Write the figures there too, as PNG files.", show_default=False
        ),
    ] = None,
) -> None:
    """Write a report of a study to look at: one HTML file that needs no network.

    Example: mnist-tune report quickstart --output report.html --open
    """
    from datetime import UTC, datetime

    from mnist_tune.models.evaluation_file import read_evaluated
    from mnist_tune.report.contents import contents
    from mnist_tune.report.files import write_page

    service = storages.service(storage)
    results = service.results(study)
    models = [read_evaluated(folder, results.job) for folder in model or []]
    made = contents(results, models, service.where, datetime.now(UTC))
    size = write_page(made, output)
    options.say(f"wrote {output} ({size / 1e6:.1f} MB)" + ("" if open_ else "; open it in a browser"))
    if open_:
        typer.launch(output.resolve().as_uri())
    if png is not None:
        from mnist_tune.report.png import write_pngs

        written = write_pngs(made, png)
        options.say(f"wrote {len(written)} figures to {png}")
