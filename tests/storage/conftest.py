"""Fixtures of the storage's tests."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from mnist_tune.storage import optuna_internals as internals


@pytest.fixture
def optuna_storage(tmp_path: Path) -> internals.ReadableStorage:
    return internals.ReadableStorage(f"sqlite:///{tmp_path / 'studies.db'}")


@pytest.fixture
def optuna_study(optuna_storage: internals.ReadableStorage) -> optuna.Study:
    """A study with a complete, a pruned and a running trial."""
    optuna_study = optuna.create_study(study_name="one", storage=optuna_storage, direction="maximize")
    optuna_study.set_user_attr("author", "somebody")
    optuna_storage.set_study_system_attr(1, "group", 3)
    internals.use_storage(optuna_study, optuna_storage)
    for number, state in enumerate((TrialState.COMPLETE, TrialState.PRUNED, None)):
        trial = optuna_study.ask()
        trial.suggest_float("learning_rate", 0.001, 0.1)
        trial.suggest_categorical("optimizer", ["Adam", "SGD"])
        trial.report(number / 2, step=1)
        trial.set_user_attr("worker", "here")
        optuna_storage.set_trial_system_attr(number + 1, "cell", number)
        if state is not None:
            optuna_study.tell(trial, 0.5 if state == TrialState.COMPLETE else None, state)
    return optuna_study
