"""Trains one model: yields the metrics of each epoch, and can resume from a saved state to the same bits."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mnist_tune.hardware.devices import Runtime
from mnist_tune.jobs.interface import CannotResume, NonFiniteMetric
from mnist_tune.jobs.metric import SECONDS
from mnist_tune.jobs.metrics import EpochMetrics
from mnist_tune.jobs.mnist.augmentation import Augmentation, is_augmented
from mnist_tune.jobs.mnist.dataset import LabeledImages
from mnist_tune.jobs.mnist.evaluation import predict, score
from mnist_tune.jobs.mnist.fast_network import WorkingModel, arranged, plain
from mnist_tune.jobs.mnist.hyperparameters import TrainingConfig
from mnist_tune.jobs.mnist.network import ConvNet
from mnist_tune.jobs.mnist.optimizers import new_optimizer
from mnist_tune.jobs.mnist.schedules import Schedule
from mnist_tune.jobs.mnist.steps import Steps
from mnist_tune.jobs.mnist.weight_average import AveragedWeights


class Trainer:
    """Trains a ConvNet. Each trial needs one of its own; the data is only read and may be shared.

    Equal config, runtime and data give equal numbers. The precision is that of `runtime`; ValueError if
    `config.precision` asks for another.
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
        self.training = _resident(training, runtime)
        self.validation = (
            _resident(validation, runtime) if validation is not None and len(validation) else None
        )
        self._working = WorkingModel(_new_model(config.seed), runtime, config.dropout)
        self._schedule = (
            Schedule(config, math.ceil(len(training) / config.batch_size), runtime.device)
            if config.scheduler != "none"
            else None
        )
        self._optimizer = new_optimizer(
            config, self._working, runtime, self._schedule.learning_rate if self._schedule else None
        )
        self._augmentation = Augmentation(config) if is_augmented(config) else None
        self._averaged = (
            AveragedWeights(self._working.parameters, config.ema_decay) if config.ema_decay else None
        )
        self._steps = self._new_steps()

    @property
    def model(self) -> ConvNet:
        """A copy of the present model, averaged if the recipe says so: ConvNet's layout, fp32, CPU."""
        weights = self._working.state_dict(self._weights_in_use)
        return ConvNet.of({name: weight.cpu().clone() for name, weight in weights.items()})

    @property
    def _weights_in_use(self) -> list[Tensor] | None:
        """The averaged weights, with which the model is evaluated if the recipe asks for them, or None."""
        return None if self._averaged is None else self._averaged.weights

    def epochs(self, on_batch: Callable[[], None] | None = None) -> Iterator[EpochMetrics]:
        """Train from the next epoch up to `config.epochs`; yields the metrics of each.

        `on_batch` is called before every batch. What it raises passes through and leaves the trainer in the
        middle of an epoch: only `load_state_dict` may then be called.

        Raises:
            NonFiniteMetric: a loss is inf or nan.
        """
        while self.epoch < self.config.epochs:
            start = time.perf_counter()
            metrics = self.run_epoch(on_batch)
            seconds = time.perf_counter() - start
            speed = len(self.training) / seconds
            yield EpochMetrics(self.epoch, {**metrics, "images_per_second": speed, SECONDS: seconds})

    def run_epoch(self, on_batch: Callable[[], None] | None = None) -> dict[str, float]:
        """Train one epoch; returns the mean training loss and, with validation, its loss and accuracy.

        Errors: see `epochs`.
        """
        metrics = {"training_loss": self._train_epoch(self.epoch + 1, on_batch)}
        self._require_finite("training", metrics["training_loss"])
        if self.validation is not None:
            with self._working.evaluating(self._weights_in_use):
                logits = predict(self._working, self.validation)
            loss, accuracy = score(logits, self.validation.labels)
            self._require_finite("validation", loss)
            metrics |= {"validation_loss": loss, "validation_accuracy": accuracy}
        self.epoch += 1
        return metrics

    def state_dict(self) -> dict[str, Any]:
        """Model, optimizer, epoch and precision; everything else in an epoch follows from (seed, epoch).

        Weights and moments are in ConvNet's layout. The tensors may be those in training: save or copy them
        before training goes on.
        """
        optimizer = self._optimizer.state_dict()
        moments = {index: _each(plain, state) for index, state in optimizer["state"].items()}
        state = {
            "model": self._working.state_dict(),
            "optimizer": optimizer | {"state": moments},
            "epoch": self.epoch,
            "precision": self.runtime.precision,
        }
        if self._averaged is not None:
            state["averaged"] = self._working.state_dict(self._averaged.weights)
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Resume from a `state_dict()` of the same config. Raises KeyError, ValueError, RuntimeError.

        Raises:
            CannotResume: it was trained in another precision.
        """
        ours = self.runtime.precision
        if (theirs := state.get("precision", ours)) != ours:
            raise CannotResume(f"the checkpoint was trained in {theirs}, this is {ours}")
        self._working.load_state_dict(state["model"])
        if self._averaged is not None:
            self._working.load_state_dict(state["averaged"], into=self._averaged.weights)
        moments = {index: _each(arranged, each) for index, each in state["optimizer"]["state"].items()}
        # Keep this optimizer's groups: those of another device have other settings for the same numbers.
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": moments, "param_groups": groups})
        if self._schedule is not None:  # load_state_dict copied the groups too
            for group in self._optimizer.param_groups:
                group["lr"] = self._schedule.learning_rate
        # The optimizer keeps the tensors that it is given, so it gets copies. They get the weights' memory
        # layout, which a stored state may have lost: a fused step walks both in memory order.
        for parameter, own in self._optimizer.state.items():
            for name, value in own.items():
                like = parameter.detach() if value.shape == parameter.shape else value
                own[name] = torch.empty_like(like).copy_(value)
        self._steps = self._new_steps()  # a recorded step would go on with the old tensors
        self.epoch = int(state["epoch"])

    def _train_epoch(self, epoch: int, on_batch: Callable[[], None] | None) -> float:
        """Train one epoch; returns the mean training loss. All random draws follow from (seed, epoch)."""
        streams = np.random.SeedSequence((self.config.seed, epoch)).generate_state(3, np.uint64)
        order, dropout, augmentation = map(int, streams)
        if self._schedule is not None:
            self._schedule.begin(epoch)
        if self._augmentation is not None:
            self._augmentation.begin(augmentation)
        with self.runtime.seeded(dropout) if self.config.dropout else nullcontext():
            return self._steps.run(_permutation(len(self.training), order), on_batch)

    def _new_steps(self) -> Steps:
        return Steps(
            self._working,
            self._optimizer,
            self.training,
            self.config.batch_size,
            self.runtime,
            label_smoothing=self.config.label_smoothing,
            augmentation=self._augmentation,
            schedule=self._schedule,
            averaged=self._averaged,
        )

    def _require_finite(self, which: str, loss: float) -> None:
        if not math.isfinite(loss):
            raise NonFiniteMetric(f"{which} loss is {loss} in epoch {self.epoch + 1}")


def _new_model(seed: int) -> ConvNet:
    """A model with first weights from `seed` alone: drawn on the CPU, without the global generator."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return ConvNet()


def _resident(images: LabeledImages, runtime: Runtime) -> LabeledImages:
    """The images in the device's memory, so that no batch is loaded; an accelerator gets them normalised."""
    images = images.to(runtime.device)
    return images if runtime.is_cpu else images.normalized(runtime.dtype)


def _each(arrange: Callable[[Tensor], Tensor], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: arrange(value) for name, value in state.items()}


def _permutation(n: int, seed: int) -> Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed))
