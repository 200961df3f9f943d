"""The command line: one file for each group of commands; each command parses, makes one call and prints.

Nothing heavy is imported here or at the top of the groups: `--help` must not wait for torch or Optuna.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from mnist_tune import __version__
from mnist_tune.cli import (
    confirm,
    control,
    dashboard,
    data,
    describe,
    doctor,
    enqueue,
    evaluate,
    export,
    extend,
    import_trials,
    init,
    launch,
    logs,
    report,
    run,
    serve,
    status,
    studies,
    token,
    train,
    try_,
    verify,
    worker,
)
from mnist_tune.cli.commands import Commands, help_of
from mnist_tune.cli.options import settings

app = typer.Typer(
    name="mnist-tune",
    cls=Commands,
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
    """Search the hyperparameters of a training job, MNIST's or your own, with many workers over one database.

    Example: mnist-tune run quickstart
    """
    settings.debug = debug


GROUPS: dict[str, dict[str, Callable[..., None]]] = {
    "Run a study": {
        "run": run.run,
        "create-study": studies.create_study,
        "worker": worker.worker,
        "launch": launch.launch,
        "serve": serve.serve,
    },
    "Bring your own": {
        "init": init.init,
        "try": try_.try_,
        "describe": describe.describe,
    },
    "Look at it": {
        "status": status.status,
        "logs": logs.logs,
        "studies": studies.list_studies,
        "report": report.report,
        "dashboard": dashboard.dashboard,
    },
    "Control its workers": {
        "pause": control.pause,
        "resume": control.resume,
        "cancel": control.cancel,
        "drain": control.drain,
        "retry": control.retry,
        "set": control.set_,
    },
    "Give it more to try": {
        "extend": extend.extend,
        "enqueue": enqueue.enqueue,
        "import-trials": import_trials.import_trials,
    },
    "Use what it found": {
        "confirm": confirm.confirm,
        "export": export.export,
        "train": train.train,
        "evaluate": evaluate.evaluate,
    },
    "Keep it in order": {
        "verify": verify.verify,
        "copy-study": studies.copy_study,
        "delete-study": studies.delete_study,
        "doctor": doctor.doctor,
    },
}
"""The commands in the order of the help."""

for _group, _commands in GROUPS.items():
    for _name, _command in _commands.items():
        app.command(_name, help=help_of(_command), rich_help_panel=_group)(_command)
app.add_typer(data.app, name="data", rich_help_panel=_group)
app.add_typer(token.app, name="token", rich_help_panel="Serve it to other machines")
