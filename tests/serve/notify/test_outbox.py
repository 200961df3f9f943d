"""What a head has told, and has yet to tell, is remembered in a file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from mnist_tune.errors import UserError
from mnist_tune.serve.notify import outbox
from mnist_tune.serve.notify.events import Event, Kind, Told
from mnist_tune.serve.notify.outbox import Outbox, outbox_file
from mnist_tune.study.open_study import OpenStudy
from tests.support.made_studies.cells import complete_cell
from tests.support.specs import TWO_CELLS
from tests.support.studies import new_study
from tests.support.waiting import wait_until
from tests.support.webhooks import Webhook, after_a_look, telling

pytestmark = pytest.mark.usefixtures("soon")


@pytest.fixture
def study(tmp_path: Path) -> OpenStudy:
    return new_study(tmp_path)


def event_of(name: str, kind: Kind = Kind.HOLE) -> Event:
    return Event(id=name, event=kind, study="tiny", time=datetime.now(UTC), text=name)


def test_two_heads_of_a_storage_do_not_tell_both(study: OpenStudy, hook: Webhook) -> None:
    with (
        telling(study.storage, hook.url),
        pytest.raises(UserError, match="another head of this storage tells of its events"),
        telling(study.storage, hook.url),
    ):
        pass
    with telling(study.storage, hook.url):
        pass


def test_a_damaged_memory_is_refused_with_what_to_do(study: OpenStudy, hook: Webhook) -> None:
    outbox_file(study.storage.engine.url).write_text("{", encoding="utf-8")
    with (
        pytest.raises(UserError, match="is damaged; restore it, or delete it"),
        telling(study.storage, hook.url),
    ):
        pass


def test_the_events_that_wait_are_bounded_and_the_end_of_a_study_outlives_holes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "MOST_PENDING", 3)
    kept = Outbox(tmp_path / "file", ["somebody"], print)
    events = [event_of("end", Kind.FINISHED), event_of("best", Kind.NEW_BEST), *map(event_of, "abcd")]
    kept.put({"uid": (events, Told())})
    waiting = []
    while (pending := kept.next_for("somebody")) is not None:
        waiting.append(pending.event.id)
        kept.was_told("somebody", pending.event.id)
    assert waiting == ["end", "best", "d"]
    kept.close()


def test_a_full_disk_is_logged_once_and_events_are_told_all_the_same(
    study: OpenStudy, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    after_a_look(study.storage, hook.url)
    with telling(study.storage, hook.url) as lines:

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(outbox, "write_whole", full)
        complete_cell(study, 90.0)
        complete_cell(study, 95.0)
        wait_until(lambda: bool(hook.posted) and hook.posted[-1].event["value"] == 95.0)
        wait_until(lambda: bool(lines))
    assert len(lines) == 1
    assert (
        "cannot be written: No space left on device; after a start of the head, events are told" in lines[0]
    )


@pytest.mark.postgres
def test_the_memory_for_a_database_server_is_in_the_users_folder(
    tmp_path: Path, postgres: str, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    study = new_study(tmp_path, TWO_CELLS, postgres)
    file = outbox_file(study.storage.engine.url)
    after_a_look(study.storage, hook.url)
    with telling(study.storage, hook.url) as lines:
        complete_cell(study, 90.0)
        hook.wait_for(1)
    assert lines == []
    assert file.is_relative_to(tmp_path / "data")
    assert file.stat().st_mode & 0o077 == 0
