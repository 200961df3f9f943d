"""Copies of a study that stock Optuna has made."""

from __future__ import annotations

from pathlib import Path

import optuna
import psycopg
import pytest
from optuna.trial import TrialState

from mnist_tune.results.reading import read_results
from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.guarded import open_storage
from mnist_tune.study.delete import delete_study
from mnist_tune.study.retry import put_back_holes
from mnist_tune.study.store import open_study
from mnist_tune.worker.loop import Ended
from tests.support.commands import Command
from tests.support.stock_optuna import GRID_SPEC, broken_promises_of, train_one_epoch
from tests.support.studies import new_study, states, take, work


@pytest.mark.slow
@pytest.mark.parametrize(("file", "name"), [("copy.db", "tiny"), ("studies.db", "twin")])
def test_a_copy_that_stock_optuna_made_works_like_any_study(
    tmp_path: Path, command: Command, file: str, name: str
) -> None:
    study = new_study(tmp_path, GRID_SPEC)
    queue = study.queue()
    queue.complete(take(queue), 42.0)
    take(queue)  # seems to run in the copy as well
    url = f"sqlite:///{tmp_path}/{file}"
    optuna.copy_study(
        from_study_name="tiny",
        from_storage=f"sqlite:///{tmp_path}/studies.db",
        to_storage=url,
        to_study_name=name,
    )
    at = ("--storage", url)
    for asked in ("status", "logs", "export"):
        answer = command(asked, name, *at)
        assert (answer.code, "a bug" in answer.err) == (0, False), asked
    assert f"{name}: 1/2 cells" in command("studies", *at).out
    assert command("drain", name, "--host", "here", *at).err.endswith("there are none\n")
    assert command("pause", name, *at).code == command("resume", name, *at).code == 0

    copy = open_study(open_storage(storage_url(url)), name)
    assert broken_promises_of(copy, tmp_path / "copy") == [
        "heartbeats: trial 1, cell 1: runs without a heartbeat: any worker puts the cell back"
    ]
    assert work(copy, train_one_epoch, files=tmp_path / "copy") is Ended.FINISHED
    assert read_results(copy).cells.complete == 2
    assert len(read_results(copy).workers) == 1
    assert [str(line) for line in broken_promises_of(copy, tmp_path / "copy")] == []
    assert read_results(study).cells.running == 1
    assert command("delete-study", name, "--yes", *at).code == 0


@pytest.mark.postgres
def test_on_a_server_too_what_stock_optuna_ended_comes_back_and_its_copy_works(
    postgres: str, server: str, tmp_path: Path
) -> None:
    study = new_study(tmp_path, GRID_SPEC, postgres)
    url = study.storage.engine.url.render_as_string(hide_password=False)
    other = optuna.load_study(study_name="tiny", storage=url)
    other.tell(other.ask(), state=TrialState.FAIL)
    other.tell(other.ask(), 99.0)
    assert list(study.queue().put_back_stale()) == [0]
    assert put_back_holes(study).numbers == [1]
    assert states(study) == [TrialState.FAIL, TrialState.FAIL, TrialState.WAITING, TrialState.WAITING]
    optuna.copy_study(from_study_name="tiny", from_storage=url, to_storage=url, to_study_name="twin")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS copy WITH (FORCE)")
        connection.execute("CREATE DATABASE copy")
    far = url.removesuffix("studies") + "copy"
    optuna.copy_study(from_study_name="tiny", from_storage=url, to_storage=far)
    for name, there in (("tiny", url), ("twin", url), ("tiny", far)):
        opened = open_study(open_storage(storage_url(there)), name)
        assert read_results(opened).workers == []
        assert work(opened, train_one_epoch, files=tmp_path / name) is Ended.FINISHED
        assert read_results(opened).cells.complete == 2
        assert broken_promises_of(opened, tmp_path / name) == []
        delete_study(opened)
        opened.storage.engine.dispose()


def test_a_copy_that_stock_optuna_made_can_be_deleted_before_any_worker_was_on_it(
    tmp_path: Path, command: Command
) -> None:
    new_study(tmp_path, GRID_SPEC)
    source, url = (f"sqlite:///{tmp_path}/{file}" for file in ("studies.db", "copy.db"))
    optuna.copy_study(from_study_name="tiny", from_storage=source, to_storage=url)
    assert command("delete-study", "tiny", "--yes", "--storage", url).code == 0
    assert command("studies", "--storage", url).out.startswith("no studies")
