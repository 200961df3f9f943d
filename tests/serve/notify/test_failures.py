"""What is told all the same when a receiver fails, or the database does in the middle of a look."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from mnist_tune.serve.notify import notifier
from mnist_tune.storage.guarded import GuardedStorage
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.store import open_study
from tests.support.made_studies.cells import complete_cell
from tests.support.specs import TWO_CELLS
from tests.support.studies import new_study
from tests.support.waiting import wait_until
from tests.support.webhooks import Webhook, after_a_look, telling

pytestmark = pytest.mark.usefixtures("soon")


@pytest.fixture
def study(tmp_path: Path) -> OpenStudy:
    return new_study(tmp_path)


@pytest.fixture
def many_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pauses, the usual number would be over in a moment."""
    monkeypatch.setattr(notifier, "MOST_TRIES", 10**6)


@pytest.mark.usefixtures("many_tries")
def test_a_receiver_that_fails_is_told_again_and_logged_once(study: OpenStudy, hook: Webhook) -> None:
    after_a_look(study.storage, hook.url)
    hook.status = 500
    with telling(study.storage, hook.url) as lines:
        complete_cell(study, 90.0)
        wait_until(lambda: len(hook.posted) >= 3)
        hook.status = 204
        wait_until(lambda: len(lines) == 2)
    assert len({posted.event["id"] for posted in hook.posted}) == 1
    shown = hook.url.removesuffix("/hook")
    assert lines == [
        f"notify {shown}: it answers with status 500; it is tried again",
        f"notify {shown}: is told again",
    ]


def test_after_enough_tries_an_event_is_given_up(study: OpenStudy, hook: Webhook) -> None:
    after_a_look(study.storage, hook.url)
    hook.status = 503
    with telling(study.storage, hook.url) as lines:
        complete_cell(study, 90.0)
        wait_until(lambda: len(hook.posted) == notifier.MOST_TRIES)
        complete_cell(study, 95.0)
        wait_until(lambda: len(hook.posted) > notifier.MOST_TRIES)
        hook.status = 204
        wait_until(lambda: len(lines) == 3)
    assert len({posted.event["id"] for posted in hook.posted}) == 2
    assert "is never told: study 'tiny': learning_rate=" in lines[1]
    assert lines[2].endswith("is told again; 1 event given up")


def test_each_event_has_pauses_of_its_own(
    study: OpenStudy, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an event is told in vain first is told again soon, however long the one before took."""
    monkeypatch.setattr(notifier, "PAUSES", (0.05, 0.05, 600.0))
    monkeypatch.setattr(notifier, "MOST_TRIES", 3)
    after_a_look(study.storage, hook.url)
    hook.status = 503
    with telling(study.storage, hook.url):
        complete_cell(study, 90.0)
        hook.wait_for(3)
        complete_cell(study, 95.0)
        hook.wait_for(6)
    assert [posted.event["value"] for posted in hook.posted] == [90.0] * 3 + [95.0] * 3


@pytest.mark.usefixtures("many_tries")
def test_what_a_receiver_was_not_told_is_told_after_a_start(study: OpenStudy, hook: Webhook) -> None:
    after_a_look(study.storage, hook.url)
    hook.status = 500
    with telling(study.storage, hook.url):
        complete_cell(study, 90.0)
        wait_until(lambda: len(hook.posted) > 0)
    hook.status, before = 204, len(hook.posted)
    with telling(study.storage, hook.url):
        wait_until(lambda: len(hook.posted) > before)
    assert len({posted.event["id"] for posted in hook.posted}) == 1, "so that it can be known again"
    with telling(study.storage, hook.url):
        complete_cell(study, 95.0)
        assert hook.wait_for(before + 2)[-1].event["value"] == 95.0


def test_what_was_found_before_the_database_failed_is_told(
    study: OpenStudy, hook: Webhook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = new_study(tmp_path, TWO_CELLS.replace("tiny", "other"))
    after_a_look(study.storage, hook.url)
    n_failures = 0

    def fails_once(storage: GuardedStorage, name: str) -> OpenStudy:
        nonlocal n_failures
        if name == "other" and not n_failures:
            n_failures += 1
            raise OperationalError("SELECT", {}, Exception("the disk is away"))
        return open_study(storage, name)

    complete_cell(study, 90.0)
    complete_cell(other, 80.0)
    monkeypatch.setattr(notifier, "open_study", fails_once)
    with telling(study.storage, hook.url):
        told = hook.wait_for(2)
    assert n_failures == 1
    assert sorted(posted.event["study"] for posted in told) == ["other", "tiny"]
