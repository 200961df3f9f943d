"""A PostgreSQL server that is silent: how long clients wait, and what the server ends itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy.exc import DBAPIError

from mnist_tune.contract.retrying import StorageRetry
from mnist_tune.failures import Failure
from mnist_tune.queue.cells import lock_study
from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.guarded import open_storage
from mnist_tune.storage.retrying import why_it_may_pass
from mnist_tune.study.open_study import OpenStudy
from tests.support.specs import ONE_CELL, TINY_SPEC, lease_lines
from tests.support.studies import new_study, opened_again, take
from tests.support.tcp_proxy import TcpProxy

pytestmark = pytest.mark.postgres


def impatient(study: OpenStudy) -> OpenStudy:
    study.storage.deadline.seconds = 1.0
    return study


def seconds_until_it_raises(call: Callable[[], object]) -> float:
    """How long it waited. A call that is never answered and never raises meets the suite's time limit."""
    begin = time.monotonic()
    with pytest.raises(DBAPIError) as caught:
        call()
    assert caught.value.connection_invalidated or "connection" in str(caught.value.orig)
    return time.monotonic() - begin


def test_a_statement_whose_answer_never_comes_raises_at_the_deadline(
    postgres: str, proxy: TcpProxy, tmp_path: Path
) -> None:
    study = impatient(opened_again(new_study(tmp_path, url=postgres), proxy.url))
    claim = take(study.queue())
    proxy.cut(reset=False)
    assert seconds_until_it_raises(lambda: study.queue().beat(claim)) >= 1.0
    seconds_until_it_raises(lambda: study.queue().beat(claim))  # of a new connection, though it is accepted
    proxy.heal()
    study.queue().beat(claim)


def test_a_commit_whose_answer_never_comes_raises_at_the_deadline(
    postgres: str, proxy: TcpProxy, tmp_path: Path
) -> None:
    study = impatient(opened_again(new_study(tmp_path, url=postgres), proxy.url))
    session = study.storage.scoped_session()
    session.execute(sqlalchemy.text("SELECT 1"))
    proxy.cut(reset=False)
    assert seconds_until_it_raises(session.commit) >= 1.0
    session.rollback()
    session.close()


def test_a_long_answer_that_keeps_coming_is_no_silence(
    postgres: str, proxy: TcpProxy, tmp_path: Path
) -> None:
    study = impatient(opened_again(new_study(tmp_path, url=postgres), proxy.url))
    slow = sqlalchemy.text("SELECT repeat('x', 20000) || pg_sleep(0.3) FROM generate_series(1, 8)")
    with study.storage.transaction() as session:
        assert len(session.execute(slow).all()) == 8


def test_the_deadline_leaves_a_worker_the_time_to_ask_again_before_its_lease_is_over(
    postgres: str, tmp_path: Path
) -> None:
    assert new_study(tmp_path, url=postgres).storage.deadline.seconds == 10
    short = TINY_SPEC.replace("tiny", "short") + lease_lines(1.0, 6.0)
    assert new_study(tmp_path, short, postgres).storage.deadline.seconds == 3


def test_who_creates_a_study_waits_for_others_that_do_as_long_as_it_takes(postgres: str) -> None:
    assert open_storage(storage_url(postgres), create=True).deadline.seconds == float("inf")


def test_what_a_cut_link_leaves_locked_is_free_again_after_a_while(
    postgres: str, proxy: TcpProxy, tmp_path: Path
) -> None:
    study = new_study(tmp_path, ONE_CELL + lease_lines(0.5, 2.0), postgres)
    claim = take(study.queue())
    cut = opened_again(study, proxy.url)
    cut.storage.engine.dispose()  # its first connection is older than the deadline
    session = cut.storage.scoped_session()
    lock_study(session, study.study_id)
    proxy.cut(reset=False)
    begin = time.monotonic()
    patience = StorageRetry(60, print, hurry=lambda: False, away=why_it_may_pass)
    assert patience(lambda: study.queue().give_back(claim, Failure("preempted", "drained")))
    assert time.monotonic() - begin > 3  # six deadlines after the last that the server heard
    with pytest.raises(DBAPIError):
        session.commit()
    session.close()
