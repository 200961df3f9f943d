import subprocess
import sys
from typing import Any, Literal

import pytest
import torch

from mnist_tune.hardware.devices import Runtime
from mnist_tune.jobs.mnist.fast_network import WorkingModel
from mnist_tune.jobs.mnist.hyperparameters import TrainingConfig
from mnist_tune.jobs.mnist.network import ConvNet
from mnist_tune.jobs.mnist.optimizers import new_optimizer

FP32 = Runtime("cpu", "a CPU", "fp32", 1)


@pytest.mark.parametrize(
    ("optimizer", "fields"),
    [
        ("Adam", {}),
        ("Adam", {"weight_decay": 0.01}),
        ("SGD", {}),
        ("SGD", {"weight_decay": 0.01, "momentum": 0.9}),
        ("SGD", {"momentum": 0.9, "nesterov": True}),
    ],
)
def test_it_steps_as_pytorchs_own_does_to_the_bit_also_after_a_reload(
    optimizer: Literal["Adam", "SGD"], fields: dict[str, Any]
) -> None:
    config = TrainingConfig(optimizer=optimizer, learning_rate=0.01, **fields)
    first = WorkingModel(ConvNet(), FP32)
    second = [torch.nn.Parameter(weight.detach().clone()) for weight in first.parameters]
    ours = new_optimizer(config, first, FP32)
    theirs = getattr(torch.optim, optimizer)(second, lr=0.01, fused=True, **fields)
    generator = torch.Generator().manual_seed(0)
    for number in range(4):
        if number == 2:
            state = ours.state_dict()
            ours = new_optimizer(config, first, FP32)
            ours.load_state_dict(state)
        for mine, other in zip(first.parameters, second, strict=True):
            mine.grad = torch.randn(mine.shape, generator=generator)
            other.grad = mine.grad.clone()
        ours.step()
        theirs.step()
        assert all(torch.equal(mine, other) for mine, other in zip(first.parameters, second, strict=True))


def test_adam_leaves_what_is_of_sgd_alone_and_nesterov_without_momentum_is_plain_sgd() -> None:
    model = WorkingModel(ConvNet(), FP32)
    assert new_optimizer(TrainingConfig(momentum=0.9, nesterov=True), model, FP32).defaults["lr"] == 0.001
    plain = new_optimizer(TrainingConfig(optimizer="SGD", nesterov=True), model, FP32)
    assert plain.defaults["nesterov"] is False


@pytest.mark.slow
def test_a_worker_does_not_import_pytorchs_compiler() -> None:
    code = """
import io, itertools, sys, torch
from mnist_tune.jobs.mnist.hyperparameters import TrainingConfig
from mnist_tune.jobs.mnist.dataset import load_training_images, split
from mnist_tune.hardware.devices import Runtime
from mnist_tune.jobs.mnist.trainer import Trainer
parts = split(load_training_images(), 100, 100)
for optimizer, scheduler in itertools.product(("Adam", "SGD"), ("none", "one_cycle")):
    config = TrainingConfig(optimizer=optimizer, epochs=2, scheduler=scheduler, ema_decay=0.5, dropout=0.1)
    first, second = (Trainer(config, Runtime("cpu", "a CPU", "bf16", 1), *parts) for _ in range(2))
    next(first.epochs())
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    second.load_state_dict(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
    next(second.epochs())
    print(optimizer, scheduler, "torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "Adam none False\nAdam one_cycle False\nSGD none False\nSGD one_cycle False\n"
