"""Fixtures of the storage's tests."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from mnist_tune.storage import optuna_internals as internals
from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.guarded import open_storage
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.store import open_study
from tests.support.commands import STORED


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


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A database that version 0.5.0 made.

    Trials 0 and 1 are complete, 2 was stopped after its first epoch and waits as 6, the worker of 3 died
    after its first epoch, 4 and 5 wait.
    """
    path = tmp_path / STORED
    connection = sqlite3.connect(path)
    connection.executescript((Path(__file__).parent / "half_done_by_0.5.0.sql").read_text(encoding="utf-8"))
    connection.close()
    return path


@pytest.fixture
def of_0_5_0(file: Path) -> OpenStudy:
    """Its only study."""
    return open_study(open_storage(storage_url(f"sqlite:///{file}")), "half-done")
