"""A study as tables of pandas."""

from __future__ import annotations

import sys
from pathlib import Path

import optuna
import pandas as pd
import pytest

import mnist_tune
from mnist_tune.failures import Failure
from mnist_tune.storage.keys import RESUMED
from mnist_tune.study.open_study import OpenStudy
from tests.support.made_studies.cells import complete_cell, fail_cell
from tests.support.made_studies.epochs import made_epochs
from tests.support.specs import TWO_CELLS
from tests.support.studies import new_study, take

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture
def opened(tmp_path: Path) -> OpenStudy:
    """A cell that failed after an epoch and was finished from there, and one that waits."""
    study = new_study(tmp_path, TWO_CELLS)
    fail_cell(study, Failure("exception", "RuntimeError: broken\nTraceback"), 50.0)
    queue = study.queue()
    claims = [take(queue), take(queue)]
    assert [claim.number for claim in claims] == [1, 2]
    notes = {RESUMED: {"trial": 0, "epoch": 1}}
    queue.complete(claims[1], 70.0, user=notes, epochs=made_epochs([50.0, 60.0, 70.0]))
    assert queue.give_back(claims[0], Failure("preempted", "it was stopped"))
    return study


@pytest.fixture
def study(opened: OpenStudy, tmp_path: Path) -> mnist_tune.Study:
    return mnist_tune.open_study("tiny", tmp_path / "studies.db")


def test_trials_have_a_row_an_attempt(study: mnist_tune.Study) -> None:
    frame = study.trials_dataframe().set_index("number")
    assert list(frame.cell) == [0, 1, 0, 1]
    assert list(frame.attempt) == [1, 1, 2, 2]
    assert list(frame.state) == ["FAIL", "FAIL", "COMPLETE", "WAITING"]
    assert list(frame.epochs) == [1, 0, 3, 0]
    assert list(frame.failure.dropna()) == ["exception", "preempted"]
    assert list(frame.failure_reason.dropna()) == ["RuntimeError: broken", "it was stopped"]
    assert frame.value[2] == 70.0
    assert list(frame.value.isna()) == [True, True, False, True]
    assert frame.params_learning_rate[0] == frame.params_learning_rate[2]
    assert (frame.duration.dropna() >= pd.Timedelta(0)).all()
    assert pd.isna(frame.duration[3])
    assert str(frame.datetime_start.dt.tz) == "UTC"


def test_what_optunas_own_table_has_is_here_by_the_same_name(
    opened: OpenStudy, study: mnist_tune.Study
) -> None:
    attributes = ("number", "value", "datetime_start", "datetime_complete", "duration", "params", "state")
    url = opened.storage.engine.url.render_as_string()
    theirs = optuna.load_study(study_name="tiny", storage=url).trials_dataframe(attributes)
    ours = study.trials_dataframe()
    # A metric that has a name is part of the column's there.
    theirs = theirs.rename(columns={"value_validation_accuracy": "value"})
    assert list(ours.columns)[: len(theirs.columns)] == list(theirs.columns)
    for column in ("number", "value", "state", "duration"):
        assert list(ours[column].dropna()) == list(theirs[column].dropna())


def test_histories_have_a_row_an_epoch_and_say_which_are_another_attempts(study: mnist_tune.Study) -> None:
    frame = study.history_dataframe()
    assert list(frame.number) == [0, 2, 2, 2]
    assert list(frame.epoch) == [1, 1, 2, 3]
    assert list(frame.validation_accuracy) == [50.0, 50.0, 60.0, 70.0]
    assert list(frame.inherited) == [False, True, False, False]
    assert list(frame.columns) == [
        *("number", "cell", "params_learning_rate", "epoch", "training_loss", "validation_loss"),
        *("validation_accuracy", "images_per_second", "seconds", "inherited"),
    ]


def test_a_study_without_epochs_has_tables_with_the_same_columns(
    tmp_path: Path, study: mnist_tune.Study
) -> None:
    new_study(tmp_path, TWO_CELLS.replace("tiny", "fresh"))
    fresh = mnist_tune.open_study("fresh", tmp_path / "studies.db")
    for table in ("trials_dataframe", "history_dataframe"):
        assert list(getattr(fresh, table)().columns) == list(getattr(study, table)().columns)
    assert len(fresh.trials_dataframe()) == 2
    assert fresh.history_dataframe().empty
    assert fresh.history_dataframe().groupby("number").validation_accuracy.max().empty


def test_a_time_that_pandas_has_no_room_for_is_missing(opened: OpenStudy, study: mnist_tune.Study) -> None:
    with opened.storage.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE trials SET datetime_start = '0001-01-01 00:00:00.000000'")
    assert len(study.trials_dataframe()) == 4


def test_finished_trials_of_a_study_with_a_pruner_are_told_apart(tmp_path: Path) -> None:
    opened = new_study(tmp_path, TWO_CELLS + '[pruner]\nname = "median"\n')
    complete_cell(opened, 90.0)
    queue = opened.queue()
    queue.prune(take(queue), 10.0, epochs=made_epochs([10.0]))
    frame = mnist_tune.open_study("tiny", tmp_path / "studies.db").trials_dataframe()
    assert list(frame.state) == ["COMPLETE", "PRUNED"]


@pytest.mark.parametrize("table", ["trials_dataframe", "history_dataframe"])
def test_without_pandas_it_is_said_what_to_install(
    study: mnist_tune.Study, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    remedy = rf"^{table}: needs pandas; run pip install 'mnist-tune\[dataframe\]'$"
    with pytest.raises(mnist_tune.UserError, match=remedy):
        getattr(study, table)()
