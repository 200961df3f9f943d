"""The MNIST job's part in a trial: its data, its trainer, and the numbers of each epoch."""

import functools
from importlib import metadata
from pathlib import Path

from mnist_tune.hardware.devices import resolve_runtime
from mnist_tune.jobs.interface import Trial
from mnist_tune.jobs.mnist.dataset import LabeledImages, load_training_images, split
from mnist_tune.jobs.mnist.hyperparameters import DataConfig, TrainingConfig
from mnist_tune.jobs.mnist.image_sets import image_set
from mnist_tune.jobs.mnist.raw_files import data_directory, data_fingerprint
from mnist_tune.jobs.mnist.trainer import Trainer


class Training:
    """One trial's training."""

    def __init__(self, settings: TrainingConfig, trial: Trial) -> None:
        runtime = resolve_runtime(trial.device, settings.precision, trial.threads)
        training, validation = load(trial.data, runtime.device, trial.data_directory)
        trial.note(
            precision=runtime.precision,
            torchvision=metadata.version("torchvision"),
            data_sha256=data_fingerprint(data_directory(trial.data_directory), image_set(trial.data)),
        )
        self.trainer = Trainer(settings, runtime, training, validation)
        self._trial = trial

    def epoch(self) -> dict[str, float]:
        """Train one epoch; returns what to report."""
        return {"images": len(self.trainer.training), **self.trainer.run_epoch(self._trial.check)}


@functools.cache
def load(data: DataConfig, device: str, directory: Path | None) -> tuple[LabeledImages, LabeledImages | None]:
    """The training and the validation images on the device, divided once in each process.

    All images are for training if none are held back.

    Errors: see `raw_files.provide`.
    """
    every = load_training_images(directory, device, image_set(data))
    if not data.validation_size:
        return every, None
    return split(every, data.train_size, data.validation_size, data.split_seed)
