"""The learning rate of every step, from PyTorch's own schedulers."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR

from mnist_tune.jobs.mnist.hyperparameters import TrainingConfig
from mnist_tune.jobs.mnist.optimizers import SGD


class Schedule:
    """Sets `learning_rate`, a tensor that the optimizer reads, before each step.

    The rates of a whole epoch are put on the device at its start, so that a recorded step can read its own.
    """

    def __init__(self, config: TrainingConfig, steps_per_epoch: int, device: str) -> None:
        self._config = config
        self._steps_per_epoch = steps_per_epoch
        self.learning_rate = torch.tensor(config.learning_rate, device=device)
        self._rates = torch.zeros(steps_per_epoch, device=device)
        self._step = torch.zeros(1, dtype=torch.int64, device=device)
        self._coming = learning_rates(config, config.epochs * steps_per_epoch)
        self._epochs_given = 0

    def begin(self, epoch: int) -> None:
        """Prepare the rates of the steps of `epoch`, from 1 to `config.epochs`."""
        if epoch <= self._epochs_given:  # training went back to an earlier state
            self._coming = learning_rates(self._config, self._config.epochs * self._steps_per_epoch)
            self._epochs_given = 0
        while self._epochs_given < epoch:
            rates = [next(self._coming) for _ in range(self._steps_per_epoch)]
            self._epochs_given += 1
        self._rates.copy_(torch.tensor(rates))
        self._step.zero_()

    @torch.no_grad()
    def step(self) -> None:
        """Set the learning rate of the next step; call it before each step."""
        self.learning_rate.copy_(self._rates.index_select(0, self._step).squeeze(0))
        self._step += 1


def learning_rates(config: TrainingConfig, n_steps: int) -> Iterator[float]:
    """The learning rates of a whole training run, one for each step.

    cosine: `CosineAnnealingLR` down to 0. one_cycle: `OneCycleLR`, up to `learning_rate` in the first 30 % of
    the steps, then down to almost nothing (arXiv:1708.07120, in fast.ai's version). Momentum stays constant.
    """
    optimizer = SGD([torch.zeros(1)], lr=config.learning_rate)  # trains nothing: it only has a learning rate
    scheduler: LRScheduler
    if config.scheduler == "one_cycle":
        scheduler = OneCycleLR(
            optimizer, max_lr=config.learning_rate, total_steps=n_steps, cycle_momentum=False
        )
    else:
        scheduler = CosineAnnealingLR(optimizer, T_max=n_steps)
    for _ in range(n_steps):
        rate: float = optimizer.param_groups[0]["lr"]
        yield rate
        optimizer.step()
        scheduler.step()
