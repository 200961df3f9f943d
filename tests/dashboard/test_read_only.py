"""A dashboard for reading only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy
from optuna.exceptions import StorageInternalError

from mnist_tune.dashboard.app import forbid_writes
from mnist_tune.study.delete import delete_study
from mnist_tune.study.open_study import OpenStudy
from tests.support.dashboard_client import Client
from tests.support.dashboard_routes import CONTENT_OF_ANY_ROUTE, Route, all_routes
from tests.support.stored_content import stored_rows
from tests.support.studies import opened_again


def test_reading_only_refuses_every_route_that_is_not_for_reading(
    guarded: Callable[..., Client], worked_on: OpenStudy, tmp_path: Path
) -> None:
    client, before = guarded(read_only=True), stored_rows(worked_on)
    writing = [target for target in all_routes(worked_on, tmp_path) if target.method not in ("GET", "HEAD")]
    assert len(writing) > 15
    some = [Route(method, "/api/studies") for method in ("PATCH", "OPTIONS", "TRACE", "get", "")]
    for target in (*writing, *some):
        reply = client(target.method, target.path, CONTENT_OF_ANY_ROUTE)
        assert (reply.status, reply.headers["Allow"]) == (405, "GET, HEAD"), target
        assert reply.body == b"mnist-tune: this dashboard is read-only\n"
    assert stored_rows(worked_on) == before


def test_reading_only_answers_every_route_for_reading(
    guarded: Callable[..., Client], worked_on: OpenStudy, tmp_path: Path
) -> None:
    client = guarded(read_only=True)
    reading = [target for target in all_routes(worked_on, tmp_path) if target.method == "GET"]
    assert len(reading) > 8
    for target in reading:
        assert client("GET", target.path).status < (500 if "artifacts" in target.path else 400), target
        assert client("HEAD", target.path).body == b""


def test_reading_only_holds_in_the_database_too(worked_on: OpenStudy, tmp_path: Path) -> None:
    storage = opened_again(worked_on).storage
    forbid_writes(storage)
    with pytest.raises((sqlalchemy.exc.DBAPIError, StorageInternalError)):
        storage.set_study_user_attr(worked_on.study_id, "a", "b")
    with pytest.raises((sqlalchemy.exc.DBAPIError, StorageInternalError)):
        delete_study(OpenStudy(storage, worked_on.study_id, worked_on.spec, worked_on.uid))
    assert len(storage.get_all_trials(worked_on.study_id)) == 9
