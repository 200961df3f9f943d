"""The built-in job: the MNIST classifier, written with the same names as a user's job.

Reading it loads no torch: a study is described without it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mnist_tune.jobs.description import Binomial, Reference
from mnist_tune.jobs.evaluation import Evaluation, SavedModel
from mnist_tune.jobs.interface import Trial, job
from mnist_tune.jobs.metric import Metric
from mnist_tune.jobs.mnist.hyperparameters import N_IMAGES, DataConfig, TrainingConfig
from mnist_tune.jobs.mnist.remarks import check

METRICS = {
    "training_loss": Metric(),
    "validation_loss": Metric(),
    "validation_accuracy": Metric(unit="%", title="accuracy", digits=2, low=0, high=100),
}
"""Losses are mean cross entropies, the accuracy is in percent."""


REFERENCE = Reference(
    metric="accuracy",
    value=98.94,
    training={"learning_rate": 0.001, "batch_size": 64, "optimizer": "Adam", "epochs": 10},
    data={"dataset": "MNIST"},
    words="Learning rate 0.001, batch size 64, Adam, 10 epochs: a single run, so the luck of its seed is not "
    "known.",
)


def evaluate(_settings: TrainingConfig, model: SavedModel) -> Evaluation:
    """Measure a model on the 10,000 test images of its set, in fp32: the numbers are the same everywhere."""
    from mnist_tune.hardware.devices import resolve_runtime
    from mnist_tune.jobs.mnist import evaluation
    from mnist_tune.jobs.mnist.dataset import load_test_images
    from mnist_tune.jobs.mnist.network import load_trained

    runtime = resolve_runtime(model.device, "fp32")
    trained, images = load_trained(model.path)
    test_images = load_test_images(model.data_directory, runtime.device, images)
    return evaluation.evaluate(trained, test_images, runtime, images)


def all_data(data: DataConfig) -> DataConfig:
    """Hold no images back for validation."""
    return data.model_copy(update={"train_size": N_IMAGES, "validation_size": 0})


def provision(data: Any, directory: Path | None) -> None:
    """Check that the images are there and whole; torch is loaded only if they must be downloaded."""
    from mnist_tune.jobs.mnist.image_sets import image_set
    from mnist_tune.jobs.mnist.provision import prepare_data

    prepare_data(image_set(data), directory)


def prepare(data: DataConfig, device: str, directory: Path | None) -> None:
    """Load the images."""
    from mnist_tune.jobs.mnist.training import load

    load(data, device, directory)


@job(
    objective="validation_accuracy",
    direction="maximize",
    unit="images",
    metrics=METRICS,
    data_options=DataConfig,
    noise=Binomial(of="validation_size", cases="images"),
    check=check,
    prepare=prepare,
    evaluate=evaluate,
    all_data=all_data,
    reference=REFERENCE,
    more_epochs={"scheduler": ["cosine", "one_cycle"]},
)
def train(settings: TrainingConfig, trial: Trial) -> None:
    """Train the CNN and keep its weights."""
    from mnist_tune.jobs.mnist.image_sets import image_set
    from mnist_tune.jobs.mnist.network import MODEL_FILE, model_bytes
    from mnist_tune.jobs.mnist.training import Training

    training = Training(settings, trial)
    trial.keep(trainer=training.trainer)
    for _ in trial.epochs():
        trial.report(**training.epoch())
    trial.save(MODEL_FILE, model_bytes(training.trainer.model, image_set(trial.data)))
