"""The trainer: what an epoch is, what is measured, and what ends it."""

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mnist_tune.hardware.devices import Precision
from mnist_tune.jobs.interface import NonFiniteMetric
from mnist_tune.jobs.mnist.dataset import LabeledImages
from mnist_tune.jobs.mnist.evaluation import evaluate
from mnist_tune.jobs.mnist.hyperparameters import TrainingConfig
from mnist_tune.jobs.mnist.network import load_model, model_bytes
from mnist_tune.jobs.mnist.trainer import Trainer
from tests.support.training_runs import BF16, FP32, are_the_same, start_python, weights_of

BOTH_PRECISIONS = pytest.mark.parametrize("precision", ["fp32", "bf16"])


class AbandonedError(Exception):
    pass


def test_training_learns_and_counts(images: tuple[LabeledImages, LabeledImages]) -> None:
    metrics = list(Trainer(TrainingConfig(epochs=3, batch_size=16), BF16, *images).epochs())
    assert [epoch.epoch for epoch in metrics] == [1, 2, 3]
    first, second, third = (epoch["training_loss"] for epoch in metrics if epoch["training_loss"] is not None)
    assert first > second > third
    last = metrics[-1]
    assert last["validation_accuracy"] is not None
    assert last.seconds is not None
    assert last["validation_accuracy"] > 60
    assert last["images_per_second"] == pytest.approx(200 / last.seconds)


def test_an_epoch_is_that_of_a_plain_script_on_the_same_batches(
    images: tuple[LabeledImages, LabeledImages],
) -> None:
    order: list[int] = []

    class Recorded(LabeledImages):
        def take(self, rows: Tensor) -> LabeledImages:
            order.extend(rows.tolist())
            return super().take(rows)

    training = images[0]
    trainer = Trainer(TrainingConfig(epochs=1), FP32, Recorded(training.pixels, training.labels))
    model = trainer.model
    metrics = next(trainer.epochs())
    assert sorted(order) == list(range(200))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    total = 0.0
    for rows in torch.split(torch.tensor(order), 64):
        loss = nn.functional.cross_entropy(model(training.images[rows]), training.labels[rows])
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        total += loss.item() * len(rows)
    assert metrics["training_loss"] == pytest.approx(total / 200, rel=1e-4)


def test_without_validation_images_there_are_no_validation_numbers(
    images: tuple[LabeledImages, LabeledImages],
) -> None:
    none = images[0].take(torch.tensor([], dtype=torch.int64))
    for validation in (None, none):
        metrics = next(Trainer(TrainingConfig(epochs=1), BF16, images[1], validation).epochs())
        assert (metrics["validation_loss"], metrics["validation_accuracy"]) == (None, None)


@pytest.mark.slow
@BOTH_PRECISIONS
def test_an_averaged_model_is_what_validation_measures_and_what_is_kept(
    images: tuple[LabeledImages, LabeledImages], precision: Precision
) -> None:
    runtime = dataclasses.replace(FP32, precision=precision)
    averaged = Trainer(TrainingConfig(epochs=3, ema_decay=0.8), runtime, *images)
    plain = Trainer(TrainingConfig(epochs=3), runtime, *images)
    for ours, theirs in zip(averaged.epochs(), plain.epochs(), strict=True):
        assert ours["training_loss"] == theirs["training_loss"]  # the weights that are trained are the same
        assert ours["validation_loss"] != theirs["validation_loss"]
        measured = evaluate(averaged.model, images[1], runtime)
        assert measured.metrics["loss"] == pytest.approx(ours["validation_loss"], rel=0.01)
    assert not are_the_same(weights_of(averaged), weights_of(plain))


def test_dropout_is_off_in_validation_and_in_the_model_that_is_kept(
    images: tuple[LabeledImages, LabeledImages],
) -> None:
    trainer = Trainer(TrainingConfig(epochs=1, dropout=0.9), FP32, *images)
    metrics = next(trainer.epochs())
    measured = evaluate(trainer.model.train(), images[1], FP32)
    assert measured.metrics["loss"] == pytest.approx(metrics["validation_loss"], rel=1e-3)


def test_a_loss_that_becomes_infinite_or_nan_ends_the_training(
    images: tuple[LabeledImages, LabeledImages],
) -> None:
    trainer = Trainer(TrainingConfig(learning_rate=1e9, optimizer="SGD"), FP32, *images)
    with pytest.raises(NonFiniteMetric, match=r"^training loss is (nan|inf) in epoch 1$"):
        list(trainer.epochs())
    assert trainer.epoch == 0


def test_a_validation_loss_that_is_not_finite_ends_the_training_too(
    images: tuple[LabeledImages, LabeledImages],
) -> None:
    # One batch: its loss comes before the step that spoils the weights, so only validation can tell.
    one_batch = TrainingConfig(learning_rate=1e38, optimizer="SGD", batch_size=200)
    with pytest.raises(NonFiniteMetric, match=r"^validation loss is (nan|inf) in epoch 1$"):
        list(Trainer(one_batch, FP32, *images).epochs())


def test_on_batch_is_called_before_every_batch(images: tuple[LabeledImages, LabeledImages]) -> None:
    calls: list[int] = []
    trainer = Trainer(TrainingConfig(epochs=2), BF16, *images)
    for _ in trainer.epochs(on_batch=lambda: calls.append(trainer.epoch)):
        pass
    assert calls == [0] * 4 + [1] * 4


def test_on_batch_can_abandon_the_trial_between_batches(images: tuple[LabeledImages, LabeledImages]) -> None:
    calls = 0

    def third_time() -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise AbandonedError

    trainer = Trainer(TrainingConfig(), BF16, *images)
    with pytest.raises(AbandonedError):
        next(trainer.epochs(third_time))
    assert (calls, trainer.epoch) == (3, 0)


def test_a_trained_model_loads_without_the_tricks_and_scores_the_same(
    images: tuple[LabeledImages, LabeledImages], tmp_path: Path
) -> None:
    training, validation = images
    trainer = Trainer(TrainingConfig(epochs=1), BF16, training, validation)
    metrics = next(trainer.epochs())
    (tmp_path / "model.safetensors").write_bytes(model_bytes(trainer.model))
    loaded = load_model(tmp_path)
    result = evaluate(loaded, validation, BF16)
    measured = result.metrics["loss"], result.metrics["accuracy"]
    assert measured == (metrics["validation_loss"], metrics["validation_accuracy"])
    with torch.no_grad():  # plain PyTorch, fp32, contiguous: bf16 rounding apart the same answers
        plain = nn.functional.cross_entropy(loaded(validation.images), validation.labels)
    assert plain.item() == pytest.approx(result.metrics["loss"], rel=0.05)


def test_a_config_that_contradicts_the_runtime_is_refused(
    images: tuple[LabeledImages, LabeledImages],
) -> None:
    with pytest.raises(ValueError, match="config asks for bf16, the runtime is fp32"):
        Trainer(TrainingConfig(precision="bf16"), FP32, *images)


@pytest.mark.slow
def test_training_imports_nothing_of_the_service() -> None:
    code = """
import sys
import mnist_tune.jobs.mnist.trainer
unwanted = {"optuna", "typer", "sqlalchemy", "platformdirs", "rich", "torchvision"}
print(sorted(unwanted & set(sys.modules)))
"""
    assert start_python(code).communicate()[0] == "[]\n"
