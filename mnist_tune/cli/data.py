"""The command `data check`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from mnist_tune.cli import options
from mnist_tune.cli.options import DataOption, JsonOption
from mnist_tune.errors import FAILED, UserError

app = typer.Typer(help="The files with the images.", no_args_is_help=True)


@app.callback()
def data() -> None:
    """The files with the images."""


@app.command("check")
def check(
    dataset: Annotated[
        str, typer.Argument(metavar="[DATASET]", help="MNIST, FashionMNIST, KMNIST or QMNIST.")
    ] = "MNIST",
    data_dir: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say where the data is, how large, and whether it is the set's. Changes nothing.

    Exit code 1 if a file is damaged. MNIST has checksums; of the others the form is checked.

    Example: mnist-tune data check
    """
    from mnist_tune.jobs.mnist.image_sets import IMAGE_SETS
    from mnist_tune.jobs.mnist.raw_files import at_first_use, check, data_directory, remedy
    from mnist_tune.spec.documents import did_you_mean

    if dataset not in IMAGE_SETS:
        raise UserError(f"dataset '{dataset}' is not known; {did_you_mean(dataset, IMAGE_SETS)}")
    images, directory = IMAGE_SETS[dataset], data_directory(data_dir)
    rows = check(directory, images)
    if as_json:
        files = [asdict(row) for row in rows]
        options.print_json({"directory": directory, "dataset": images.name, "files": files})
    else:
        options.say(f"data directory: {directory}")
        for row in rows:
            size = "" if row.bytes is None else f"{row.bytes:,} bytes, "
            options.say(f"{row.path.name}: {size}{row.status}, SHA-256 {row.sha256 or 'none'}")
    missing = [row for row in rows if row.is_missing]
    if missing and not as_json:
        options.say(f"what is missing is {at_first_use(missing, images)} at first use")
    wrong = [row for row in rows if not row.ok and row not in missing]
    if wrong and not as_json:
        options.say(f"{wrong[0].path.name} is not as it should be: {remedy(images)}")
    if wrong:
        raise typer.Exit(FAILED)
