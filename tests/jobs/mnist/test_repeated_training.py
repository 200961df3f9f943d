"""Training again, or going on with it, gives the same numbers to the bit."""

import copy
import dataclasses
import io
import json
import os
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from mnist_tune.hardware.devices import Precision
from mnist_tune.jobs.mnist.dataset import LabeledImages, load_training_images, split
from mnist_tune.jobs.mnist.hyperparameters import TrainingConfig
from mnist_tune.jobs.mnist.trainer import Trainer
from tests.support.training_runs import BF16, FP32, are_the_same, numbers_of, start_python, weights_of

Optimizer = Literal["Adam", "SGD"]


@pytest.mark.slow
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


@pytest.mark.slow
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
    losses = m["training_loss"], m["validation_loss"]
    print(json.dumps([m.epoch, *losses, m["validation_accuracy"]]))
"""
    assert os.environ["MNIST_TUNE_DATA"] == str(mnist_directory)
    processes = [start_python(code), start_python(code)]
    fresh = [[json.loads(line) for line in process.communicate()[0].splitlines()] for process in processes]
    torch.manual_seed(1234)  # what the process drew before must not matter
    here = Trainer(
        TrainingConfig(epochs=2, seed=5), BF16, *split(load_training_images(mnist_directory), 200, 70)
    )
    assert [list(numbers_of(metrics)) for metrics in here.epochs()] == fresh[0] == fresh[1]


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
