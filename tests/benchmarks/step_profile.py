"""Which operations take the time of a training step, by torch's profiler."""

from __future__ import annotations

import torch
from torch.profiler import ProfilerActivity

from mnist_tune.hardware.devices import Runtime
from mnist_tune.jobs.mnist.dataset import load_training_images, split
from mnist_tune.jobs.mnist.hyperparameters import TrainingConfig
from mnist_tune.jobs.mnist.trainer import Trainer
from tests.benchmarks.job_task import Task

STEPS = 20
ROWS = 16


def profile(task: Task, runtime: Runtime) -> str:
    """A table for each batch size: operations by their own time, after an epoch to warm up."""
    kind = "cuda" if runtime.is_cuda else "cpu"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if runtime.is_cuda else [])]
    images = load_training_images(task.data, runtime.device)
    tables = []
    for batch_size in (64, 128):
        training, _ = split(images, STEPS * batch_size, 0)
        epochs = Trainer(TrainingConfig(batch_size=batch_size, epochs=2), runtime, training).epochs()
        next(epochs)
        with torch.profiler.profile(activities=activities) as profiler:
            seconds = next(epochs).seconds or 0.0
        table = profiler.key_averages().table(
            sort_by=f"self_{kind}_time_total", row_limit=ROWS, max_name_column_width=48
        )
        tables.append(f"batch {batch_size}: {seconds / STEPS * 1000:.2f} ms a step, profiled\n{table}")
    return "\n".join(tables)
