"""When a study's pruner ends trials, in which state, and what stays stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from mnist_tune.contract.claim import Standing
from mnist_tune.errors import UserError
from mnist_tune.failures import AttemptFailed, Failure
from mnist_tune.results.exports import best_configuration
from mnist_tune.results.reading import read_results
from mnist_tune.search.pruners import pruner
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.worker.trial import Trial
from tests.support.made_studies.epochs import made_epoch
from tests.support.pruned_studies import HALVING, MEDIAN, PERCENTILE, SEEDS, THRESHOLD, pruned_study
from tests.support.specs import tiny_spec
from tests.support.studies import new_study, states, work


def rising_trial(trial: Trial, epochs: int = 9) -> float:
    """A trial whose accuracy rises by a point an epoch; the later ones are worse."""
    for number in range(1, epochs + 1):
        trial.epoch_done(made_epoch(number, accuracy(trial, number)), last=number == epochs)
    return accuracy(trial, epochs)


def accuracy(trial: Trial, number: int) -> float:
    return 50.0 + number - 10 * trial.claim.number


def epochs_run(study: OpenStudy) -> list[int]:
    return [len(trial.intermediate_values) for trial in study.optuna_study().trials]


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("", [9, 9, 9]),
        (MEDIAN, [9, 1, 1]),
        (MEDIAN + "n_warmup_steps = 2\n", [9, 2, 2]),
        (MEDIAN + "n_warmup_steps = 2\ninterval_steps = 3\n", [9, 2, 2]),
        (MEDIAN.replace("= 1", "= 2"), [9, 9, 1]),
        (HALVING, [9, 1, 1]),
        (HALVING.replace("min_resource = 1", "min_resource = 3"), [9, 3, 3]),
        (HALVING.replace("min_resource = 1\n", ""), [9, 9, 1]),  # "auto": the first has left no rungs
        ('[pruner]\nname = "patient"\npatience = 1\n', [9, 9, 9]),
        (MEDIAN + "patience = 1\n", [9, 9, 9]),  # all rise
        (PERCENTILE, [9, 1, 1]),
        (PERCENTILE + "n_warmup_steps = 2\ninterval_steps = 3\n", [9, 2, 2]),
        (PERCENTILE + "n_min_trials = 2\n", [9, 9, 1]),
        (THRESHOLD + "lower = 45.0\n", [9, 1, 1]),  # they begin with 51, 41 and 31
        (THRESHOLD + "lower = 41.0\n", [9, 9, 1]),
        (THRESHOLD + "upper = 52.0\n", [3, 9, 9]),
        (THRESHOLD + "lower = 35.0\nupper = 55.5\n", [6, 9, 1]),
        (THRESHOLD + "lower = 45.0\nn_warmup_steps = 4\n", [9, 4, 4]),
        (THRESHOLD + "lower = 43.0\nn_warmup_steps = 1\ninterval_steps = 4\n", [9, 1, 1]),
        (THRESHOLD + "upper = 47.5\ninterval_steps = 5\n", [1, 9, 9]),
        (THRESHOLD + "lower = 45.0\npatience = 1\n", [9, 9, 9]),
    ],
)
def test_a_trial_is_ended_when_the_table_says(tmp_path: Path, table: str, expected: list[int]) -> None:
    study = pruned_study(tmp_path, table, 3)
    work(study, rising_trial)
    assert epochs_run(study) == expected


def test_a_patient_pruner_ends_a_trial_that_has_not_improved_for_so_many_epochs(tmp_path: Path) -> None:
    study = pruned_study(tmp_path, '[pruner]\nname = "patient"\npatience = 2\n', 1)

    def best_in_its_third(trial: Trial) -> float:
        for number in range(1, 10):
            trial.epoch_done(made_epoch(number, 50.0 - abs(number - 3)), last=number == 9)
        return 50.0

    work(study, best_in_its_third)
    assert epochs_run(study) == [6]


def test_a_pruned_trial_ends_as_with_optuna_itself_and_finishes_its_cell(tmp_path: Path) -> None:
    study = pruned_study(tmp_path, MEDIAN, 2)
    lines: list[str] = []
    work(study, rising_trial, log=lines.append)
    stock = optuna.load_study(study_name="tiny", storage=f"sqlite:///{tmp_path}/studies.db")
    assert [trial.state for trial in stock.trials] == [TrialState.COMPLETE, TrialState.PRUNED]
    assert stock.trials[1].value == 41.0  # what it last reported
    assert study.queue().standing() is Standing.FINISHED
    assert any(line.endswith("pruned after epoch 1: validation accuracy 41.00 %") for line in lines)
    results = read_results(study)
    assert (results.cells.complete, results.cells.pruned, results.is_finished) == (1, 1, True)
    assert list(results.latest[1].artifacts) == ["log.txt"]


def test_the_last_epoch_is_never_asked_about(tmp_path: Path) -> None:
    study = pruned_study(tmp_path, MEDIAN + "n_warmup_steps = 9\n", 3)
    work(study, rising_trial)
    assert states(study) == [TrialState.COMPLETE] * 3


@pytest.mark.parametrize("max_failures", [0, 1])
def test_a_retried_cell_stays_in_its_bracket_of_hyperband(tmp_path: Path, max_failures: int) -> None:
    study = pruned_study(tmp_path, '[pruner]\nname = "hyperband"\n', 12)
    own: Any = pruner(study.spec)

    def some_fail(trial: Trial) -> float:
        if trial.claim.failures.get("lost", 0) < max_failures:
            raise AttemptFailed(Failure("lost", "killed"))
        return rising_trial(trial)

    work(study, some_fail)
    trials = study.optuna_study().trials
    brackets = [own._get_bracket_id(study.optuna_study(), trial) for trial in trials]
    assert len(set(brackets[:12])) > 1
    assert brackets == brackets[:12] * (max_failures + 1)
    # A trial whose bracket begins at epoch 9 is never ended.
    ends = dict(zip(brackets, zip(epochs_run(study), trials, strict=True), strict=True))
    assert ends[2][1].state in (TrialState.COMPLETE, TrialState.FAIL)


def test_a_configuration_with_a_pruned_seed_is_not_ranked(tmp_path: Path) -> None:
    text = SEEDS.format(seeds="[0, 1]\nbatch_size = [64, 128]") + MEDIAN.replace("= 1", "= 0")
    study = new_study(tmp_path, text)

    def one_seed_is_lucky(trial: Trial) -> float:
        size = tried.setdefault("batch_size", trial.parameters["batch_size"])
        lucky = 90.0 if trial.claim.number == 0 else 20.0
        good = lucky if trial.parameters["batch_size"] == size else 95.0
        for number in range(1, 10):
            trial.epoch_done(made_epoch(number, good), last=number == 9)
        return good

    tried: dict[str, int] = {}
    work(study, one_seed_is_lucky)
    results = read_results(study)
    (place,) = results.ranking
    assert place.candidate.parameters != tried
    (early,) = results.ended_early
    assert early.parameters == tried  # though its first seed went all the way
    assert (len(early.complete), len(early.pruned), early.epochs) == (1, 1, 1)
    assert results.evidence[0].startswith("1 configuration was judged worse before the last epoch")
    assert [one["epochs"] for one in results.as_json()["ended_early"]] == [1]


def test_a_study_in_which_every_configuration_was_pruned_has_no_winner(tmp_path: Path) -> None:
    study = pruned_study(tmp_path, '[pruner]\nname = "patient"\npatience = 0\n', 2)

    def falling(trial: Trial) -> float:
        for number in range(1, 10):
            trial.epoch_done(made_epoch(number, 50.0 - number), last=number == 9)
        return 41.0

    work(study, falling)
    results = read_results(study)
    assert results.is_finished
    assert results.best is None
    with pytest.raises(UserError, match="the pruner has ended at least one trial of each"):
        best_configuration(results, "sqlite:///studies.db")


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ('name = "medan"', "pruner.name: 'medan' is not known; did you mean 'median'?"),
        ("n_warmup_steps = 2", "pruner.name: missing; write one of median, successive_halving,"),
        ('name = "percentile"', "pruner.percentile: missing; write how many percent of the trials go on"),
        ('name = "percentile"\npercentile = 101.0', "pruner.percentile: should be less than or equal to 100"),
        ('name = "percentile"\npercentile = -1.0', "pruner.percentile: should be greater than or equal to 0"),
        ('name = "percentile"\npercentile = nan', "pruner.percentile: should be a finite number"),
        ('name = "threshold"', "pruner.lower: missing; write lower or upper, in the unit of the objective"),
        ('name = "threshold"\nlower = 2.0\nupper = 1.0', "pruner.lower: must be at most upper (1)"),
        ('name = "threshold"\nlower = inf', "pruner.lower: should be a finite number"),
        ('name = "threshold"\nlower = 2.0\nn_min_trials = 2', 'pruner.n_min_trials: name = "threshold" does'),
        (
            'name = "wilcoxon"\np_threshold = 0.1',
            "at one level, which then does not hold; a table [replicates] ",
        ),
        ('name = "median"\nmin_resource = 2', 'pruner.min_resource: name = "median" does not know it, but'),
        ('name = "median"\nn_warmup_stps = 2', "unknown key; did you mean 'n_warmup_steps'?"),
        ('name = "median"\nn_warmup_steps = -1', "pruner.n_warmup_steps: should be greater than or equal"),
        ('name = "median"\nmin_delta = 0.5', "pruner.min_delta: belongs to patience; write patience = 2"),
        ('name = "patient"', "pruner.patience: missing; write after how many epochs"),
        ('name = "hyperband"\nmin_resource = 20', "pruner.min_resource: is 20, but a trial has 9 epochs"),
        ('name = "successive_halving"\nmin_resource = "x"', "pruner.min_resource: should be a valid integer"),
        (
            'name = "successive_halving"\nbootstrap_count = 2',
            "pruner.bootstrap_count: needs a number for min",
        ),
    ],
)
def test_a_wrong_table_gets_one_line(tmp_path: Path, table: str, says: str) -> None:
    with pytest.raises(UserError) as refused:
        tiny_spec(tmp_path, SEEDS.format(seeds=[0]) + f"[pruner]\n{table}\n")
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_spec_without_a_pruner_is_stored_as_before(tmp_path: Path) -> None:
    assert "pruner" not in tiny_spec(tmp_path, SEEDS.format(seeds=[0])).document()
