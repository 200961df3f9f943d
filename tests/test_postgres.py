"""The same promises on a real PostgreSQL server as on an SQLite file."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import optuna
import psycopg
import pytest
from optuna.exceptions import UpdateFinishedTrialError

from mnist_tune.database import storage_url, utc_now
from mnist_tune.deletion import delete_study
from mnist_tune.failures import Failure
from mnist_tune.results import read_results
from mnist_tune.storage import GuardedStorage, heartbeats, open_storage
from mnist_tune.studies import OpenStudy, create_study, open_study
from tests.postgres_server import postgres_server
from tests.support import (
    TINY_SPEC,
    fail_behind_its_back,
    finish,
    start_command,
    start_toy_worker,
    tiny_spec,
    write_spec,
)

pytestmark = pytest.mark.postgres

QUICK_LEASE = TINY_SPEC + "\n[lease]\nheartbeat_interval = 1.0\ngrace_period = 3.0\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgres_server(tmp_path_factory.mktemp("postgres")) as url:
        yield url


@pytest.fixture
def url(server: str) -> str:
    """An empty database."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS studies WITH (FORCE)")
        connection.execute("CREATE DATABASE studies")
    return server.removesuffix("postgres") + "studies"


def new_study(url: str, folder: Path, text: str = TINY_SPEC) -> OpenStudy:
    storage = open_storage(storage_url(url), create=True)
    create_study(storage, tiny_spec(folder, text))
    return open_study(storage, "tiny")


def other_storage(url: str) -> GuardedStorage:
    return open_storage(storage_url(url))


def test_many_create_study_at_once_on_a_fresh_database_make_one_set_of_cells(
    url: str, tmp_path: Path
) -> None:
    spec = str(write_spec(tmp_path))
    creators = [start_command("create-study", spec, "--storage", url, folder=tmp_path) for _ in range(12)]
    answers = [finish(creator) for creator in creators]
    assert [(answer.returncode, answer.stderr) for answer in answers] == [(0, "")] * 12
    assert sum("created study 'tiny' with 8 cells" in answer.stdout for answer in answers) == 1
    assert len(read_results(open_study(other_storage(url), "tiny")).attempts) == 8


def test_eight_workers_started_together_make_exactly_eight_trials(url: str, tmp_path: Path) -> None:
    study = new_study(url, tmp_path)
    workers = [start_toy_worker(tmp_path, url=url) for _ in range(8)]
    answers = [finish(worker) for worker in workers]
    assert [(answer.returncode, answer.stderr) for answer in answers] == [(0, "")] * 8
    attempts = read_results(study).attempts
    assert [attempt.state for attempt in attempts] == ["complete"] * 8
    assert sorted(attempt.cell for attempt in attempts) == list(range(8))
    sampler = optuna.samplers.GridSampler(study.spec.search.grid or {})
    assert sampler.is_exhausted(study.optuna_study())


def test_a_late_write_of_a_lost_lease_is_refused(url: str, tmp_path: Path) -> None:
    study = new_study(url, tmp_path)
    claim = study.queue().claim("worker")
    assert claim is not None
    fail_behind_its_back(str(storage_url(url)), claim.trial_id)
    with pytest.raises(UpdateFinishedTrialError):
        study.storage.set_trial_intermediate_value(claim.trial_id, 1, 1.0)
    with pytest.raises(UpdateFinishedTrialError):
        study.queue().complete(claim, 1.0)
    assert read_results(study).attempts[0].state == "failed"


def test_a_silent_workers_cell_is_put_back_at_once_by_a_newcomer_in_another_time_zone(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = new_study(url, tmp_path, QUICK_LEASE)
    queue = study.queue()
    claim = queue.claim("silent")
    assert claim is not None
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    time.tzset()
    monkeypatch.setenv("PGTZ", "America/New_York")
    newcomer = open_study(other_storage(url), "tiny").queue()
    assert newcomer.put_back_stale() == []
    queue.beat(claim)
    assert newcomer.put_back_stale() == []
    time.sleep(3.3)
    assert newcomer.put_back_stale() == [claim.number]
    monkeypatch.undo()
    time.tzset()
    with pytest.raises(UpdateFinishedTrialError):
        queue.beat(claim)


def test_a_heartbeat_in_flight_keeps_the_lease(url: str, tmp_path: Path) -> None:
    study = new_study(url, tmp_path, QUICK_LEASE)
    claim = study.queue().claim("slow")
    assert claim is not None
    watching = open_study(other_storage(url), "tiny").queue()
    time.sleep(3.3)
    with study.storage.guarded(claim.trial_id) as session:
        session.execute(heartbeats.update().values(heartbeat=utc_now()))
        found: list[list[int]] = []
        thread = threading.Thread(target=lambda: found.append(watching.put_back_stale()))
        thread.start()
        time.sleep(0.5)
        assert thread.is_alive()  # it waits for the row
    thread.join(timeout=30)
    assert found == [[]]
    study.queue().complete(claim, 50.0)


def test_a_failed_attempt_is_retried_and_the_study_can_be_deleted(url: str, tmp_path: Path) -> None:
    study = new_study(url, tmp_path)
    claim = study.queue().claim("worker")
    assert claim is not None
    assert study.queue().give_back(claim, Failure("exception", "it broke"))
    assert not study.queue().give_back(claim, Failure("exception", "it broke"))
    assert read_results(study).cells.waiting == 8
    delete_study(study)
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM trials").fetchone() == (0,)


def test_a_password_with_odd_characters_works_and_is_never_shown(url: str, tmp_path: Path) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS tuner")
        connection.execute("CREATE ROLE tuner SUPERUSER LOGIN PASSWORD 'p{a}ss@w:ord'")
    secret = url.replace("postgres@", "tuner:p{a}ss%40w%3Aord@")
    answers = [
        finish(start_command(*arguments, "--storage", secret, folder=tmp_path))
        for arguments in (
            ("create-study", str(write_spec(tmp_path))),
            ("status", "tiny"),
            ("status", "tiny", "--json"),
            ("status", "tino"),
        )
    ]
    assert [answer.returncode for answer in answers] == [0, 0, 0, 2]
    assert not any(
        "ss@w" in text or "ss%40w" in text for answer in answers for text in (answer.stdout, answer.stderr)
    )
    with psycopg.connect(url) as connection:
        stored = connection.execute("SELECT value_json FROM study_user_attributes").fetchall()
    assert "p{a}ss" not in str(stored)


def test_the_readmes_commands_for_several_machines_work(url: str, tmp_path: Path) -> None:
    for arguments in (("create-study", str(write_spec(tmp_path))), ("worker", "tiny"), ("status", "tiny")):
        answer = finish(start_command(*arguments, folder=tmp_path, url=url))
        assert (answer.returncode, answer.stderr) == (0, "")
    assert "8/8 cells" in answer.stdout
