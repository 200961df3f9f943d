"""Studies that are copied to a PostgreSQL server, and back."""

from __future__ import annotations

from pathlib import Path

import pytest
from optuna.trial import TrialState

from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.keys import CELL
from mnist_tune.study.copy import Copied, copy_study
from mnist_tune.study.delete import delete_study
from tests.support.commands import finish, start_toy_worker
from tests.support.copied_studies import (
    assert_copied,
    assert_that_a_copy_is_of_one_moment,
    assert_that_a_killed_copy_leaves_nothing,
    described,
    file_content,
    fill_with_every_kind_of_trial,
    new_study_at,
    study_at,
    trials_by_optuna,
)


@pytest.fixture
def postgres(postgres: str) -> str:
    """The empty database on the server, as stock Optuna wants it named."""
    return str(storage_url(postgres))


@pytest.mark.postgres
def test_a_study_goes_to_a_server_and_back(original: str, postgres: str, copy: str) -> None:
    stored = file_content(original)
    copy_study(study_at(original), storage_url(postgres))
    assert_copied(trials_by_optuna(original), trials_by_optuna(postgres))
    assert copy_study(study_at(postgres), storage_url(copy)) == Copied("tiny", trials=11, put_back=0)
    assert [described(trial) for trial in trials_by_optuna(copy)] == [
        described(trial) for trial in trials_by_optuna(postgres)
    ]
    assert file_content(original) == stored


@pytest.mark.postgres
def test_a_worker_finishes_a_study_that_was_copied_to_a_server(
    original: str, postgres: str, tmp_path: Path
) -> None:
    # Another study comes first, so that no id is by chance the same.
    fill_with_every_kind_of_trial(new_study_at(postgres, tmp_path))
    copy_study(study_at(original), storage_url(postgres), "moved")
    answer = finish(start_toy_worker(tmp_path, "moved", seconds=0, url=postgres))
    assert (answer.returncode, answer.stderr) == (0, "")
    cells = [
        trial.system_attrs[CELL]
        for trial in trials_by_optuna(postgres, "moved")
        if trial.state == TrialState.COMPLETE and CELL in trial.system_attrs
    ]
    assert sorted(cells) == list(range(8))
    assert [trial.number for trial in trials_by_optuna(postgres, "moved")] == list(range(11))


@pytest.mark.postgres
def test_a_copy_from_and_to_a_server_is_of_one_moment_and_whole(
    original: str, postgres: str, copy: str, tmp_path: Path
) -> None:
    assert_that_a_killed_copy_leaves_nothing(original, postgres)
    delete_study(study_at(postgres))
    fill_with_every_kind_of_trial(new_study_at(postgres, tmp_path))
    assert_that_a_copy_is_of_one_moment(postgres, copy)
