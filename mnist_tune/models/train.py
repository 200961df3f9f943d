"""Trains one chosen configuration, keeps the model, and measures it on the test images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mnist_tune.errors import MnistTuneError, UserError
from mnist_tune.files.atomic_write import write_whole
from mnist_tune.files.output_folder import output_folder
from mnist_tune.hardware.devices import resolve_runtime
from mnist_tune.jobs.description import Source
from mnist_tune.jobs.interface import NonFiniteMetric
from mnist_tune.jobs.metrics import EpochMetrics
from mnist_tune.jobs.mnist.dataset import load_test_images, load_training_images, split
from mnist_tune.jobs.mnist.evaluation import evaluate
from mnist_tune.jobs.mnist.hyperparameters import TrainingConfig
from mnist_tune.jobs.mnist.image_sets import image_set
from mnist_tune.jobs.mnist.network import load_trained, save_model
from mnist_tune.jobs.mnist.raw_files import data_directory, data_fingerprint
from mnist_tune.jobs.mnist.trainer import Trainer
from mnist_tune.jobs.model_folder import CONFIGURATION_FILE, METRICS_FILE, MODEL_FILE
from mnist_tune.models.evaluation_file import Measured, sha256_of
from mnist_tune.results.exports import Configuration, load_configuration
from mnist_tune.spec.documents import dump
from mnist_tune.worker.provenance import environment

CONFIGURATION_SUFFIXES = {".toml", ".json", ".yaml", ".yml"}
"""Of what `export` writes."""


def retrain(
    configuration: Configuration,
    output: Path,
    *,
    all_data: bool,
    seed: int | None,
    device: str,
    threads: int | None,
    data: Path | None,
    on_batch: Callable[[], None],
    on_epoch: Callable[[EpochMetrics], None],
) -> Path:
    """Train on all 60,000 images of the configuration's set, or on its split; write model, config, metrics.

    Returns the path of the model. It is written last: if it exists, the folder is complete.

    Raises:
        UserError: `output` holds a model already, or cannot be written.
        MnistTuneError: the loss became inf or nan.
    """
    model_file = output / MODEL_FILE
    if model_file.exists():
        raise UserError(f"{model_file}: exists; name another folder with --output")
    config = TrainingConfig(**configuration.training_config(seed).model_dump())
    runtime = resolve_runtime(device, config.precision, threads)
    options, images = configuration.data, image_set(configuration.data)
    training, validation = load_training_images(data, runtime.device, images), None
    if not all_data:
        parts = options.train_size, options.validation_size, options.split_seed
        training, validation = split(training, *parts)
    with output_folder(output, "name another with --output"):
        trainer = Trainer(config, runtime, training, validation)
        history = []
        try:
            for metrics in trainer.epochs(on_batch):
                history.append(metrics.as_json())
                on_epoch(metrics)
        except NonFiniteMetric as error:
            raise MnistTuneError(f"training diverged: {error}; lower the learning rate") from None
        used = configuration.model_copy(
            update={"training": configuration.training.model_copy(update={"seed": config.seed})}
        )
        metrics_document = {
            "images": len(training),
            "environment": environment(runtime, Source())
            | {"precision": runtime.precision, "data_sha256": data_fingerprint(data_directory(data), images)},
            "history": history,
        }
        write_whole(output / CONFIGURATION_FILE, dump(used.document(), "toml").encode())
        write_whole(output / METRICS_FILE, dump(metrics_document, "json").encode())
        save_model(trainer.model, model_file, images)
    return model_file


def evaluate_model(model: Path, *, device: str, data: Path | None) -> Measured:
    """Measure a saved model on the 10,000 test images of the set on which it was trained.

    It is measured in fp32: the numbers are the same on any hardware.

    Raises:
        UserError: there is no model, or not one of ours.
    """
    file = model / MODEL_FILE if model.is_dir() else model
    if file.suffix in CONFIGURATION_SUFFIXES and file.is_file():
        load_configuration(file)  # one of another job has nothing to be measured here
        raise UserError(f"{file}: is a configuration, not a model; train it first: mnist-tune train {file}")
    loaded, images = load_trained(file)
    sha256 = sha256_of(file)
    runtime = resolve_runtime(device, "fp32")
    evaluation = evaluate(loaded, load_test_images(data, runtime.device, images), runtime)
    return Measured(evaluation, file, sha256, images)
