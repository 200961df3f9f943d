"""A trial to its value: suggest the parameters, train, report each epoch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import Trial

from mnist_tune.attributes import ENVIRONMENT, HISTORY
from mnist_tune.data import load_training_images, split
from mnist_tune.devices import resolve_runtime
from mnist_tune.failures import AttemptFailed, Failure
from mnist_tune.provenance import environment
from mnist_tune.search import distributions
from mnist_tune.spec import Spec
from mnist_tune.training import NonFiniteLoss, Trainer


class Objective:
    """Validation accuracy, in percent, after the last epoch. One per worker process: it holds the data."""

    def __init__(
        self, spec: Spec, *, device: str = "auto", threads: int | None = None, data: Path | None = None
    ) -> None:
        self._spec = spec
        self._device = device
        self._threads = threads
        self._axes = distributions(spec)
        runtime = resolve_runtime(device, spec.training.precision, threads)
        images = load_training_images(data, runtime.device)
        self._training, self._validation = split(images, **spec.data.model_dump())
        self._data = data

    def __call__(self, trial: Trial, on_batch: Callable[[], None], log: Callable[[str], None]) -> float:
        """Run the trial.

        `on_batch` is called between batches and may raise to abandon the trial; `log` gets a line an epoch.

        Raises:
            AttemptFailed: the loss became inf or nan, or memory ran out.
            UpdateFinishedTrialError: the lease is lost.
        """
        parameters = {name: suggest(trial, name, axis) for name, axis in self._axes.items()}
        config = self._spec.training_config(parameters)
        runtime = resolve_runtime(self._device, config.precision, self._threads)
        trial.set_user_attr(ENVIRONMENT, environment(runtime, self._data))
        history: list[dict[str, Any]] = []
        accuracy = 0.0
        try:
            trainer = Trainer(config, runtime, self._training, self._validation)
            for metrics in trainer.epochs(on_batch):
                assert metrics.validation_accuracy is not None
                accuracy = metrics.validation_accuracy
                history.append(dataclasses.asdict(metrics))
                trial.set_user_attr(HISTORY, history)
                trial.report(accuracy, metrics.epoch)
                log(metrics.line(config.epochs))
        except NonFiniteLoss as error:
            raise AttemptFailed(Failure("non_finite", str(error))) from None
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise AttemptFailed(Failure("out_of_memory", str(error))) from None
        return accuracy


def suggest(trial: Trial, name: str, axis: BaseDistribution) -> Any:
    """The trial's value of one searched field; a cell of a grid, or a retry, has it already."""
    if isinstance(axis, CategoricalDistribution):
        return trial.suggest_categorical(name, axis.choices)
    if isinstance(axis, IntDistribution):
        return trial.suggest_int(name, axis.low, axis.high, step=axis.step, log=axis.log)
    assert isinstance(axis, FloatDistribution)
    return trial.suggest_float(name, axis.low, axis.high, step=axis.step, log=axis.log)
