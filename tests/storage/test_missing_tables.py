"""Tables of ours that a database lacks: an older version's, a copy's, one that Optuna has upgraded."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import optuna
import psycopg
import pytest
import sqlalchemy

from mnist_tune.dashboard.snapshots import SnapshotStorage
from mnist_tune.doctor.database import storage_checks
from mnist_tune.doctor.machine import Severity
from mnist_tune.results.reading import read_results
from mnist_tune.spec.documents import dump, format_of, write
from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.guarded import open_storage
from mnist_tune.storage.migrations import version_of
from mnist_tune.storage.optuna_internals import trials
from mnist_tune.storage.tables import epochs, versions
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.store import open_study, study_names
from mnist_tune.worker.trial import Trial
from tests.support.commands import STORED, Command
from tests.support.doctor_findings import finding_of
from tests.support.made_studies.epochs import made_epoch
from tests.support.specs import write_spec
from tests.support.studies import new_study, opened_again, work

NAME = "half-done"
MISSING = {
    "our table": "DROP TABLE mnist_tune_epochs",
    "our table of workers": "DROP TABLE mnist_tune_workers",
    "our index": "DROP INDEX ix_mnist_tune_trials_study_state",
    "our trigger": "DROP TRIGGER mnist_tune_delete_epochs",
}
OURS = "mnist_tune_epochs, mnist_tune_schema and mnist_tune_workers"


@pytest.fixture
def again(of_0_5_0: OpenStudy, tmp_path: Path) -> str:
    """A file with the same spec under another name."""
    spec = tmp_path / "again.toml"
    write(spec, dump(of_0_5_0.spec.named("again").document(), format_of(spec)))
    return str(spec)


def test_create_study_takes_over_what_0_5_0_has_finished(
    of_0_5_0: OpenStudy, again: str, command: Command
) -> None:
    answer = command("create-study", again, "--reuse", NAME, "--json")
    assert (answer.code, answer.err) == (0, "")
    assert answer.json["reused"] == 2
    with of_0_5_0.storage.transaction() as session:
        assert version_of(session.connection()) == 1
    taken = read_results(open_study(of_0_5_0.storage, "again")).complete
    accuracies = [[epoch["validation_accuracy"] for epoch in each.history] for each in taken]
    assert sorted(accuracies) == [[13.0, 13.0], [30.0, 41.0]]
    verified = command("verify", "again")
    assert (verified.code, verified.err) == (0, "")


def test_create_study_takes_over_results_in_a_copy_that_stock_optuna_made(
    of_0_5_0: OpenStudy, again: str, command: Command, tmp_path: Path
) -> None:
    copied = f"sqlite:///{tmp_path}/copied.db"
    optuna.copy_study(from_study_name=NAME, from_storage=str(of_0_5_0.storage.engine.url), to_storage=copied)
    answer = command("create-study", again, "--reuse", NAME, "--storage", copied, "--json")
    assert (answer.code, answer.err) == (0, "")
    assert answer.json["reused"] == 2


def test_doctor_says_which_command_brings_an_older_database_up_to_date(
    file: Path, again: str, command: Command
) -> None:
    before = made(file)
    found = finding_of(storage_checks(f"sqlite:///{file}"), "tables")
    assert found.verdict is Severity.WARNING
    assert "; a worker, or 'mnist-tune create-study SPEC', brings them up to date" in found.says
    assert made(file) == before
    assert command("create-study", again).code == 0
    assert "tables" not in {check.check for check in storage_checks(f"sqlite:///{file}")}


def made(file: Path) -> set[str]:
    """The tables, indexes and triggers of ours that are there."""
    with sqlite3.connect(file) as connection:
        found = {str(sql) for (sql,) in connection.execute("SELECT sql FROM sqlite_master")}
    connection.close()
    return {sql for sql in found if "mnist_tune" in sql}


@pytest.mark.parametrize(
    "line", [["create-study", "spec.toml"], ["delete-study", NAME, "--yes"]], ids=["create", "delete"]
)
@pytest.mark.parametrize("missing", MISSING.values(), ids=MISSING.keys())
def test_what_is_missing_of_our_tables_is_made_anew(
    file: Path, command: Command, line: list[str], missing: str
) -> None:
    write_spec(file.parent)
    open_storage(storage_url(f"sqlite:///{file}")).migrate()
    whole = made(file)
    with sqlite3.connect(file) as connection:
        connection.execute(missing)
    connection.close()
    assert made(file) < whole
    answer = command(*line)
    assert (answer.code, answer.err) == (0, "")
    assert made(file) == whole


def test_the_dashboard_deletes_a_study_though_our_table_is_missing(of_0_5_0: OpenStudy) -> None:
    storage = of_0_5_0.storage
    storage.migrate()
    with storage.transaction() as session:
        session.connection().exec_driver_sql(MISSING["our table"])
    SnapshotStorage(storage).delete_study(of_0_5_0.study_id)
    assert study_names(storage) == []


def test_cells_that_are_made_anew_have_no_epochs_of_deleted_trials(tmp_path: Path, command: Command) -> None:
    study = new_study(tmp_path)
    work(study, one_epoch, max_trials=1)
    with study.storage.transaction() as session:
        (deleted,) = session.execute(sqlalchemy.select(epochs.c.trial_id)).scalars()
        session.connection().exec_driver_sql(MISSING["our trigger"])
        session.execute(trials.delete().where(trials.c.trial_id == deleted))
    assert command("retry", "tiny").code == 0
    with study.storage.transaction() as session:
        assert session.execute(sqlalchemy.select(epochs.c.trial_id)).all() == []


def test_epochs_of_trials_that_were_deleted_without_our_trigger_become_no_others(
    tmp_path: Path, command: Command
) -> None:
    study = new_study(tmp_path)
    work(study, one_epoch)
    with study.storage.transaction() as session:
        assert session.execute(sqlalchemy.select(epochs.c.trial_id)).all()
        session.connection().exec_driver_sql("DROP TRIGGER mnist_tune_delete_epochs")
    optuna.delete_study(study_name="tiny", storage=f"sqlite:///{tmp_path}/{STORED}")
    assert command("create-study", str(write_spec(tmp_path))).code == 0
    assert [attempt.history for attempt in read_results(opened_again(study)).attempts] == [[]] * 8
    with study.storage.transaction() as session:
        assert session.execute(sqlalchemy.select(epochs.c.trial_id)).all() == []


def one_epoch(trial: Trial) -> float:
    trial.epoch_done(made_epoch(1, 50.0), last=True)
    return 50.0


def of_version_0(url: str, folder: Path) -> None:
    """A study in a database as 0.5.0 makes it."""
    study = new_study(folder, url=url)
    with study.storage.transaction() as session:
        for table in (epochs, versions):
            table.drop(session.connection())
    study.storage.engine.dispose()


@pytest.mark.postgres
@pytest.mark.parametrize("may_make_tables", [False, True])
@pytest.mark.parametrize("line", [["worker", "tiny", "--device", "cpu"], ["create-study", "spec.toml"]])
def test_who_may_only_write_rows_is_told_who_brings_an_older_database_up_to_date(
    postgres: str, tmp_path: Path, command: Command, line: list[str], *, may_make_tables: bool
) -> None:
    of_version_0(postgres, tmp_path)
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS clerk")
        connection.execute("CREATE ROLE clerk LOGIN")
        connection.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO clerk")
        connection.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO clerk")
        if may_make_tables:
            connection.execute("GRANT CREATE ON SCHEMA public TO clerk")
    clerk = postgres.replace("//postgres@", "//clerk@")
    answer = command(*line, "--storage", clerk)
    assert (answer.code, answer.err) == (
        2,
        f"mnist-tune: {clerk}: its tables are of an older version, and this user may not change them; "
        "have their owner run 'mnist-tune create-study SPEC' once, and grant this user the tables "
        f"{OURS}\n",
    )
    assert command("create-study", "spec.toml", "--storage", postgres).code == 0
    with psycopg.connect(postgres, autocommit=True) as connection:
        for table in OURS.replace(" and ", ", ").split(", "):
            connection.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO clerk")
    assert command("create-study", "spec.toml", "--storage", clerk).code == 0
    open_storage(storage_url(clerk)).migrate()
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("DROP OWNED BY clerk")
        connection.execute("DROP ROLE clerk")
