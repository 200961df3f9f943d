import copy
import dataclasses
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

import mnist_tune
from mnist_tune.hardware.devices import Precision, Runtime
from mnist_tune.jobs.metrics import EpochMetrics
from mnist_tune.jobs.mnist.dataset import LabeledImages, load_training_images, split
from mnist_tune.jobs.mnist.evaluation import evaluate
from mnist_tune.jobs.mnist.hyperparameters import TrainingConfig
from mnist_tune.jobs.mnist.network import load_model, save_model
from mnist_tune.jobs.mnist.trainer import NonFiniteLoss, Trainer

Optimizer = Literal["Adam", "SGD"]
FP32 = Runtime("cpu", "a CPU", "fp32", 1)
BF16 = Runtime("cpu", "a CPU", "bf16", 1)
BOTH_PRECISIONS = pytest.mark.parametrize("precision", ["fp32", "bf16"])


class AbandonedError(Exception):
    pass


@pytest.fixture(scope="module")
def images(mnist_directory: Path) -> tuple[LabeledImages, LabeledImages]:
    """200 training images (the last batch of 64 is a part of one), 70 for validation."""
    return split(load_training_images(mnist_directory, "cpu"), 200, 70)


def weights_of(trainer: Trainer) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in trainer.model.named_parameters()}


def are_the_same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def numbers_of(metrics: EpochMetrics) -> tuple[int, float, float | None, float | None]:
    """What must be the same in every run: all but the times."""
    return metrics.epoch, metrics.training_loss, metrics.validation_loss, metrics.validation_accuracy


def test_training_learns_and_counts(images: tuple[LabeledImages, LabeledImages]) -> None:
    metrics = list(Trainer(TrainingConfig(epochs=3, batch_size=16), BF16, *images).epochs())
    assert [epoch.epoch for epoch in metrics] == [1, 2, 3]
    assert metrics[0].training_loss > metrics[1].training_loss > metrics[2].training_loss
    last = metrics[-1]
    assert last.validation_accuracy is not None
    assert last.validation_accuracy > 60
    assert last.images_per_second == pytest.approx(200 / last.seconds)


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
    assert metrics.training_loss == pytest.approx(total / 200, rel=1e-4)


def test_without_validation_images_there_are_no_validation_numbers(
    images: tuple[LabeledImages, LabeledImages],
) -> None:
    none = images[0].take(torch.tensor([], dtype=torch.int64))
    for validation in (None, none):
        metrics = next(Trainer(TrainingConfig(epochs=1), BF16, images[1], validation).epochs())
        assert (metrics.validation_loss, metrics.validation_accuracy) == (None, None)


@pytest.mark.parametrize(
    ("optimizer", "precision"),
    [
        ("Adam", "fp32"),
        ("SGD", "bf16"),
        pytest.param("Adam", "bf16", marks=pytest.mark.slow),
        pytest.param("SGD", "fp32", marks=pytest.mark.slow),
    ],
)
def test_two_epochs_and_two_more_equal_four_to_the_bit(
    images: tuple[LabeledImages, LabeledImages], optimizer: Optimizer, precision: Precision
) -> None:
    runtime = dataclasses.replace(FP32, precision=precision)
    config = TrainingConfig(learning_rate=0.003, optimizer=optimizer, epochs=4, seed=3)
    whole = Trainer(config, runtime, *images)
    expected = [numbers_of(metrics) for metrics in whole.epochs()]

    first = Trainer(config, runtime, *images)
    head = [numbers_of(metrics) for _, metrics in zip(range(2), first.epochs(), strict=False)]
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second = Trainer(config, runtime, *images)
    second.load_state_dict(torch.load(file, weights_only=True))
    assert second.epoch == 2
    tail = [numbers_of(metrics) for metrics in second.epochs()]
    assert [*head, *tail] == expected
    assert are_the_same(weights_of(second), weights_of(whole))
    assert list(second.epochs()) == []


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"weight_decay": 0.001}, marks=pytest.mark.slow),
        {"optimizer": "SGD", "momentum": 0.9, "nesterov": True, "scheduler": "cosine"},
        {"scheduler": "one_cycle"},
        pytest.param({"label_smoothing": 0.1}, marks=pytest.mark.slow),
        {"dropout": 0.3},
        pytest.param({"augmentation_shift": 2.0}, marks=pytest.mark.slow),
        {"augmentation_rotation": 10.0, "augmentation_scale": 0.1, "augmentation_shear": 5.0},
        {"ema_decay": 0.9},
    ],
    ids=lambda fields: "-".join(fields),
)
def test_each_field_changes_the_training_and_resumes_to_the_bit(
    images: tuple[LabeledImages, LabeledImages], fields: dict[str, Any]
) -> None:
    plain = Trainer(TrainingConfig(epochs=2, optimizer=fields.get("optimizer", "Adam")), BF16, *images)
    list(plain.epochs())
    config = TrainingConfig(epochs=2, **fields)
    whole = Trainer(config, BF16, *images)
    generator = torch.get_rng_state()
    expected = [numbers_of(metrics) for metrics in whole.epochs()]
    assert torch.equal(torch.get_rng_state(), generator)
    assert not are_the_same(weights_of(whole), weights_of(plain))

    first = Trainer(config, BF16, *images)
    head = numbers_of(next(first.epochs()))
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second = Trainer(config, BF16, *images)
    second.load_state_dict(torch.load(file, weights_only=True))
    torch.rand(7)  # what else the process draws changes nothing
    assert [head, *map(numbers_of, second.epochs())] == expected
    assert are_the_same(weights_of(second), weights_of(whole))


@BOTH_PRECISIONS
def test_an_averaged_model_is_what_validation_measures_and_what_is_kept(
    images: tuple[LabeledImages, LabeledImages], precision: Precision
) -> None:
    runtime = dataclasses.replace(FP32, precision=precision)
    averaged = Trainer(TrainingConfig(epochs=3, ema_decay=0.8), runtime, *images)
    plain = Trainer(TrainingConfig(epochs=3), runtime, *images)
    for ours, theirs in zip(averaged.epochs(), plain.epochs(), strict=True):
        assert ours.training_loss == theirs.training_loss  # the weights that are trained are the same
        assert ours.validation_loss != theirs.validation_loss
        measured = evaluate(averaged.model, images[1], runtime)
        assert measured.loss == pytest.approx(ours.validation_loss, rel=0.01)
    assert not are_the_same(weights_of(averaged), weights_of(plain))


def test_dropout_is_off_in_validation_and_in_the_model_that_is_kept(
    images: tuple[LabeledImages, LabeledImages],
) -> None:
    trainer = Trainer(TrainingConfig(epochs=1, dropout=0.9), FP32, *images)
    metrics = next(trainer.epochs())
    measured = evaluate(trainer.model.train(), images[1], FP32)
    assert measured.loss == pytest.approx(metrics.validation_loss, rel=1e-3)


def test_a_state_that_lost_its_memory_layout_resumes_to_the_same_bits(
    images: tuple[LabeledImages, LabeledImages],
) -> None:
    trainer = Trainer(TrainingConfig(epochs=2), BF16, *images)
    epochs = trainer.epochs()
    next(epochs)
    state = copy.deepcopy(trainer.state_dict())
    for moments in state["optimizer"]["state"].values():
        moments.update({name: value.contiguous() for name, value in moments.items()})
    kept = copy.deepcopy(state)
    resumed = Trainer(TrainingConfig(epochs=2), BF16, *images)
    resumed.load_state_dict(state)
    assert numbers_of(next(resumed.epochs())) == numbers_of(next(epochs))
    assert are_the_same(weights_of(resumed), weights_of(trainer))
    for index, moments in kept["optimizer"]["state"].items():  # the caller's state was copied, not trained on
        assert are_the_same(moments, state["optimizer"]["state"][index])


def test_the_same_config_gives_the_same_numbers_here_and_in_fresh_processes(mnist_directory: Path) -> None:
    code = """
import json
from mnist_tune.jobs.mnist.hyperparameters import TrainingConfig
from mnist_tune.jobs.mnist.dataset import load_training_images, split
from mnist_tune.hardware.devices import Runtime
from mnist_tune.jobs.mnist.trainer import Trainer
runtime = Runtime("cpu", "a CPU", "bf16", 1)
trainer = Trainer(TrainingConfig(epochs=2, seed=5), runtime, *split(load_training_images(), 200, 70))
for m in trainer.epochs():
    print(json.dumps([m.epoch, m.training_loss, m.validation_loss, m.validation_accuracy]))
"""
    assert os.environ["MNIST_TUNE_DATA"] == str(mnist_directory)
    processes = [start_python(code), start_python(code)]
    fresh = [[json.loads(line) for line in process.communicate()[0].splitlines()] for process in processes]
    torch.manual_seed(1234)  # what the process drew before must not matter
    here = Trainer(
        TrainingConfig(epochs=2, seed=5), BF16, *split(load_training_images(mnist_directory), 200, 70)
    )
    assert [list(numbers_of(metrics)) for metrics in here.epochs()] == fresh[0] == fresh[1]


def start_python(code: str) -> subprocess.Popen[str]:
    """A fresh Python that runs `code` with this project on its path."""
    environment = {**os.environ, "PYTHONPATH": str(Path(mnist_tune.__file__).parent.parent)}
    return subprocess.Popen(
        [sys.executable, "-P", "-c", code], env=environment, stdout=subprocess.PIPE, text=True
    )


def test_seeds_decide_weights_and_order_and_the_processs_generator_is_left_alone(
    images: tuple[LabeledImages, LabeledImages],
) -> None:
    state = torch.get_rng_state()
    first, again, other = (Trainer(TrainingConfig(epochs=1, seed=seed), BF16, *images) for seed in (0, 0, 1))
    assert are_the_same(weights_of(first), weights_of(again))
    assert not are_the_same(weights_of(first), weights_of(other))
    next(first.epochs())
    assert torch.equal(torch.get_rng_state(), state)


def test_two_trainers_taking_turns_do_not_disturb_each_other(
    images: tuple[LabeledImages, LabeledImages],
) -> None:
    config = TrainingConfig(epochs=2)
    alone = [numbers_of(metrics) for metrics in Trainer(config, BF16, *images).epochs()]
    turns = zip(Trainer(config, BF16, *images).epochs(), Trainer(config, BF16, *images).epochs(), strict=True)
    assert [(numbers_of(one), numbers_of(two)) for one, two in turns] == [
        (metrics, metrics) for metrics in alone
    ]


def test_a_loss_that_becomes_infinite_or_nan_ends_the_training(
    images: tuple[LabeledImages, LabeledImages],
) -> None:
    trainer = Trainer(TrainingConfig(learning_rate=1e9, optimizer="SGD"), FP32, *images)
    with pytest.raises(NonFiniteLoss, match=r"^training loss is (nan|inf) in epoch 1$"):
        list(trainer.epochs())
    assert trainer.epoch == 0


def test_a_validation_loss_that_is_not_finite_ends_the_training_too(
    images: tuple[LabeledImages, LabeledImages],
) -> None:
    # One batch: its loss comes before the step that spoils the weights, so only validation can tell.
    one_batch = TrainingConfig(learning_rate=1e38, optimizer="SGD", batch_size=200)
    with pytest.raises(NonFiniteLoss, match=r"^validation loss is (nan|inf) in epoch 1$"):
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
    save_model(trainer.model, tmp_path / "model.safetensors")
    loaded = load_model(tmp_path)
    result = evaluate(loaded, validation, BF16)
    assert (result.loss, result.accuracy) == (metrics.validation_loss, metrics.validation_accuracy)
    with torch.no_grad():  # plain PyTorch, fp32, contiguous: bf16 rounding apart the same answers
        plain = nn.functional.cross_entropy(loaded(validation.images), validation.labels)
    assert plain.item() == pytest.approx(result.loss, rel=0.05)


def test_a_config_that_contradicts_the_runtime_is_refused(
    images: tuple[LabeledImages, LabeledImages],
) -> None:
    with pytest.raises(ValueError, match="config asks for bf16, the runtime is fp32"):
        Trainer(TrainingConfig(precision="bf16"), FP32, *images)


def test_training_imports_nothing_of_the_service() -> None:
    code = """
import sys
import mnist_tune.jobs.mnist.trainer
unwanted = {"optuna", "typer", "sqlalchemy", "platformdirs", "rich", "torchvision"}
print(sorted(unwanted & set(sys.modules)))
"""
    assert start_python(code).communicate()[0] == "[]\n"
