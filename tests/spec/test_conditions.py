"""Fields that are searched only where others have certain values."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_tune.errors import UserError
from mnist_tune.failures import AttemptFailed, Failure
from mnist_tune.jobs.mnist.hyperparameters import TrainingConfig
from mnist_tune.results.exports import best_configuration
from mnist_tune.results.reading import read_results
from tests.support.specs import tiny_spec
from tests.support.studies import new_study, work

SPACE = """
[study]
name = "tiny"

[search]
sampler = "random"
n_trials = 12

[search.space]
batch_size = {low = 16, high = 512, log = true, when = {optimizer = "SGD", precision = "fp32"}}
optimizer = ["Adam", "SGD"]
precision = {choices = ["fp32", "auto"], when = {optimizer = "SGD"}}
"""


def test_a_trial_has_only_the_fields_whose_conditions_hold(tmp_path: Path) -> None:
    study = new_study(tmp_path, SPACE)
    work(study, lambda attempt: 50.0 + attempt.claim.number)
    drawn = [trial.params for trial in study.optuna_study().trials]
    fields = {
        frozenset(parameters): (parameters["optimizer"], parameters.get("precision")) for parameters in drawn
    }
    assert fields == {
        frozenset({"optimizer"}): ("Adam", None),
        frozenset({"optimizer", "precision"}): ("SGD", "auto"),
        frozenset({"optimizer", "precision", "batch_size"}): ("SGD", "fp32"),
    }


def test_a_field_that_a_trial_does_not_have_is_at_its_default(tmp_path: Path) -> None:
    spec = tiny_spec(tmp_path, SPACE)
    assert TrainingConfig(**spec.configuration({"optimizer": "Adam"})) == TrainingConfig(optimizer="Adam")
    study = new_study(tmp_path, SPACE)
    work(study, lambda attempt: 90.0 if attempt.parameters == {"optimizer": "Adam"} else 10.0)
    best = best_configuration(read_results(study), "sqlite:///studies.db")
    assert best.training_config().model_dump() == TrainingConfig(optimizer="Adam").model_dump()


def test_configurations_with_other_fields_are_told_apart_in_full(tmp_path: Path) -> None:
    study = new_study(tmp_path, SPACE)
    work(study, lambda _: 90.0)
    results = read_results(study)
    assert len(results.ranking) == len({str(trial.params) for trial in study.optuna_study().trials})
    assert any(line.startswith("optimizer=SGD, precision=fp32, batch_size=") for line in results.evidence)


def test_a_retry_keeps_what_the_first_attempt_had_and_gets_nothing_more(tmp_path: Path) -> None:
    study = new_study(tmp_path, SPACE)

    def fails_at_first(attempt: object) -> float:
        if not attempt.claim.failures:  # type: ignore[attr-defined]
            raise AttemptFailed(Failure("lost", "it broke"))
        return 50.0

    work(study, fails_at_first)
    trials = study.optuna_study().trials
    assert [trial.params for trial in trials[12:]] == [trial.params for trial in trials[:12]]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('seed = {choices = [1, 2], when = {optimiser = "SGD"}}', "did you mean 'optimizer'?"),
        ('seed = {choices = [1, 2], when = {optimizer = "Adagrad"}}', "optimizer is never 'Adagrad'; write"),
        ("seed = {choices = [1, 2], when = {batch_size = 16}}", "batch_size is a range; a condition needs"),
        ("seed = {choices = [1, 2], when = {precision = true}}", "precision is never True; write one of"),
        ("seed = {choices = [1, 2], when = {precision = nan}}", "precision is never nan; write one of"),
        (
            "seed = {choices = [1, 2], when = {precision = [['auto']]}}",
            "precision: should be a value or",
        ),
        ("seed = {choices = [1, 2], when = {}}", "seed.when: names no field; write e.g. when = {optimizer"),
        ("seed = {choices = [1, 2], when = {optimizer = []}}", "seed.when.optimizer: has no values; write"),
        ("epochs = {choices = [1, 2], when = {epochs = 1}}", "go round in a circle: epochs -> epochs"),
        ("seed = {choices = [1, 2], when = {seed = 1}}", "a seed only repeats a configuration: no field can"),
        ("seed = {choices = [1, 1], when = {optimizer = 'SGD'}}", "seed: has the value 1 twice; remove one"),
        ("seed = {choices = [1], wen = {optimizer = 'SGD'}}", "seed.wen: unknown key; did you mean 'when'?"),
    ],
)
def test_a_condition_that_cannot_hold_is_refused_in_one_line(tmp_path: Path, line: str, says: str) -> None:
    with pytest.raises(UserError) as refused:
        tiny_spec(tmp_path, f"{SPACE}{line}\n")
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_condition_may_name_a_value_as_its_field_reads_it(tmp_path: Path) -> None:
    line = "dropout = [0, 0.5]\nlabel_smoothing = {low = 0.0, high = 0.1, when = {dropout = 0}}\n"
    spec = tiny_spec(tmp_path, SPACE + line)
    assert spec.search.axes["dropout"] == [0.0, 0.5]
    study = new_study(tmp_path, SPACE + line)
    work(study, lambda _: 50.0)
    drawn = [trial.params for trial in study.optuna_study().trials]
    assert {one["dropout"] for one in drawn} == {0.0, 0.5}
    assert all(("label_smoothing" in one) == (one["dropout"] == 0.0) for one in drawn)


def test_a_grid_has_no_conditions(tmp_path: Path) -> None:
    grid = '[study]\nname = "tiny"\n[search.grid]\nseed = {choices = [1], when = {optimizer = "SGD"}}\n'
    with pytest.raises(UserError, match=r"ranges and conditions belong in \[search.space\]"):
        tiny_spec(tmp_path, grid)
