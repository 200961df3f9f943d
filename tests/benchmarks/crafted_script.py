"""What a good engineer writes: resident tensors, channels_last, bf16 autocast, a fused optimizer.

It shows how much of our gain is known craft, and how much is this package's own.
"""

from __future__ import annotations

import time

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from mnist_tune.hardware.devices import resolve_runtime
from mnist_tune.jobs.mnist.dataset import load_training_images, split
from tests.benchmarks.job_task import Cell, Task, answer, wait_for_the_start
from tests.benchmarks.plain_script import Net

Part = tuple[Tensor, Tensor]


def train(cell: Cell, task: Task, bf16: bool, training: Part, validation: Part) -> None:
    began = time.monotonic()
    first_epoch = accuracy = 0.0
    torch.manual_seed(cell.seed)
    kind = torch.device(task.device).type
    model = Net().to(task.device).to(memory_format=torch.channels_last)
    optimizer = getattr(torch.optim, cell.optimizer)(model.parameters(), lr=cell.learning_rate, fused=True)
    images, labels = training
    for epoch in range(task.epochs):
        model.train()
        total = torch.zeros((), device=task.device)
        order = torch.randperm(len(images), device=task.device)
        for rows in torch.split(order, cell.batch_size):
            optimizer.zero_grad()
            with torch.autocast(kind, torch.bfloat16, enabled=bf16):
                loss = F.cross_entropy(model(images[rows]), labels[rows])
            torch.autograd.backward(loss)
            optimizer.step()
            total += loss.detach() * len(rows)
        model.eval()
        with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=bf16):
            outputs = torch.cat([model(batch) for batch in torch.split(validation[0], 1_000)]).float()
        float(F.cross_entropy(outputs, validation[1]))
        accuracy = 100 * (outputs.argmax(1) == validation[1]).float().mean().item()
        if epoch == 0:
            first_epoch = time.monotonic()
    answer(cell, began, first_epoch, accuracy)


def main() -> None:
    task = Task.of_argument()
    bf16 = resolve_runtime(task.device, task.precision).precision == "bf16"
    parts = split(load_training_images(task.data, task.device), task.train_size, task.validation_size)
    training, validation = [
        (part.images.contiguous(memory_format=torch.channels_last), part.labels) for part in parts
    ]
    wait_for_the_start()
    for cell in task.cells:
        train(cell, task, bf16, training, validation)


if __name__ == "__main__":
    main()
