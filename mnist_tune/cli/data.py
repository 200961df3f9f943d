"""The command `data check`."""

from __future__ import annotations

from dataclasses import asdict

import typer

from mnist_tune.cli import options
from mnist_tune.cli.options import DataOption, JsonOption
from mnist_tune.errors import FAILED

app = typer.Typer(help="The MNIST files.", no_args_is_help=True)


@app.callback()
def data() -> None:
    """The MNIST files."""


@app.command("check")
def check(data_dir: DataOption = None, as_json: JsonOption = False) -> None:
    """Say where the data is, how large, and whether it is MNIST's. Changes nothing.

    Exit code 1 if a file is damaged.

    Example: mnist-tune data check
    """
    from mnist_tune.jobs.mnist.raw_files import MOVE, check, data_directory

    directory = data_directory(data_dir)
    rows = check(directory)
    if as_json:
        options.print_json({"directory": directory, "files": [asdict(row) for row in rows]})
    else:
        options.say(f"data directory: {directory}")
        for row in rows:
            size = "" if row.bytes is None else f"{row.bytes:,} bytes, "
            options.say(f"{row.path.name}: {size}{row.status}, SHA-256 {row.sha256 or 'none'}")
    missing = [row for row in rows if row.status == "missing"]
    if missing and not as_json:
        options.say("what is missing is unpacked from the package at first use")
    wrong = [row for row in rows if not row.ok and row not in missing]
    if wrong and not as_json:
        options.say(f"{wrong[0].path.name} is not as it should be: {MOVE}")
    if wrong:
        raise typer.Exit(FAILED)
