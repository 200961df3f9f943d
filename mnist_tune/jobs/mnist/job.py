"""The built-in job: the MNIST classifier, written with the same names as a user's job.

Reading it loads no torch: a study is described without it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mnist_tune.jobs.description import Binomial
from mnist_tune.jobs.interface import Trial, job
from mnist_tune.jobs.metric import Metric
from mnist_tune.jobs.mnist.hyperparameters import DataConfig, TrainingConfig
from mnist_tune.jobs.mnist.measured import Evaluation
from mnist_tune.jobs.mnist.remarks import check
from mnist_tune.jobs.model_folder import MODEL_FILE

METRICS = {
    "training_loss": Metric(),
    "validation_loss": Metric(),
    "validation_accuracy": Metric(unit="%", title="accuracy", digits=2, low=0, high=100),
}
"""Losses are mean cross entropies, the accuracy is in percent."""


def evaluate(model: Path, device: str) -> Evaluation:
    """Measure a model's folder on 10,000 test images, in fp32: the numbers are the same everywhere."""
    from mnist_tune.hardware.devices import resolve_runtime
    from mnist_tune.jobs.mnist import evaluation
    from mnist_tune.jobs.mnist.dataset import load_test_images
    from mnist_tune.jobs.mnist.network import load_trained

    runtime = resolve_runtime(device, "fp32")
    trained, images = load_trained(model)
    return evaluation.evaluate(trained, load_test_images(None, runtime.device, images), runtime)


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
    report_sections=["reference", "digits"],
)
def train(settings: TrainingConfig, trial: Trial) -> None:
    """Train the CNN and keep its weights."""
    from mnist_tune.jobs.mnist.image_sets import image_set
    from mnist_tune.jobs.mnist.network import model_bytes
    from mnist_tune.jobs.mnist.training import Training

    training = Training(settings, trial)
    trial.keep(trainer=training.trainer)
    for _ in trial.epochs():
        trial.report(**training.epoch())
    trial.save(MODEL_FILE, model_bytes(training.trainer.model, image_set(trial.data)))
