"""The command `evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mnist_tune.cli import options
from mnist_tune.cli.options import DataOption, DeviceOption, JsonOption


def evaluate(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL", help="A folder that 'train' wrote, or its .safetensors.", show_default=False
        ),
    ],
    device: DeviceOption = "auto",
    data_dir: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a model on the 10,000 test images: accuracy in percent, per class, and confusion matrix.

    Example: mnist-tune evaluate models/best
    """
    from mnist_tune.models.train import evaluate_model
    from mnist_tune.terminal.evaluation_table import evaluation_tables

    measured = evaluate_model(model, device=device, data=data_dir)
    if as_json:
        options.print_json({"model": str(model), **measured.dataset, **measured.evaluation.as_json()})
    else:
        options.console().print(evaluation_tables(measured.evaluation, measured.images))
    try:
        kept = measured.keep()
    except OSError as error:
        options.say(f"not kept for reports: {error.strerror or error}", err=True)
    else:
        if kept is not None and not as_json:
            options.say(f"kept in {kept}, for 'mnist-tune report STUDY --model {kept.parent}'")
