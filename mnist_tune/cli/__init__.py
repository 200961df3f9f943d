"""The command line: one file a group of commands, each command a parse, one call and a print.

Nothing heavy is imported here or at the top of the groups: `--help` must not wait for torch or Optuna.
"""

from __future__ import annotations

from typing import Annotated

import typer

from mnist_tune import __version__
from mnist_tune.cli import (
    checks,
    control,
    dashboard,
    data,
    doctor,
    launch,
    logs,
    models,
    report,
    results,
    studies,
    workers,
)
from mnist_tune.cli.options import settings

app = typer.Typer(
    name="mnist-tune",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mnist-tune {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[  # noqa: ARG001 - its callback does the work
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Search hyperparameters of an MNIST classifier with many workers over one database.

    Example: mnist-tune run studies/quickstart.toml
    """
    settings.debug = debug


app.command("create-study")(studies.create_study)
app.command("run")(workers.run)
app.command("worker")(workers.worker)
app.command("launch")(launch.launch)
app.command("status")(results.status)
app.command("logs")(logs.logs)
app.command("pause")(control.pause)
app.command("resume")(control.resume)
app.command("cancel")(control.cancel)
app.command("drain")(control.drain)
app.command("retry")(control.retry)
app.command("verify")(checks.verify)
app.command("export")(results.export)
app.command("report")(report.report)
app.command("dashboard")(dashboard.dashboard)
app.command("train")(models.train)
app.command("evaluate")(models.evaluate)
app.command("studies")(studies.list_studies)
app.command("copy-study")(studies.copy_study)
app.command("delete-study")(studies.delete_study)
app.command("doctor")(doctor.doctor)
app.add_typer(data.app, name="data")
