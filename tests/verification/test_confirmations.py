"""A complete cell of a confirmation was measured once, and its value is what was measured."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from mnist_tune.verification import verify
from tests.support.commands import Command
from tests.support.confirmed_jobs import VOUCHING, searched
from tests.support.damaging_sql import change_database
from tests.support.studies import open_file
from tests.support.verified_studies import findings_by_check

OF_TRIAL = (
    "key = 'mnist_tune:evaluation' AND trial_id = (SELECT trial_id FROM trials NATURAL JOIN studies "
    "WHERE study_name = 'own-confirm' AND number = 0)"
)


def findings(folder: Path, name: str = "own-confirm") -> dict[str, list[str]]:
    artifacts, checkpoints = (folder / f"studies.db.{kind}" for kind in ("artifacts", "checkpoints"))
    return findings_by_check(verify(open_file(folder), name, artifacts, checkpoints))


@pytest.fixture
def confirmed(tmp_path: Path, command: Command) -> Path:
    """The folder of a study and its finished confirmation."""
    searched(tmp_path, command)
    assert command("confirm", "own", "--seeds", "2").code == 0
    assert command("worker", "own-confirm", *VOUCHING).code == 0
    assert findings(tmp_path) == findings(tmp_path, "own") == {}
    return tmp_path


@pytest.mark.slow
def test_a_result_that_is_gone_or_another_is_found(confirmed: Path) -> None:
    check = "results on test data"
    changed = "json_set(value_json, '$.metrics.error', 0.125)"
    change_database(confirmed, f"UPDATE trial_system_attributes SET value_json = {changed} WHERE {OF_TRIAL}")
    (found,) = findings(confirmed)[check]
    assert found.startswith("trial 0, cell ")
    assert found.endswith("but its error on test data is 0.125")
    change_database(confirmed, f"UPDATE trial_system_attributes SET value_json = '{{}}' WHERE {OF_TRIAL}")
    (found,) = findings(confirmed)[check]
    assert found.endswith(": its results on test data: metrics: missing")
    change_database(confirmed, f"DELETE FROM trial_system_attributes WHERE {OF_TRIAL}")
    (found,) = findings(confirmed)[check]
    assert found.endswith(": is complete, but has no results on test data")


@pytest.mark.slow
def test_damaged_results_are_named_and_hide_nothing_else(confirmed: Path, command: Command) -> None:
    change_database(confirmed, f"UPDATE trial_system_attributes SET value_json = '[1' WHERE {OF_TRIAL}")
    answer = command("status", "own-confirm")
    assert "damaged: trial 0: its results on test data: " in answer.out
    assert ", n = 2, 95 % interval " in answer.out
    assert command("report", "own-confirm").code == 0
    assert command("status", "own").code == 0


@pytest.mark.slow
def test_results_of_an_attempt_that_is_not_complete_are_found(confirmed: Path) -> None:
    moved = "UPDATE trial_system_attributes SET trial_id = (SELECT trial_id FROM trials NATURAL JOIN studies "
    change_database(confirmed, f"{moved} WHERE study_name = 'own' AND number = 0) WHERE {OF_TRIAL}")
    (found,) = findings(confirmed, "own")["results on test data"]
    assert found.endswith("has results on test data, which only a complete attempt of a confirmation has")


def test_stock_optuna_opens_a_confirmation(confirmed: Path) -> None:
    study = optuna.load_study(study_name="own-confirm", storage=f"sqlite:///{confirmed}/studies.db")
    assert study.direction == optuna.study.StudyDirection.MINIMIZE
    assert study.metric_names == ["test_error"]
    assert {trial.state for trial in study.trials} == {optuna.trial.TrialState.COMPLETE}
    assert study.best_value == min(trial.value for trial in study.trials if trial.value is not None)
    for trial in study.trials:
        stored = trial.system_attrs["mnist_tune:evaluation"]
        assert stored["metrics"]["error"] == trial.value
        assert stored["n_cases"] == 200
    assert sorted(study.trials_dataframe()["params_seed"]) == [2, 3]
