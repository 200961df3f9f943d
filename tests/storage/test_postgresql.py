"""Tests that need a real PostgreSQL server: clients in other time zones, locks on rows, passwords."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import optuna
import psycopg
import pytest
from optuna.exceptions import UpdateFinishedTrialError
from sqlalchemy.pool import QueuePool

from mnist_tune.contract.study import WorkerFacts
from mnist_tune.errors import MnistTuneError
from mnist_tune.queue.worker_registry import Registration
from mnist_tune.results.reading import read_results
from mnist_tune.storage.engine import storage_url, utc_now
from mnist_tune.storage.guarded import open_storage
from mnist_tune.storage.optuna_internals import heartbeats, trials
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.store import open_study
from mnist_tune.verification import verify
from tests.support.clocks import zone
from tests.support.commands import finish, start_command, start_toy_worker
from tests.support.specs import ONE_CELL, lease_lines, write_spec
from tests.support.studies import new_study, opened_again, take
from tests.support.waiting import wait_until

pytestmark = pytest.mark.postgres


def make_silent(study: OpenStudy) -> None:
    """Make all heartbeats older than the grace period, by the server's clock."""
    older = timedelta(seconds=study.spec.lease.grace_period + 1)
    with study.storage.transaction() as session:
        session.execute(heartbeats.update().values(heartbeat=heartbeats.c.heartbeat - older))


def has_a_statement_that_waits_for_a_lock(url: str) -> bool:
    with psycopg.connect(url) as connection:
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        return connection.execute(waiting).fetchone() != (0,)


def test_many_create_study_at_once_on_a_fresh_database_make_one_set_of_cells(
    postgres: str, tmp_path: Path
) -> None:
    spec = str(write_spec(tmp_path))
    creators = [
        start_command("create-study", spec, "--storage", postgres, folder=tmp_path) for _ in range(12)
    ]
    answers = [finish(creator) for creator in creators]
    assert [(answer.returncode, answer.stderr) for answer in answers] == [(0, "")] * 12
    assert sum("created study 'tiny' with 8 cells" in answer.stdout for answer in answers) == 1
    study = open_study(open_storage(storage_url(postgres)), "tiny")
    assert len(read_results(study).attempts) == 8


def test_eight_workers_started_together_make_exactly_eight_trials(postgres: str, tmp_path: Path) -> None:
    study = new_study(tmp_path, url=postgres)
    workers = [start_toy_worker(tmp_path, url=postgres) for _ in range(8)]
    answers = [finish(worker) for worker in workers]
    assert [(answer.returncode, answer.stderr) for answer in answers] == [(0, "")] * 8
    attempts = read_results(study).attempts
    assert [attempt.state for attempt in attempts] == ["complete"] * 8
    assert sorted(attempt.cell for attempt in attempts) == list(range(8))
    sampler = optuna.samplers.GridSampler(study.spec.search.grid or {})
    assert sampler.is_exhausted(study.optuna_study())


def test_a_silent_workers_cell_is_put_back_at_once_by_a_newcomer_in_another_time_zone(
    postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = new_study(tmp_path, url=postgres)
    queue = study.queue()
    claim = take(queue)
    with zone("Pacific/Kiritimati"), monkeypatch.context() as patch:
        patch.setenv("PGTZ", "America/New_York")
        newcomer = opened_again(study).queue()
        assert newcomer.put_back_stale() == {}
        queue.beat(claim)
        assert opened_again(study).queue().put_back_stale() == {}
        make_silent(study)
        assert list(opened_again(study).queue().put_back_stale()) == [claim.number]
    with pytest.raises(UpdateFinishedTrialError):
        queue.beat(claim)


def test_a_heartbeat_in_flight_keeps_the_lease(postgres: str, tmp_path: Path) -> None:
    study = new_study(tmp_path, url=postgres)
    claim = take(study.queue())
    watching = opened_again(study).queue()
    make_silent(study)
    with study.storage.guarded(claim.trial_id) as session:
        session.execute(heartbeats.update().values(heartbeat=utc_now()))
        found: list[dict[int, str]] = []
        thread = threading.Thread(target=lambda: found.append(watching.put_back_stale()))
        thread.start()
        wait_until(lambda: has_a_statement_that_waits_for_a_lock(postgres))
    thread.join(timeout=30)
    assert found == [{}]
    study.queue().complete(claim, 50.0)


def test_stock_optuna_deletes_a_study_with_all_its_workers(postgres: str, tmp_path: Path) -> None:
    study = new_study(tmp_path, url=postgres)
    Registration(study.storage, study.study_id, WorkerFacts.of_this_process("cpu")).register()
    optuna.delete_study(study_name="tiny", storage=study.storage.url)
    with psycopg.connect(postgres) as connection:
        for table in ("studies", "trials", "mnist_tune_workers"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


def test_a_password_with_odd_characters_works_and_is_never_shown(postgres: str, tmp_path: Path) -> None:
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS tuner")
        connection.execute("CREATE ROLE tuner SUPERUSER LOGIN PASSWORD 'p{a}ss@w:ord'")
    secret = postgres.replace("postgres@", "tuner:p{a}ss%40w%3Aord@")
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
    with psycopg.connect(postgres) as connection:
        stored = connection.execute("SELECT value_json FROM study_user_attributes").fetchall()
    assert "p{a}ss" not in str(stored)


def test_the_readmes_commands_for_several_machines_work(postgres: str, tmp_path: Path) -> None:
    for arguments in (("create-study", str(write_spec(tmp_path))), ("worker", "tiny"), ("status", "tiny")):
        answer = finish(start_command(*arguments, folder=tmp_path, url=postgres))
        assert (answer.returncode, answer.stderr) == (0, "")
    assert "8/8 cells" in answer.stdout


def test_a_worker_that_rests_keeps_one_connection(postgres: str, tmp_path: Path) -> None:
    study = opened_again(new_study(tmp_path, url=postgres))
    study.queue().claim("worker")
    pool = study.storage.engine.pool
    assert isinstance(pool, QueuePool)
    assert (pool.checkedin(), pool.checkedout()) == (1, 0)


def test_a_server_that_takes_no_more_connections_says_so_and_what_to_do(postgres: str) -> None:
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS crowded")
        connection.execute("CREATE ROLE crowded LOGIN CONNECTION LIMIT 0")
    crowded = storage_url(postgres).set(username="crowded")
    with pytest.raises(MnistTuneError, match=r"too many connections.*; raise the server's max_connections"):
        open_storage(crowded)


@pytest.mark.parametrize("time_", ["infinity", "-infinity", "294000-01-01", "4000-01-01 BC"])
def test_a_time_that_python_has_none_for_hides_no_other_and_ends_no_worker(
    postgres: str, tmp_path: Path, time_: str
) -> None:
    study = new_study(tmp_path, ONE_CELL + lease_lines(0.1, 0.3), postgres)
    queue = study.queue()
    claim = take(queue)
    Registration(study.storage, study.study_id, WorkerFacts.of_this_process("cpu")).register()
    with psycopg.connect(postgres, autocommit=True) as connection:
        for table, column in (
            ("trial_heartbeats", "heartbeat"),
            ("trials", "datetime_start"),
            ("mnist_tune_workers", "last_beat"),
        ):
            connection.execute(f"UPDATE {table} SET {column} = %s", [time_])
    results = read_results(study)
    assert [attempt.state for attempt in results.attempts] == ["running"]
    assert len(results.problems) == 3, results.problems
    assert verify(study.storage, study.name, tmp_path, tmp_path).outcomes
    with study.storage.transaction() as session:
        session.execute(trials.update().values(datetime_start=utc_now()))
    watching = opened_again(study).queue()
    assert watching.put_back_stale() == {}  # it has to see the heartbeat stand still for itself
    put_back: list[int] = []

    def is_put_back() -> bool:
        put_back.extend(watching.put_back_stale())
        return bool(put_back)

    wait_until(is_put_back)
    assert put_back == [claim.number]
    assert take(watching).number == claim.number + 1
