"""Studies in a storage: what creating one leaves behind, whose it is, and what deleting it leaves."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
import sqlalchemy
from optuna.trial import TrialState
from sqlalchemy.exc import OperationalError

from mnist_tune.contract.study import WorkerFacts
from mnist_tune.errors import UserError
from mnist_tune.failures import Failure
from mnist_tune.queue.worker_registry import Registration, read_registry
from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.guarded import open_storage
from mnist_tune.study.delete import delete_study
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.store import create_study, open_study, study_names
from tests.support.specs import TINY_SPEC, tiny_spec
from tests.support.storage_faults import lost_answer
from tests.support.studies import new_study, take

VERSIONS = {"version_info", "alembic_version", "mnist_tune_schema"}
"""The tables that say of which version the others are."""


def test_creating_the_same_study_again_changes_nothing(study: OpenStudy) -> None:
    assert not create_study(study.storage, study.spec)
    assert len(study.optuna_study().trials) == 8
    assert study_names(study.storage) == ["tiny"]


def test_creating_it_again_after_a_lost_answer_makes_one_study(database: str, tmp_path: Path) -> None:
    storage = open_storage(storage_url(database), create=True)
    spec = tiny_spec(tmp_path)
    with lost_answer(storage), pytest.raises(OperationalError):
        create_study(storage, spec)
    create_study(storage, spec)
    assert study_names(storage) == ["tiny"]
    assert len(open_study(storage, "tiny").optuna_study().trials) == 8


def test_another_spec_under_the_same_name_is_refused_naming_what_differs(
    study: OpenStudy, tmp_path: Path
) -> None:
    other = tiny_spec(tmp_path, TINY_SPEC.replace("fp32", "bf16"))
    with pytest.raises(UserError, match=r"training\.precision is fp32 there and bf16 here; give this one"):
        create_study(study.storage, other)
    assert open_study(study.storage, "tiny").spec == study.spec


def test_a_study_of_somebody_else_is_neither_taken_over_nor_opened(database: str, tmp_path: Path) -> None:
    storage = open_storage(storage_url(database), create=True)
    optuna.create_study(study_name="tiny", storage=storage)
    with pytest.raises(UserError, match="not made by mnist-tune"):
        create_study(storage, tiny_spec(tmp_path))
    with pytest.raises(UserError, match="not made by mnist-tune"):
        open_study(storage, "tiny")
    assert study_names(storage) == []


def test_every_cell_waits_with_what_stock_optuna_shows_and_needs(study: OpenStudy) -> None:
    stock = optuna.load_study(study_name="tiny", storage=study.storage.url)
    sampler = optuna.samplers.GridSampler(study.spec.search.grid or {})
    assert [trial.state for trial in stock.trials] == [TrialState.WAITING] * 8
    for trial in stock.trials:
        point = {
            name: sampler.sample_independent(stock, trial, name, distribution)
            for name, distribution in trial.distributions.items()
        }
        assert trial.system_attrs["fixed_params"] == trial.params == point
        assert trial.system_attrs["grid_id"] == trial.number
    assert len({str(trial.params) for trial in stock.trials}) == 8


def test_deleting_a_study_leaves_no_row_of_it(study: OpenStudy) -> None:
    fill_every_table(study)
    delete_study(study)
    assert filled_tables(study) == VERSIONS


def test_deleting_a_study_leaves_every_row_of_another(study: OpenStudy) -> None:
    fill_every_table(study)
    create_study(study.storage, study.spec.named("other"))
    other = open_study(study.storage, "other")
    fill_every_table(other)
    before = [trial.system_attrs for trial in other.optuna_study().trials]
    delete_study(study)
    assert study_names(study.storage) == ["other"]
    assert [trial.system_attrs for trial in other.optuna_study().trials] == before
    assert len(read_registry(other.storage, other.study_id, grace_period=60).workers) == 1


def test_stock_optuna_deletes_a_study_and_no_worker_of_it_is_on_the_next(
    study: OpenStudy, database: str, tmp_path: Path
) -> None:
    fill_every_table(study)
    optuna.delete_study(study_name="tiny", storage=study.storage.url)
    # SQLite leaves rows in tables that Optuna does not know, and gives the study's id out again.
    assert filled_tables(study) <= VERSIONS | {"mnist_tune_workers"}
    again = new_study(tmp_path, url=database)
    assert read_registry(again.storage, again.study_id, grace_period=60).workers == []


def fill_every_table(study: OpenStudy) -> None:
    """Let the study have a row of every kind."""
    Registration(study.storage, study.study_id, WorkerFacts.of_this_process("cpu")).register()
    queue = study.queue()
    queue.record(take(queue), reports={1: 50.0})
    queue.complete(take(queue), 50.0)
    queue.give_back(take(queue), Failure("exception", "it broke"))


def filled_tables(study: OpenStudy) -> set[str]:
    """The tables in which there is anything."""
    with study.storage.engine.connect() as connection:
        tables = sqlalchemy.inspect(connection).get_table_names()
        return {name for name in tables if connection.exec_driver_sql(f"SELECT 1 FROM {name}").first()}
