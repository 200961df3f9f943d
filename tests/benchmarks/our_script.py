"""Our training without the queue: for machines without Optuna, and to find what the queue costs."""

from __future__ import annotations

import time
from dataclasses import asdict

from mnist_tune.hardware.devices import resolve_runtime
from mnist_tune.jobs.mnist.dataset import load_training_images, split
from mnist_tune.jobs.mnist.hyperparameters import TrainingConfig
from mnist_tune.jobs.mnist.trainer import Trainer
from tests.benchmarks.job_task import Task, answer, wait_for_the_start


def main() -> None:
    task = Task.of_argument()
    runtime = resolve_runtime(task.device, task.precision)
    parts = split(load_training_images(task.data, runtime.device), task.train_size, task.validation_size)
    wait_for_the_start()
    for cell in task.cells:
        began = time.monotonic()
        first_epoch = accuracy = 0.0
        trainer = Trainer(TrainingConfig(**asdict(cell), epochs=task.epochs), runtime, *parts)
        for metrics in trainer.epochs():
            assert metrics["validation_accuracy"] is not None
            accuracy = metrics["validation_accuracy"]
            first_epoch = first_epoch or time.monotonic()
        answer(cell, began, first_epoch, accuracy)


if __name__ == "__main__":
    main()
