"""The command `train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mnist_tune.cli import options
from mnist_tune.cli.options import DataOption, DeviceOption, ThreadsOption
from mnist_tune.errors import STOPPED


def train(
    config: Annotated[
        Path,
        typer.Argument(metavar="CONFIG", help="A file that 'mnist-tune export' wrote.", show_default=False),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", help="Folder for the model. Default: models/CONFIG-seed-N.", show_default=False
        ),
    ] = None,
    all_data: Annotated[
        bool, typer.Option("--all-data/--split", help="All 60,000 training images, or the config's split.")
    ] = True,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Instead of the config's.", show_default=False)
    ] = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    data_dir: DataOption = None,
) -> None:
    """Train one configuration and save the model (safetensors), its config and metrics.

    Example: mnist-tune train best.toml --output models/best --seed 1
    """
    from mnist_tune.processes import standard_streams as standard_output
    from mnist_tune.results.exports import load_configuration

    configuration = load_configuration(config)  # before torch is loaded: a mistake is told at once

    from mnist_tune.jobs.loading import built_in_description
    from mnist_tune.jobs.metrics import EpochMetrics
    from mnist_tune.models.train import retrain
    from mnist_tune.worker.signals import Interrupted, StopRequest

    folder = output or Path("models") / f"{config.stem}-seed-{configuration.training_config(seed).seed}"
    standard_output.work_on()
    stop = StopRequest()
    stop.listen()

    def on_epoch(metrics: EpochMetrics) -> None:
        options.say(metrics.line(configuration.training.epochs, built_in_description()))

    try:
        model = retrain(
            configuration,
            folder,
            all_data=all_data,
            seed=seed,
            device=device,
            threads=threads,
            data=data_dir,
            on_batch=stop.check,
            on_epoch=on_epoch,
        )
    except Interrupted:
        options.say("stopped before the last epoch; no model was saved", err=True)
        raise typer.Exit(STOPPED) from None
    options.say(f"saved {model}; measure it with: mnist-tune evaluate {folder}")
