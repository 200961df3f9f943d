"""Trains one chosen configuration, and keeps the model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mnist_tune.errors import UserError
from mnist_tune.files.output_folder import output_folder
from mnist_tune.hardware.devices import resolve_runtime
from mnist_tune.jobs.command.permitted import PermittedCommand
from mnist_tune.jobs.command.trying import try_command
from mnist_tune.jobs.metrics import EpochMetrics
from mnist_tune.jobs.trying import try_job
from mnist_tune.models.chosen import Chosen
from mnist_tune.models.folder import write_model
from mnist_tune.models.unfinished import FOLDER, UnfinishedTraining
from mnist_tune.worker.provenance import environment


def retrain(
    chosen: Chosen,
    output: Path,
    *,
    all_data: bool,
    seed: int | None,
    device: str,
    threads: int | None,
    data: Path | None,
    on_epoch: Callable[[EpochMetrics], None],
    on_line: Callable[[str], None],
) -> list[str]:
    """Train with nothing held back, or as in the search; returns the names of the files that the job saved.

    After a stop or a crash the same call goes on from the last state that it has kept in `output`.

    Raises:
        UserError: `output` is not empty, has another training, or cannot be made; the job cannot train on all
            data.
        MnistTuneError: the job uses its trial wrongly, leaves early, or a metric became inf or nan.
        Exception: what the job has raised.
    """
    if all_data and not chosen.description.holds_back:
        raise UserError("--all-data: the job does not say how (all_data in @job); leave it out")
    job, configuration = chosen.job, chosen.configuration
    training = configuration.training_config(seed)
    settings = training.model_dump(exclude_none=True)
    how: dict[str, Any] = {"device": device, "threads": threads, "on_epoch": on_epoch, "on_line": on_line}
    options = configuration.data.model_dump(exclude_none=True)
    recipe = {
        "job": configuration.job.document(),
        "source": chosen.description.source.sha256,
        "training": settings,
        "data": options,
        "all_data": all_data,
    }
    with output_folder(output, "name another with --output", must_be_empty=True, besides=FOLDER):
        states = UnfinishedTraining(output, recipe, on_line)
        how["states"] = states
        if isinstance(job, PermittedCommand):
            tried = try_command(job, settings, **how)
        else:
            how |= {"data_directory": data, "all_data": all_data}
            tried = try_job(job, settings, options, **how)
        runtime = resolve_runtime(device, threads=threads)
        write_model(
            output,
            configuration.model_copy(update={"training": training}),
            chosen.description,
            tried.files,
            tried.epochs,
            environment(runtime, chosen.description.source) | tried.facts,
        )
        states.clear()
    return list(tried.files)
