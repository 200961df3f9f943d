"""The command `train`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from mnist_tune.cli import options
from mnist_tune.cli.job_errors import job_errors
from mnist_tune.cli.options import AllowCommandOption, DataOption, DeviceOption, JobOption, ThreadsOption
from mnist_tune.processes import standard_streams


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
        bool | None,
        typer.Option(
            "--all-data/--split",
            help="Train on what is held back for validation too, if the job can; or as the search did. "
            "Default: on all, if the job can.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Instead of the config's.", show_default=False)
    ] = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    data_dir: DataOption = None,
    job: JobOption = None,
    allow_command: AllowCommandOption = None,
) -> None:
    """Train one configuration and keep the files that its job saves, its config and its metrics.

    Stopped or killed, the same command goes on from the last epoch whose state it has kept. An error in the
    job shows its traceback. Exit code 1 if the job fails, 3 if it was stopped.

    Example: mnist-tune train best.toml --output models/best --seed 1
    """
    from mnist_tune.models.chosen import chosen
    from mnist_tune.worker.consent import job_at_hand

    standard_streams.work_on()
    folder = output

    def when_stopped() -> str:
        from mnist_tune.models.unfinished import epochs_kept

        done = 0 if folder is None else epochs_kept(folder)
        goes_on = f"; the same command goes on after epoch {done}" if done else ""
        return f"stopped before the last epoch; no model was saved{goes_on}"

    with job_errors(when_stopped):
        made = chosen(config, job_at_hand(job, allow_command))  # before torch is loaded
        configuration = made.configuration
        folder = output or Path("models") / f"{config.stem}-seed-{configuration.training_config(seed).seed}"

        from mnist_tune.models.train import retrain
        from mnist_tune.results.exports import vouching

        files = retrain(
            made,
            folder,
            all_data=made.description.holds_back if all_data is None else all_data,
            seed=seed,
            device=device,
            threads=threads,
            data=data_dir,
            on_epoch=lambda metrics: options.say(
                metrics.line(configuration.training.epochs, made.description)
            ),
            on_line=options.say,
        )
    if not files:
        options.say(f"saved {folder}, without a model: the job saves no file (trial.save)")
    else:
        command = f"mnist-tune evaluate {shlex.quote(str(folder))}{vouching(configuration.job)}"
        measure = f"; measure it with: {command}" if made.description.evaluates else ""
        options.say(f"saved {folder / files[0]}{measure}")
