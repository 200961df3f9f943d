"""Settings without effect are named when a study is made, and no others."""

from __future__ import annotations

from pathlib import Path

import pytest
from optuna.trial import TrialState

from mnist_tune.spec.idle_settings import idle_settings
from mnist_tune.spec.reading import load_spec, read_spec
from mnist_tune.study.store import open_study
from mnist_tune.worker.trial import Trial
from tests.support.commands import Command
from tests.support.made_studies.epochs import made_epoch
from tests.support.specs import STUDIES, TINY_SPEC, write_spec
from tests.support.studies import new_study, open_file, states, work

GRID = """
[study]
name = "tiny"

[search.grid]
seed = [0, 1, 2]

[training]
epochs = 9
"""
SAMPLED = """
[study]
name = "tiny"

[search]
sampler = "tpe"
n_trials = 20
n_startup_trials = 5

[search.space]
learning_rate = {low = 1e-5, high = 1e-2, log = true}
optimizer = ["Adam", "SGD"]
"""


def notes(folder: Path, text: str) -> list[str]:
    given = read_spec(write_spec(folder, text))
    return [*idle_settings(given.spec), *given.remarks]


@pytest.mark.parametrize("name", [path.stem for path in sorted(STUDIES.glob("*.toml"))])
def test_the_studies_that_come_with_the_package_say_nothing_to_no_effect(name: str) -> None:
    assert idle_settings(load_spec(STUDIES / f"{name}.toml")) == []


@pytest.mark.parametrize(
    ("right", "wrong", "note"),
    [
        (
            "seed = [0, 1, 2]",
            "momentum = [0.0, 0.9]\noptimizer = ['Adam', 'SGD']",
            'search.grid.momentum: is a field of SGD: trials with "Adam" that differ in it alone',
        ),
        (
            "seed = [0, 1, 2]",
            "momentum = [0.0, 0.9]\noptimizer = ['Adam']",
            'search.grid.momentum: is a field of SGD, and the optimizer is never "SGD"',
        ),
        (
            "epochs = 9",
            "epochs = 9\noptimizer = 'SGD'\nnesterov = true",
            "training.nesterov: without momentum it is the same as none; write momentum = 0.9 as well",
        ),
        (
            "epochs = 9",
            "epochs = 9\nbatch_size = 512\n[data]\ntrain_size = 200",
            "training.batch_size: 512 is the same as 200: there are no more training images",
        ),
        (
            "epochs = 9",
            "epochs = 9\n[limits]\ntimeout = 5.0",
            "limits.checkpoint_interval: no attempt has a checkpoint to go on from: limits.timeout ends it",
        ),
        (
            "epochs = 9",
            "epochs = 9\n[limits]\ntimeout = 0.0\n[retry]\ntimeout = 5",
            "retry.timeout: nothing times out: limits.timeout is 0",
        ),
        (
            "epochs = 9",
            "epochs = 9\n[limits]\nfailures_in_a_row = 4",
            "limits.failures_in_a_row: no worker leaves for it: there are 3 cells in all",
        ),
        (
            "epochs = 9",
            "epochs = 9\n[stop]\nno_improvement = 3",
            "stop.no_improvement: stops nothing: there are 3 cells in all",
        ),
    ],
)
def test_a_setting_of_a_grid_without_effect_is_noted(
    tmp_path: Path, right: str, wrong: str, note: str
) -> None:
    assert notes(tmp_path, GRID) == []
    found = notes(tmp_path, GRID.replace(right, wrong))
    assert any(line.startswith(note) for line in found), found


@pytest.mark.parametrize(
    ("right", "wrong", "note"),
    [
        (
            "optimizer =",
            "epochs = {low = 1, high = 3, step = 3}\noptimizer =",
            "search.space.epochs.step: 3 is more than there is from low to high: only 1 is tried",
        ),
        (
            "optimizer =",
            "dropout = {low = 0.0, high = 0.5, step = 0.2}\noptimizer =",
            "search.space.dropout.high: 0.5 is never tried: in steps of 0.2 the last value is 0.4",
        ),
        (
            "n_startup_trials = 5",
            "n_startup_trials = 20",
            'search.n_startup_trials: sampler = "tpe" begins to learn after 20 finished trials, and there',
        ),
        (
            "n_trials = 20\nn_startup_trials = 5",
            "n_trials = 10",  # as many as TPE draws at random by default
            'search.n_startup_trials: sampler = "tpe" begins to learn after 10 finished trials, and there',
        ),
        (
            'tpe"\nn_trials = 20\nn_startup_trials = 5',
            'cmaes"\nn_trials = 4',
            'search.sampler: "cmaes" learns from generations of 4, and there are 4 in all: each is drawn at',
        ),
        (
            "learning_rate = {low = 1e-5, high = 1e-2, log = true}",
            "seed = {low = 0, high = 4}",
            "search.n_trials: 20 trials are more than the 10 points there are: the others are left out",
        ),
        (
            "optimizer =",
            'dropout = {low = 0.0, high = 0.5, when = {optimizer = ["SGD", "Adam"]}}\noptimizer =',
            "search.space.dropout.when.optimizer: names every value there is, and always holds",
        ),
    ],
)
def test_a_setting_of_a_sampled_search_without_effect_is_noted(
    tmp_path: Path, right: str, wrong: str, note: str
) -> None:
    assert notes(tmp_path, SAMPLED) == []
    found = notes(tmp_path, SAMPLED.replace(right, wrong))
    assert any(line.startswith(note) for line in found), found


def test_steps_that_end_at_high_are_not_noted(tmp_path: Path) -> None:
    for axis in ("dropout = {low = 0.0, high = 0.3, step = 0.1}", "epochs = {low = 1, high = 7, step = 3}"):
        assert notes(tmp_path, SAMPLED.replace("optimizer =", f"{axis}\noptimizer =")) == []


def falling(trial: Trial) -> float:
    """What any pruner ends as soon as it may: the later, the worse, and worse from epoch to epoch."""
    for number in range(1, 10):
        accuracy = 90.0 - number - 10 * trial.claim.number
        trial.epoch_done(made_epoch(number, accuracy), last=number == 9)
    return accuracy


PERCENTILE = 'name = "percentile"\npercentile = 0.0\nn_startup_trials = 1\n'
THRESHOLD = 'name = "threshold"\n'
MEDIAN = 'name = "median"\nn_startup_trials = 1\n'
HALVING = 'name = "successive_halving"\nreduction_factor = 2\n'


@pytest.mark.slow
@pytest.mark.parametrize(
    ("works", "idle", "key"),
    [
        (MEDIAN + "n_warmup_steps = 8", MEDIAN + "n_warmup_steps = 9", "n_warmup_steps"),
        (MEDIAN.replace("1", "2"), MEDIAN.replace("1", "3"), "n_startup_trials"),
        (MEDIAN + "n_min_trials = 2", MEDIAN + "n_min_trials = 3", "n_min_trials"),
        (HALVING + "min_resource = 8", HALVING + "min_resource = 100", "min_resource"),
        (HALVING + "min_resource = 8", HALVING + "min_resource = 9", "min_resource"),
        (HALVING + "min_early_stopping_rate = 3", HALVING + "min_early_stopping_rate = 4", "min_early"),
        ('name = "hyperband"\nmin_resource = 8', 'name = "hyperband"\nmin_resource = 9', "min_resource"),
        ('name = "patient"\npatience = 6', 'name = "patient"\npatience = 7', "patience"),
        (PERCENTILE + "n_warmup_steps = 8", PERCENTILE + "n_warmup_steps = 9", "n_warmup_steps"),
        (PERCENTILE.replace("= 1", "= 2"), PERCENTILE.replace("= 1", "= 3"), "n_startup_trials"),
        (
            THRESHOLD + "upper = 50.0\nn_warmup_steps = 8",
            THRESHOLD + "upper = 50.0\nn_warmup_steps = 9",
            "n_warm",
        ),
        (THRESHOLD + "upper = 88.9", THRESHOLD + "upper = 100.0", "upper"),
        (THRESHOLD + "lower = 62.5", THRESHOLD + "lower = 0.0", "lower"),
        (MEDIAN + "patience = 6", MEDIAN + "patience = 7", "patience"),
        (MEDIAN + "patience = 1\nmin_delta = 1.5", MEDIAN + "patience = 1\nmin_delta = 100.0", "min_delta"),
    ],
)
def test_a_pruner_that_cannot_end_a_trial_is_noted_and_one_that_just_can_is_not(
    tmp_path: Path, works: str, idle: str, key: str
) -> None:
    for folder, table, ended in (("works", works, True), ("idle", idle, False)):
        (tmp_path / folder).mkdir()
        study = new_study(tmp_path / folder, f"{GRID}\n[pruner]\n{table}\n")
        work(study, falling)
        assert (TrialState.PRUNED in states(study)) is ended, table
        found = idle_settings(study.spec)
        assert [line.startswith(f"pruner.{key}") for line in found] == ([] if ended else [True]), found


def test_a_pruner_that_ends_every_trial_at_its_first_rung_is_noted(tmp_path: Path) -> None:
    table = f"{GRID}\n[pruner]\n{HALVING}min_resource = 1\nbootstrap_count = 3\n"
    assert notes(tmp_path, table)[0].startswith("pruner.bootstrap_count: ends every trial at its first rung")
    study = new_study(tmp_path, table)
    work(study, falling)
    assert states(study) == [TrialState.PRUNED] * 3


@pytest.mark.parametrize("table", ["lower = 100.5", "upper = -0.5"])
def test_a_threshold_that_ends_every_trial_is_noted(tmp_path: Path, table: str) -> None:
    study = new_study(tmp_path, f"{GRID}\n[pruner]\n{THRESHOLD}{table}\n")
    (note,) = idle_settings(study.spec)
    assert note.startswith(f"pruner.{table[:5]}: ends every trial: each accuracy is ")
    work(study, falling)
    assert states(study) == [TrialState.PRUNED] * 3


def test_a_threshold_for_a_single_trial_is_not_noted(tmp_path: Path) -> None:
    study = new_study(tmp_path, f"{GRID}\n[pruner]\n{THRESHOLD}upper = 88.0\n".replace("[0, 1, 2]", "[0]"))
    assert [line for line in idle_settings(study.spec) if line.startswith("pruner")] == []
    work(study, falling)
    assert states(study) == [TrialState.PRUNED]


@pytest.mark.parametrize("change", [("epochs = 9", "epochs = 1"), ("[0, 1, 2]", "[0]")])
def test_a_pruner_of_one_epoch_or_one_trial_is_noted(tmp_path: Path, change: tuple[str, str]) -> None:
    study = new_study(tmp_path, f"{GRID}\n[pruner]\n{HALVING}".replace(*change))
    assert any(line.startswith("pruner: ends no trial: ") for line in idle_settings(study.spec))


def test_create_study_and_run_say_so_on_standard_error(tmp_path: Path, command: Command) -> None:
    text = TINY_SPEC + '[pruner]\nname = "successive_halving"\nmin_resource = 100\n'
    spec = str(write_spec(tmp_path, text))
    note = "pruner.min_resource: ends no trial: first judged after 100 epochs, last judged after 1 of 2"
    created = command("create-study", spec, "--json")
    assert (created.code, created.json["notes"], created.err) == (0, [note], f"note: {note}\n")
    work(open_study(open_file(tmp_path), "tiny"), lambda _: 50.0)
    ran = command("run", spec)
    assert (ran.code, ran.err) == (0, f"note: {note}\n")
