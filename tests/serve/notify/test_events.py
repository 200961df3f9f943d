"""People are told of what happens in the studies of a head: each event once, with what it is about."""

from __future__ import annotations

import json
import threading
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from mnist_tune.contract.claim import Standing
from mnist_tune.failures import Failure
from mnist_tune.results.reading import read_results
from mnist_tune.serve.notify import notifier
from mnist_tune.serve.notify.outbox import outbox_file
from mnist_tune.service.direct import DirectStudies
from mnist_tune.study.open_study import OpenStudy
from tests.support.command_jobs import DECAY, DECAY_SPEC
from tests.support.head_pages import HOSTILE, damaged_spec, renamed
from tests.support.made_studies.cells import complete_all_cells, complete_cell, fail_all_cells, fail_cell
from tests.support.made_studies.epochs import made_epochs
from tests.support.own_jobs import own_job
from tests.support.specs import TINY_SPEC, TWO_CELLS
from tests.support.studies import folders, new_study, opened_again, take
from tests.support.webhooks import Webhook, after_a_look, lines_of, script, telling

pytestmark = pytest.mark.usefixtures("soon")
BROKEN = Failure("non_finite", "the loss is nan\nTraceback: postgresql://me:hunter2@host/db")

NO_RETRIES = f"{TWO_CELLS}\n[retry]\nnon_finite = 0\n"


@pytest.fixture
def study(tmp_path: Path) -> OpenStudy:
    return new_study(tmp_path)


def test_each_event_is_told_once_with_what_it_is_about(study: OpenStudy, hook: Webhook) -> None:
    after_a_look(study.storage, hook.url)
    with telling(study.storage, hook.url) as lines:
        first = complete_cell(study, 90.0)
        (told,) = hook.wait_for(1)
        assert told.event["event"] == "new_best"
        assert told.event["configuration"] == first
        assert (told.event["value"], told.event["metric"], told.event["unit"]) == (
            90.0,
            "validation_accuracy",
            "%",
        )
        complete_cell(study, 80.0)
        better = complete_cell(study, 95.0)
        told = hook.wait_for(2)[1]
        assert (told.event["event"], told.event["configuration"]) == ("new_best", better)
        assert told.event["text"].startswith("study 'tiny': learning_rate=")
        assert told.event["text"].endswith("with 95.00 % leads now")
        fail_cell(study, Failure("preempted", "its cell goes back"))
        fail_all_cells(study, "the loss is nan")
        *holes, finished = (posted.event for posted in hook.wait_for(8)[2:])
        assert [(hole["event"], hole["reason"]) for hole in holes] == [("hole", "the loss is nan")] * 5
        assert sorted(hole["cell"] for hole in holes) == [3, 4, 5, 6, 7]
        assert (finished["event"], finished["configuration"], finished["value"]) == ("finished", better, 95.0)
        assert finished["cells"] == {"total": 8, "complete": 3, "pruned": 0, "failed": 5}
    moments = [datetime.fromisoformat(posted.event["time"]) for posted in hook.posted]
    assert all(moment.utcoffset() == timedelta(0) for moment in moments)
    assert moments == sorted(moments)
    assert len({posted.event["id"] for posted in hook.posted}) == len(hook.posted)
    assert len({frozenset(posted.event) for posted in hook.posted}) == 1, "all have the same fields"
    assert lines == []


def test_the_best_is_the_one_that_the_ranking_says(tmp_path: Path, hook: Webhook) -> None:
    study = new_study(tmp_path, TWO_CELLS.replace("[search.grid]", "[search.grid]\nseed = [0, 1]"))
    after_a_look(study.storage, hook.url)
    values = {(0.001, 0): 90.0, (0.001, 1): 92.0, (0.0001, 0): 99.0, (0.0001, 1): 80.0}
    leaders: list[tuple[object, ...]] = []
    with telling(study.storage, hook.url):
        queue = study.queue()
        while claim := queue.claim("worker"):
            value = values[claim.parameters["learning_rate"], claim.parameters["seed"]]
            queue.complete(claim, value, epochs=made_epochs([value]))
            best = read_results(study).best
            assert best is not None
            if not leaders or leaders[-1][0] != best.parameters:
                leaders.append((best.parameters, best.mean, best.n, best.is_provisional))
            hook.wait_for(len(leaders) + (queue.standing() is Standing.FINISHED))
    told = [posted.event for posted in hook.posted]
    shown = ("configuration", "value", "seeds", "provisional")
    assert [tuple(each[key] for key in shown) for each in told[:-1]] == leaders
    assert (told[-1]["event"], told[-1]["configuration"]) == ("finished", {"learning_rate": 0.001})


def test_where_less_is_better_the_least_leads(tmp_path: Path, hook: Webhook) -> None:
    study = new_study(tmp_path, own_job(tmp_path, DECAY, DECAY_SPEC, "decay").read_text("utf-8"))
    after_a_look(study.storage, hook.url)
    with telling(study.storage, hook.url):
        for value, count in ((0.5, 1), (0.25, 3)):
            study.queue().complete(take(study.queue()), value)
            hook.wait_for(count)
    told = [posted.event for posted in hook.posted]
    assert [(each["event"], each["value"]) for each in told] == [
        ("new_best", 0.5),
        ("new_best", 0.25),
        ("finished", 0.25),
    ]
    assert {(each["metric"], each["unit"]) for each in told} == {("error", None)}


def test_what_happened_while_no_head_ran_is_told_and_nothing_twice(study: OpenStudy, hook: Webhook) -> None:
    after_a_look(study.storage, hook.url)
    complete_cell(study, 90.0)
    with telling(study.storage, hook.url):
        hook.wait_for(1)
    complete_all_cells_left(study)
    with telling(study.storage, hook.url):
        told = [posted.event["event"] for posted in hook.wait_for(3)]
        assert told == ["new_best", "new_best", "finished"]
    with telling(study.storage, hook.url):
        other = new_study(outbox_file(study.storage.engine.url).parent, TWO_CELLS.replace("tiny", "other"))
        complete_cell(other, 50.0)
        assert hook.wait_for(4)[-1].event["study"] == "other"


def complete_all_cells_left(study: OpenStudy) -> None:
    queue, value = study.queue(), 91.0
    while claim := queue.claim("worker"):
        queue.complete(claim, value, epochs=made_epochs([value]))
        value -= 0.5


def test_what_was_over_before_the_first_start_is_no_news(tmp_path: Path, hook: Webhook) -> None:
    old, going_on = new_study(tmp_path), new_study(tmp_path, TINY_SPEC.replace("tiny", "going-on"))
    complete_all_cells(old)
    complete_cell(going_on, 90.0)
    after_a_look(old.storage, hook.url)
    with telling(old.storage, hook.url):
        complete_cell(going_on, 95.0)
        hook.wait_for(1)
    assert hook.events == [("new_best", "going-on")]


def test_a_finished_study_that_goes_on_is_finished_again(
    study: OpenStudy, hook: Webhook, tmp_path: Path
) -> None:
    after_a_look(study.storage, hook.url)
    with telling(study.storage, hook.url):
        fail_all_cells(study, "nan")
        hook.wait_for(9)
        DirectStudies(opened_again(study).storage, lambda: folders(tmp_path)).retry("tiny", 0)
        complete_cell(study, 90.0)
        assert [posted.event["event"] for posted in hook.wait_for(11)[9:]] == ["new_best", "finished"]
    ids = {posted.event["id"] for posted in hook.posted}
    assert len(ids) == 11


@pytest.mark.parametrize(
    "name", ["two\nlines", HOSTILE, "$(touch /tmp/x) `id` ; 'a' \"b\"", "\x1b[2J\u202e", "ä 漢"]
)
def test_names_are_data(hook: Webhook, tmp_path: Path, name: str) -> None:
    study = new_study(tmp_path, NO_RETRIES)
    file = tmp_path / "told"
    named = script(tmp_path, f'printf "%s\\n" "$MNIST_TUNE_STUDY" >> "{file}"; cat >> "{file}"')
    after_a_look(study.storage, hook.url, named)
    hostile = renamed(study, name)
    with telling(study.storage, hook.url, named) as lines:
        fail_cell(hostile, BROKEN)
        complete_cell(hostile, 90.0)
        assert hook.events_when(3) == [("hole", name), ("new_best", name), ("finished", name)]
        assert all("\n" not in posted.event["text"] for posted in hook.posted)
        for shown, event in zip(*[iter(lines_of(file, 6))] * 2, strict=True):
            assert json.loads(event)["study"] == name
            assert shown.isprintable()
    assert lines == []


def test_a_reason_holds_no_password_and_nothing_that_json_cannot_say(tmp_path: Path, hook: Webhook) -> None:
    study = new_study(tmp_path, NO_RETRIES)
    after_a_look(study.storage, hook.url)
    with telling(study.storage, hook.url) as lines:
        fail_cell(study, Failure("non_finite", f"{BROKEN.reason} \ud800 {'x' * 5000}"))
        (told,) = hook.wait_for(1)
    assert "hunter2" not in told.body.decode()
    assert len(told.event["reason"]) <= 1000
    assert told.event["text"].endswith(": the loss is nan")
    assert lines == []


def test_a_damaged_study_hides_no_other_and_is_named_once(tmp_path: Path, hook: Webhook) -> None:
    bad, good = new_study(tmp_path), new_study(tmp_path, TINY_SPEC.replace("tiny", "good"))
    after_a_look(bad.storage, hook.url)
    damaged_spec(bad)
    with telling(bad.storage, hook.url) as lines:
        complete_cell(good, 90.0)
        hook.wait_for(1)
        complete_cell(good, 95.0)
        hook.wait_for(2)
    assert len(lines) == 1
    assert lines[0].startswith("notify: study 'tiny' is not seen: the stored spec of study 'tiny' is damaged")


def test_a_deleted_study_is_forgotten_and_another_of_its_name_is_told_of(
    study: OpenStudy, hook: Webhook, tmp_path: Path
) -> None:
    after_a_look(study.storage, hook.url)
    with telling(study.storage, hook.url):
        complete_cell(study, 90.0)
        hook.wait_for(1)
        DirectStudies(opened_again(study).storage, lambda: folders(tmp_path)).delete("tiny")
        again = new_study(tmp_path)
        complete_cell(again, 50.0)
        assert hook.wait_for(2)[1].event["value"] == 50.0
    content = json.loads(outbox_file(study.storage.engine.url).read_text("utf-8"))
    assert list(content["studies"]) == [again.uid]


def test_looking_reads_a_study_only_when_trials_have_ended(
    study: OpenStudy, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    after_a_look(study.storage, hook.url)
    opened: list[str] = []
    looked = threading.Semaphore(0)

    def open_study(*given: object) -> OpenStudy:
        opened.append("tiny")
        return opened_again(study)

    look = notifier._Watch.look

    def watched(watch: notifier._Watch) -> object:
        found = look(watch)
        looked.release()
        return found

    monkeypatch.setattr(notifier, "open_study", open_study)
    monkeypatch.setattr(notifier._Watch, "look", watched)
    with telling(study.storage, hook.url):
        for _ in range(5):
            assert looked.acquire(timeout=60)
        claim = take(study.queue())
        for epoch in range(5):
            study.queue().record(claim, epochs=made_epochs([50.0] * (epoch + 1)))
            assert looked.acquire(timeout=60)
        assert opened == ["tiny"]
        study.queue().complete(claim, 50.0)
        hook.wait_for(1)
    assert opened == ["tiny"] * 2
