"""The command `evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mnist_tune.cli import options
from mnist_tune.cli.job_errors import job_errors
from mnist_tune.cli.options import DataOption, DeviceOption, JobOption, JsonOption


def evaluate(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL",
            help="A folder that 'train' or 'export --files' wrote, or a .safetensors of MNIST's network.",
            show_default=False,
        ),
    ],
    device: DeviceOption = "auto",
    data_dir: DataOption = None,
    job: JobOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a model on its job's test data: metrics and, of a classifier, which classes are confused.

    No trial of a search reads the test data or is chosen by them. MNIST has 10,000 test images.

    Example: mnist-tune evaluate models/best
    """
    from mnist_tune.models.evaluate import evaluate_model
    from mnist_tune.terminal.evaluation_table import evaluation_tables
    from mnist_tune.worker.consent import job_at_hand

    with job_errors("stopped; nothing was measured", as_json=as_json):
        measured = evaluate_model(
            model, job_at_hand(job), is_named=job is not None, device=device, data=data_dir
        )
    if as_json:
        options.print_json({"model": str(model), **measured.evaluation.as_json()})
    else:
        options.console().print(evaluation_tables(measured.evaluation, measured.job))
    try:
        kept = measured.keep()
    except OSError as error:
        options.say(f"not kept for reports: {error.strerror or error}", err=True)
    else:
        if kept is not None and not as_json:
            options.say(f"kept in {kept}, for 'mnist-tune report STUDY --model {kept.parent}'")
