"""Any spec either works or gets a one-line error."""

from __future__ import annotations

import random
import warnings
from typing import Any

import pytest
from pydantic import BaseModel

from mnist_tune.errors import UserError
from mnist_tune.jobs.mnist.hyperparameters import DataConfig, TrainingConfig
from mnist_tune.records.distributions import distributions
from mnist_tune.search.pruners import pruner
from mnist_tune.search.samplers import sampler
from mnist_tune.spec.documents import validate
from mnist_tune.spec.idle_settings import idle_settings
from mnist_tune.spec.pruner_options import PRUNERS
from mnist_tune.spec.sections import LeaseSettings, Limits, Retry
from tests.support.specs import MnistSpec

NUMBERS = [0, 1, -1, 2, 3, 300, 2**31, 2**63, 10**30, -(10**30), 10**5000, True, 0.0, 0.1, 0.5, 1e-300, 1e300]
VALUES: list[Any] = [
    *(*NUMBERS, float("nan"), float("inf"), -float("inf")),
    *("x", "", "SGD", "Adam", "auto", "\ud800", "\x1b[2J", None, [], [1], {}, {"low": 0, "high": 1}),
]
TABLES: dict[str, type[BaseModel]]
TABLES = {
    "training": TrainingConfig,
    "data": DataConfig,
    "lease": LeaseSettings,
    "retry": Retry,
    "limits": Limits,
}


def any_axis(draw: random.Random) -> Any:
    keys = {"low": 0.9, "high": 0.9, "log": 0.2, "step": 0.4, "when": 0.2, "choices": 0.1}
    table = {key: draw.choice(VALUES) for key, share in keys.items() if draw.random() < share}
    steps = {"low": 1, "high": 5, "step": draw.choice([1, 2, 7, 10**30])}
    return draw.choice([table, steps, {"low": 0.1, "high": 0.5, "step": 0.3}, draw.choices(VALUES, k=2)])


def any_spec(draw: random.Random) -> dict[str, Any]:
    axes: dict[str, Any] = {"learning_rate": {"low": 0.001, "high": 0.1}}
    axes |= {
        draw.choice(list(TrainingConfig.model_fields)): any_axis(draw) for _ in range(draw.randint(0, 1))
    }
    search = {
        "sampler": draw.choice(["random", "tpe", "gp", "cmaes", "qmc"]),
        "n_trials": draw.choice([1, 5, 20, 100]),
        "space": axes,
    }
    if draw.random() < 0.2:
        search["n_startup_trials"] = draw.choice(VALUES)
    if draw.random() < 0.1:
        search[draw.choice(["qmc_type", "scramble", "options"])] = draw.choice([*VALUES, "sobol", {"x": [1]}])
    if draw.random() < 0.2:
        search = {
            "grid": {
                "seed": [0, 1],
                draw.choice(list(TrainingConfig.model_fields)): draw.choices(VALUES, k=2),
            }
        }
    spec: dict[str, Any] = {"study": {"name": "any"}, "search": search}
    if draw.random() < 0.5:
        name = draw.choice(list(PRUNERS))
        keys = [key for key in PRUNERS[name].model_fields if key != "name" and draw.random() < 0.3]
        spec["pruner"] = {"name": name} | {key: draw.choice([1, 2, 5, draw.choice(VALUES)]) for key in keys}
    for table, section in TABLES.items():
        if draw.random() < 0.1:
            spec[table] = {draw.choice(list(section.model_fields)): draw.choice(VALUES)}
    return spec


@pytest.mark.parametrize("seed", range(4))
def test_any_values_are_a_spec_that_works_or_one_line(seed: int) -> None:
    draw = random.Random(seed)
    n_good = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # which a worker would print at each trial
        for _ in range(1_500):
            document = any_spec(draw)
            try:
                spec = validate(MnistSpec, document, "any.toml")
            except UserError as error:
                message = str(error)
                assert message.isprintable(), repr(message)
                assert len(message) < 400
                continue
            n_good += 1
            idle_settings(spec)
            distributions(spec)
            pruner(spec)
            sampler(spec, 0)
            assert validate(MnistSpec, spec.document(), "stored") == spec
    assert 150 < n_good < 1_350, "a fuzz that meets both"
