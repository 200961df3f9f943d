"""Pruners and samplers work for an objective that is made small as they do for one that is made large."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from mnist_tune.jobs.metrics import EpochMetrics
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.worker.loop import RunTrial
from mnist_tune.worker.trial import Trial
from tests.support.own_jobs import own_job
from tests.support.pruned_studies import HALVING, MEDIAN, PERCENTILE
from tests.support.studies import new_study, work

JOB = """
from mnist_tune.jobs.hyperparameters import Hyperparameters
from mnist_tune.jobs.interface import Trial, job


class Settings(Hyperparameters):
    learning_rate: float = 0.1
    momentum: float = 0.0


@job(objective="score", direction="{direction}")
def train(settings: Settings, trial: Trial) -> None:
    raise NotImplementedError
"""
STUDY = """
[study]
name = "directed"

[job]
file = "directed.py:train"
"""
GRID = STUDY + "[search.grid]\nseed = {seeds}\n[training]\nepochs = 9\n"
SEARCH = (
    STUDY
    + """
[search]
sampler = "{sampler}"
n_trials = 24
{startup}

[search.space]
learning_rate = {{low = 1e-5, high = 1e-1, log = true}}
momentum = {{low = 0.0, high = 0.9}}

[training]
epochs = 3
"""
)
SIGNS = {"maximize": 1.0, "minimize": -1.0}


def directed(folder: Path, direction: str, spec: str) -> OpenStudy:
    """A fresh study whose objective goes in this direction."""
    own_job(folder, JOB.format(direction=direction), spec, "directed")
    return new_study(folder, spec)


def worked_off(folder: Path, spec: str, run: dict[str, RunTrial]) -> list[OpenStudy]:
    """Two studies that differ in the direction and in the sign of the values."""
    studies = []
    for direction in SIGNS:
        study = directed(folder / direction, direction, spec)
        work(study, run[direction])
        studies.append(study)
    return studies


def report(trial: Trial, values: list[float], direction: str) -> float:
    """Report these values, of which the larger ones are the better ones; return the last."""
    signed = [SIGNS[direction] * value for value in values]
    for number, value in enumerate(signed, start=1):
        metrics = EpochMetrics(number, {"score": value, "seconds": 0.01})
        trial.epoch_done(metrics, last=number == len(signed))
    return signed[-1]


def ends(study: OpenStudy, direction: str) -> list[Any]:
    """How each trial ended: its state, parameters and values, of which the larger ones are better."""
    return [
        (one.state, one.params, [SIGNS[direction] * value for value in one.intermediate_values.values()])
        for one in study.optuna_study().trials
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "table",
    [
        MEDIAN,
        MEDIAN + "patience = 1\nmin_delta = 0.5\n",
        HALVING,
        PERCENTILE,
        '[pruner]\nname = "hyperband"\n',
        '[pruner]\nname = "patient"\npatience = 2\nmin_delta = 1.5\n',
    ],
)
def test_a_pruner_ends_the_worse_trials_in_either_direction(tmp_path: Path, table: str) -> None:
    def of(direction: str) -> RunTrial:
        # The later ones are worse; all rise to their fourth epoch, then fall.
        return lambda trial: report(
            trial, [50.0 - abs(4 - number) - 10 * trial.claim.number for number in range(1, 10)], direction
        )

    spec = GRID.format(seeds=list(range(8))) + table
    large, small = worked_off(tmp_path, spec, {direction: of(direction) for direction in SIGNS})
    assert ends(large, "maximize") == ends(small, "minimize")
    pruned = [len(values) for state, _, values in ends(small, "minimize") if state == TrialState.PRUNED]
    assert len(pruned) in range(3, 9)


@pytest.mark.slow
@pytest.mark.parametrize("table", ["", HALVING])
@pytest.mark.parametrize("name", ["tpe", pytest.param("gp", marks=pytest.mark.slow), "cmaes"])
def test_a_sampler_draws_near_the_best_in_either_direction(tmp_path: Path, name: str, table: str) -> None:
    def of(direction: str) -> RunTrial:
        def toy(trial: Trial) -> float:
            rate, momentum = trial.parameters["learning_rate"], trial.parameters["momentum"]
            best = 90 - 5 * abs(math.log10(rate) + 3) - 4 * abs(momentum - 0.5)
            return report(trial, [best - 2, best - 1, best], direction)

        return toy

    spec = SEARCH.format(sampler=name, startup="n_startup_trials = 6") + table
    large, small = worked_off(tmp_path, spec, {direction: of(direction) for direction in SIGNS})
    assert ends(large, "maximize") == ends(small, "minimize")
