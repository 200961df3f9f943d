"""Training one model: epochs of metrics, and a state from which training goes on to the same bits."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from mnist_tune.configuration import TrainingConfig
from mnist_tune.data import LabeledImages
from mnist_tune.devices import Runtime
from mnist_tune.evaluation import predict, score
from mnist_tune.metrics import EpochMetrics
from mnist_tune.model import ConvNet


class NonFiniteLoss(Exception):  # noqa: N818 - an outcome of a trial more than an error
    """The loss became inf or nan; the message says which loss and in which epoch."""


class Trainer:
    """Trains a ConvNet. One per trial; the data may be shared, it is only read.

    Same config, runtime and data: same numbers. What counts is `runtime`; ValueError if `config.precision`
    asks for something else.
    """

    def __init__(
        self,
        config: TrainingConfig,
        runtime: Runtime,
        training: LabeledImages,
        validation: LabeledImages | None = None,
    ) -> None:
        if config.precision not in ("auto", runtime.precision):
            raise ValueError(f"config asks for {config.precision}, the runtime is {runtime.precision}")
        runtime.apply()
        self.config = config
        self.runtime = runtime
        self.epoch = 0  # epochs done
        self.training = training.to(runtime.device)  # resident: no loader, no copy a batch
        self.validation = (
            validation.to(runtime.device) if validation is not None and len(validation) else None
        )
        # channels_last: the layout in which the convolution kernels run fastest.
        self.model = _new_model(config.seed).to(runtime.device).to(memory_format=torch.channels_last)
        self.optimizer = _new_optimizer(config, self.model)

    def epochs(self, on_batch: Callable[[], None] | None = None) -> Iterator[EpochMetrics]:
        """Train from the next epoch up to `config.epochs`, yielding after each.

        `on_batch` is called before every batch; what it raises passes through, and leaves the trainer in
        the middle of an epoch, good only for `load_state_dict`. Raises NonFiniteLoss.
        """
        while self.epoch < self.config.epochs:
            start = time.perf_counter()
            training_loss = self._train_epoch(on_batch)
            self._require_finite("training", training_loss)
            validation_loss = validation_accuracy = None
            if self.validation is not None:
                logits = predict(self.model, self.validation, self.runtime)
                validation_loss, validation_accuracy = score(logits, self.validation.labels)
                self._require_finite("validation", validation_loss)
            seconds = time.perf_counter() - start
            self.epoch += 1
            speed = len(self.training) / seconds
            yield EpochMetrics(
                self.epoch, training_loss, validation_loss, validation_accuracy, speed, seconds
            )

    def state_dict(self) -> dict[str, Any]:
        """Model, optimizer and epoch: all there is, since the order of images is a function of (seed, epoch).

        The tensors are the live ones: save or copy them before training on.
        """
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "epoch": self.epoch,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict()` of the same config. Raises KeyError, ValueError, RuntimeError."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        # Own copies, since the optimizer keeps what it is given; laid out as the weights are, since a fused
        # step walks both in memory order, and a stored state may have lost that.
        for parameter, moments in self.optimizer.state.items():
            for name, value in moments.items():
                like = parameter.detach() if value.shape == parameter.shape else value
                moments[name] = torch.empty_like(like).copy_(value)
        self.epoch = int(state["epoch"])

    def _train_epoch(self, on_batch: Callable[[], None] | None) -> float:
        self.model.train()
        n = len(self.training)
        order = _image_order(n, self.config.seed, self.epoch + 1).to(self.runtime.device)
        total = torch.zeros((), device=self.runtime.device)
        for rows in torch.split(order, self.config.batch_size):
            if on_batch is not None:
                on_batch()
            batch = self.training.take(rows)
            with self.runtime.autocast():
                logits = self.model(batch.images)
            loss = F.cross_entropy(logits.float(), batch.labels)
            self.optimizer.zero_grad()
            torch.autograd.backward(loss)
            self.optimizer.step()
            total += loss.detach() * len(rows)  # stays on the device: reading it would wait for the step
        return float(total) / n

    def _require_finite(self, which: str, loss: float) -> None:
        if not math.isfinite(loss):
            raise NonFiniteLoss(f"{which} loss is {loss} in epoch {self.epoch + 1}")


def _new_model(seed: int) -> ConvNet:
    """First weights by `seed` alone, drawn on the CPU for any device, the process's generator untouched."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return ConvNet()


def _new_optimizer(config: TrainingConfig, model: nn.Module) -> torch.optim.Optimizer:
    # fused: one pass over weights and moments instead of one for each operation.
    if config.optimizer == "Adam":
        return torch.optim.Adam(model.parameters(), lr=config.learning_rate, fused=True)
    return torch.optim.SGD(model.parameters(), lr=config.learning_rate, fused=True)


def _image_order(n: int, seed: int, epoch: int) -> Tensor:
    """The order of n images in `epoch`, whatever ran before: a resumed trial sees the same batches."""
    mixed = int(np.random.SeedSequence((seed, epoch)).generate_state(1, np.uint64)[0])
    return torch.randperm(n, generator=torch.Generator().manual_seed(mixed))
