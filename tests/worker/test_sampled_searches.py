"""A worker on a sampled search: how many trials it runs, and with which parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from optuna.samplers import TPESampler
from optuna.trial import TrialState

from mnist_tune.worker.trial import Trial
from tests.support.studies import new_study
from tests.support.worked_off import run_one_epoch, work_off

SAMPLED_SPEC = """
[study]
name = "tiny"

[search]
sampler = "{sampler}"
n_trials = 6
seed = 7

[search.space]
learning_rate = {{low = 1e-5, high = 1e-2, log = true}}
batch_size = [64, 128]
epochs = {{low = 1, high = 5}}
"""


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_sampled_search_runs_exactly_its_number_of_trials(tmp_path: Path, sampler: str) -> None:
    study = new_study(tmp_path, SAMPLED_SPEC.format(sampler=sampler))
    work_off(study, run_one_epoch)
    trials = study.optuna_study().trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 6
    assert len({trial.params["learning_rate"] for trial in trials}) == 6
    assert all(1e-5 <= trial.params["learning_rate"] <= 1e-2 for trial in trials)


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_sampled_search_draws_the_same_with_one_worker(tmp_path: Path, sampler: str) -> None:
    draws = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        study = new_study(tmp_path / name, SAMPLED_SPEC.format(sampler=sampler))
        work_off(study, run_one_epoch)
        draws.append([trial.params for trial in study.optuna_study().trials])
    assert draws[0] == draws[1]


def test_a_tpe_search_learns_from_the_trials_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model_draws = []
    stock = TPESampler._sample

    def counting(self: TPESampler, *arguments: Any) -> Any:
        model_draws.append(arguments[1].number)
        return stock(self, *arguments)

    monkeypatch.setattr(TPESampler, "_sample", counting)
    study = new_study(tmp_path, SAMPLED_SPEC.format(sampler="tpe").replace("= 6", "= 14"))
    work_off(study, run_one_epoch)
    # Optuna's first 10 trials are random; from then on its model suggests.
    assert sorted(set(model_draws)) == [10, 11, 12, 13]


def test_a_retry_keeps_the_parameters_its_ticket_was_given(tmp_path: Path) -> None:
    study = new_study(tmp_path, SAMPLED_SPEC.format(sampler="random"))

    def broken_once(trial: Trial) -> float:
        value = run_one_epoch(trial)
        if trial.claim.number == 0:
            raise RuntimeError("once")
        return value

    work_off(study, broken_once)
    trials = study.optuna_study().trials
    assert len(trials) == 7
    assert trials[6].params == trials[0].params
