"""The storage: the URLs that it accepts, what it makes, and what it refuses to make."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import optuna
import pytest

from mnist_tune.errors import UserError
from mnist_tune.storage.engine import shown, storage_url
from mnist_tune.storage.guarded import open_storage
from mnist_tune.storage.named import ENVIRONMENT_VARIABLE
from tests.support.studies import new_study, open_file

SECRET = "p{a}ss%40w:ord"


def test_the_option_wins_over_the_environment_and_that_over_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)
    assert str(storage_url()) == "sqlite:///mnist-tune.db"
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "sqlite:///environment.db")
    assert str(storage_url()) == "sqlite:///environment.db"
    assert str(storage_url("sqlite:///option.db")) == "sqlite:///option.db"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_way_to_write_postgresql_means_psycopg_3(scheme: str) -> None:
    assert storage_url(f"{scheme}://user@host/studies").drivername == "postgresql+psycopg"


def test_the_newline_at_the_end_of_a_secrets_file_is_no_part_of_the_url() -> None:
    assert storage_url("postgresql://user@host/studies\n").database == "studies"


def test_a_password_is_never_shown() -> None:
    url = storage_url(f"postgresql://user:{SECRET}@host/studies")
    assert shown(url) == "postgresql://user:***@host/studies"


@pytest.mark.parametrize(
    "url",
    ["mysql://user:secret@host/studies", "redis://:secret@host", "secret", "sqlite://", "sqlite:///:memory:"],
)
def test_an_unusable_url_is_refused_in_one_line_without_secrets(url: str) -> None:
    with pytest.raises(UserError) as caught:
        storage_url(url)
    assert "write sqlite:///FILE.db" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_an_unreachable_server_is_one_line_without_the_password() -> None:
    with pytest.raises(UserError) as caught:
        open_storage(storage_url(f"postgresql://user:{SECRET}@127.0.0.1:1/studies"))
    assert "refused" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "ss@w" not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_opening_a_mistyped_path_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        open_file(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_deleted_while_a_worker_holds_its_storage_is_not_made_anew(tmp_path: Path) -> None:
    storage = open_file(tmp_path, create=True)
    storage.remove_session()
    storage.engine.dispose()
    (tmp_path / "studies.db").unlink()
    with pytest.raises(optuna.exceptions.StorageInternalError):
        storage.get_all_studies()
    assert not (tmp_path / "studies.db").exists()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        open_storage(storage_url(f"sqlite:///{tmp_path}/nowhere/studies.db"), create=True)


@pytest.mark.parametrize(
    ("content", "answer"), [(b"no database" * 100, "not an SQLite"), (b"", "holds no studies")]
)
def test_a_file_that_is_no_storage_is_refused_and_left_alone(
    tmp_path: Path, content: bytes, answer: str
) -> None:
    path = tmp_path / "studies.db"
    path.write_bytes(content)
    with pytest.raises(UserError, match=answer):
        open_file(tmp_path)
    if content:
        assert path.read_bytes() == content


def test_a_path_with_odd_characters_works(tmp_path: Path) -> None:
    path = tmp_path / "100% {mine} #1?.db"
    open_storage(storage_url(f"sqlite:///{path}".replace("?", "%3F")), create=True)
    assert [file for file in tmp_path.iterdir() if file.suffix == ".db"]


def test_sqlite_writes_ahead_and_fully_synchronised(tmp_path: Path) -> None:
    storage = open_file(tmp_path, create=True)
    with storage.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 120_000


def test_stock_optuna_opens_and_extends_a_storage_of_ours(tmp_path: Path) -> None:
    open_file(tmp_path, create=True)
    study = optuna.create_study(storage=f"sqlite:///{tmp_path}/studies.db")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    assert len(study.trials) == 2


def test_claiming_and_counting_use_the_index(tmp_path: Path) -> None:
    new_study(tmp_path)
    with sqlite3.connect(tmp_path / "studies.db") as connection:
        query = (
            "SELECT trial_id FROM trials WHERE study_id = 1 AND state = 'WAITING' ORDER BY trial_id LIMIT 1"
        )
        plan = str(connection.execute(f"EXPLAIN QUERY PLAN {query}").fetchall())
    assert "COVERING INDEX ix_mnist_tune_trials_study_state" in plan
    assert "TEMP B-TREE" not in plan


def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "studies.db") as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('1234')")
    with pytest.raises(UserError, match="holds no studies"):
        open_file(tmp_path)
    with pytest.raises(UserError, match="tables of another program"):
        open_file(tmp_path, create=True)
    with sqlite3.connect(tmp_path / "studies.db") as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("alembic_version",)]


def test_a_password_among_the_options_is_not_shown_either() -> None:
    assert (
        shown(storage_url("postgresql://user@host/studies?password=secret"))
        == "postgresql://user@host/studies"
    )
