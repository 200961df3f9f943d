"""Measures a model on test data."""

from __future__ import annotations

import shlex
from pathlib import Path

from mnist_tune.errors import UserError
from mnist_tune.hardware.devices import resolve_runtime
from mnist_tune.jobs.command.permitted import CommandConsent
from mnist_tune.jobs.command.table import CommandTable
from mnist_tune.jobs.evaluation import SavedModel
from mnist_tune.jobs.interface import Job
from mnist_tune.jobs.loading import load_installed
from mnist_tune.jobs.measuring import measure
from mnist_tune.jobs.model_files import CONFIGURATION_FILE, METRICS_FILE
from mnist_tune.jobs.reference import BUILT_IN, JobFile
from mnist_tune.jobs.trying import check_fields
from mnist_tune.models.chosen import Chosen, chosen
from mnist_tune.models.evaluation_file import Measured
from mnist_tune.models.folder import hashes
from mnist_tune.results.exports import Configuration, configured_job, vouching

CONFIGURATION_SUFFIXES = {".toml", ".json", ".yaml", ".yml"}
"""Of what `export` writes."""


def evaluate_model(
    model: Path,
    at_hand: JobFile | CommandConsent | None,
    *,
    is_named: bool,
    device: str,
    data: Path | None,
) -> Measured:
    """Measure a saved model with the job that made it.

    `is_named`: a person has named the job for this very model, so that it is not the built-in one's.

    Raises:
        UserError: there is no model, nobody vouches for its job, or the job cannot measure.
        MnistTuneError: the job returns something else than results.
        Exception: what the job has raised.
    """
    if model.suffix in CONFIGURATION_SUFFIXES and model.is_file():
        command = f"mnist-tune train {shlex.quote(str(model))}{vouching(configured_job(model))}"
        raise UserError(f"{model}: is a configuration, not a model; train it first: {command}")
    folder = model if model.is_dir() else model.parent
    # A file beside a config.toml of something else is just a file.
    is_ours = all((folder / name).is_file() for name in (CONFIGURATION_FILE, METRICS_FILE))
    if is_named and not is_ours:
        who = "'mnist-tune train' or 'export --files'"
        raise UserError(f"{model}: has no {CONFIGURATION_FILE}; name a folder that {who} wrote")
    if is_ours and isinstance(configured_job(folder / CONFIGURATION_FILE), CommandTable):
        raise UserError(f"{model}: its job is a command, which measures its models itself")
    made = chosen(folder / CONFIGURATION_FILE, at_hand) if is_ours else _of_the_built_in_job()
    assert isinstance(made.job, Job)  # no command
    settings = made.configuration.training.model_dump(exclude_none=True)
    data_options = made.configuration.data.model_dump(exclude_none=True)
    check_fields(made.job, settings, data_options, lambda _: None)
    runtime = resolve_runtime(device)
    runtime.apply()
    # Only our own network needs no more than one file.
    path = model if made.configuration.job.name == BUILT_IN else folder
    saved = SavedModel(path, runtime.device, made.job.options(data_options), data)
    sha256 = hashes(folder) if is_ours else {}
    is_whole = is_ours and (path == folder or list(sha256) == [model.name])
    evaluation = measure(made.job, made.job.settings(**settings), saved)
    return Measured(made.description, evaluation, folder if is_whole else None, sha256)


def _of_the_built_in_job() -> Chosen:
    """What is known of a file without a folder of ours: it can only be a model of our own network."""
    job, description = load_installed(BUILT_IN)
    return Chosen(Configuration(training=job.settings(), data=job.options({})), job, description)
