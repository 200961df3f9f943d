"""PyTorch's fused optimizers, without an import of its compiler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from mnist_tune.hardware.devices import Runtime
from mnist_tune.jobs.mnist.fast_network import WorkingModel
from mnist_tune.jobs.mnist.hyperparameters import TrainingConfig


def new_optimizer(
    config: TrainingConfig, model: WorkingModel, runtime: Runtime, learning_rate: Tensor | None = None
) -> Optimizer:
    """The optimizer that the configuration names, over the weights of `model`.

    `learning_rate` is a tensor from which the optimizer reads a rate that changes from step to step.
    """
    rate = config.learning_rate if learning_rate is None else learning_rate
    # fused: one pass over weights and moments instead of one for each operation.
    if config.optimizer == "Adam":
        # capturable: the count of steps is on the GPU, so that a recorded step can change it.
        return Adam(
            model.parameters,
            lr=rate,
            weight_decay=config.weight_decay,
            fused=True,
            capturable=runtime.is_cuda,
        )
    return SGD(
        model.parameters,
        lr=rate,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        # Without momentum, nesterov has no effect, and PyTorch refuses it.
        nesterov=config.nesterov and config.momentum > 0,
        fused=True,
    )


def _undecorated(method: Callable[..., Any]) -> Callable[..., Any]:
    # torch wraps these to keep torch.compile out of them, and imports the compiler for that, used or not: 1.5
    # seconds and 150 MB in every worker.
    undecorated: Callable[..., Any] = getattr(method, "__wrapped__", method)
    return undecorated


class _WithoutCompiler(Optimizer):
    add_param_group = _undecorated(Optimizer.add_param_group)
    state_dict = _undecorated(Optimizer.state_dict)
    load_state_dict = _undecorated(Optimizer.load_state_dict)


class Adam(_WithoutCompiler, torch.optim.Adam):
    """torch.optim.Adam without an import of the compiler."""

    step = torch.no_grad()(_undecorated(torch.optim.Adam.step))


class SGD(_WithoutCompiler, torch.optim.SGD):
    """torch.optim.SGD without an import of the compiler."""

    step = torch.no_grad()(_undecorated(torch.optim.SGD.step))
