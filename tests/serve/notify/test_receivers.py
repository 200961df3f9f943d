"""Whoever is told of events may fail, hang or be away: it delays nobody, and sees no secret of others."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from pathlib import Path

import pytest

from mnist_tune.errors import UserError
from mnist_tune.serve.notify import receiver
from mnist_tune.serve.notify.outbox import outbox_file
from mnist_tune.serve.notify.receivers import named_receivers
from mnist_tune.serve.notify.web_receiver import signature
from mnist_tune.study.open_study import OpenStudy
from tests.support.made_studies.cells import complete_cell
from tests.support.studies import new_study
from tests.support.waiting import wait_until
from tests.support.webhooks import SECRET, Webhook, after_a_look, lines_of, script, telling, webhook

pytestmark = pytest.mark.usefixtures("soon")


@pytest.fixture
def study(tmp_path: Path) -> OpenStudy:
    return new_study(tmp_path)


@pytest.mark.slow
def test_a_receiver_that_hangs_delays_no_other_and_no_end(study: OpenStudy, hook: Webhook) -> None:
    with webhook() as other:
        after_a_look(study.storage, hook.url, other.url)
        hook.hangs = True
        began = threading.active_count()
        with telling(study.storage, hook.url, other.url) as lines:
            complete_cell(study, 90.0)
            other.wait_for(1)
            wait_until(lambda: len(hook.posted) >= 2)
            complete_cell(study, 95.0)
            other.wait_for(2)
        assert (
            lines == [f"notify {hook.url.removesuffix('/hook')}: no answer in time; it is tried again"]
            or "no answer within" in lines[0]
        )
        assert threading.active_count() <= began + len(hook.posted), "none of ours is left"


def test_a_redirection_is_not_followed(study: OpenStudy, hook: Webhook) -> None:
    after_a_look(study.storage, hook.url)
    hook.status = 302
    with telling(study.storage, hook.url) as lines:
        complete_cell(study, 90.0)
        wait_until(lambda: len(hook.posted) >= 2)
    assert {posted.path for posted in hook.posted} == {"/hook"}
    assert "it answers with a redirection (302), which is not followed" in lines[0]


def test_a_receiver_that_is_not_there_is_named_without_its_secrets(study: OpenStudy, hook: Webhook) -> None:
    secrets = "http://user:hunter2@127.0.0.1:1/services/T0/B0?key=hunter3#hunter4"
    after_a_look(study.storage, secrets)
    with telling(study.storage, secrets) as lines:
        complete_cell(study, 90.0)
        wait_until(lambda: bool(lines))
    assert lines[0].startswith("notify http://127.0.0.1:1: cannot be reached: ")
    content = outbox_file(study.storage.engine.url).read_text("utf-8")
    for secret in ("hunter", "services"):
        assert secret not in lines[0] + content


def test_credentials_of_the_address_are_sent_to_it(study: OpenStudy, hook: Webhook) -> None:
    url = hook.url.replace("http://", "http://user:hunter2@")
    after_a_look(study.storage, url)
    with telling(study.storage, url):
        complete_cell(study, 90.0)
        (told,) = hook.wait_for(1)
    assert told.headers["Authorization"].startswith("Basic ")


def test_what_is_posted_is_signed(study: OpenStudy, hook: Webhook) -> None:
    after_a_look(study.storage, hook.url)
    before = int(time.time())
    with telling(study.storage, hook.url, secret=SECRET):
        complete_cell(study, 90.0)
        (told,) = hook.wait_for(1)
    parts = dict(part.split("=") for part in told.headers["Mnist-Tune-Signature"].split(","))
    assert before <= int(parts["t"]) <= time.time()
    expected = hmac.new(SECRET.encode(), f"{parts['t']}.".encode() + told.body, hashlib.sha256).hexdigest()
    assert parts["v1"] == expected
    assert signature(SECRET, int(parts["t"]) + 1, told.body) != told.headers["Mnist-Tune-Signature"]
    assert told.headers["Mnist-Tune-Event-Id"] == told.event["id"]
    assert SECRET not in str(told)
    with telling(study.storage, hook.url):
        complete_cell(study, 95.0)
        assert "Mnist-Tune-Signature" not in hook.wait_for(2)[1].headers


def test_a_command_gets_the_event_on_its_standard_input(
    study: OpenStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MNIST_TUNE_NOTIFY_SECRET", SECRET)
    monkeypatch.setenv("MNIST_TUNE_TOKEN", "mnt_secret")
    told, environment, arguments = (tmp_path / name for name in ("told", "environment", "arguments"))
    text = f'env > "{environment}"; echo "$0 $*" > "{arguments}"; cat >> "{told}"'
    named = f"{script(tmp_path, text)} 'an argument' --of=its"
    after_a_look(study.storage, named)
    with telling(study.storage, named) as lines:
        complete_cell(study, 90.0)
        event = json.loads(lines_of(told, 1)[0])
        assert (event["event"], event["value"]) == ("new_best", 90.0)
        known = dict(line.partition("=")[::2] for line in environment.read_text("utf-8").splitlines())
        assert known["MNIST_TUNE_EVENT"] == "new_best"
        assert known["MNIST_TUNE_STUDY"] == "tiny"
        assert known["MNIST_TUNE_EVENT_ID"] == event["id"]
        assert known["MNIST_TUNE_TEXT"] == event["text"]
        assert not {"MNIST_TUNE_NOTIFY_SECRET", "MNIST_TUNE_TOKEN"} & known.keys()
        assert arguments.read_text("utf-8").strip().endswith("told.sh an argument --of=its")
    assert lines == []


def test_a_command_that_fails_says_why_and_is_run_again(study: OpenStudy, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    named = script(
        tmp_path, f'test -e "{mark}" && exit 0; echo broken >&2; printf "no\\033[31m way" >&2; exit 3'
    )
    after_a_look(study.storage, named)
    with telling(study.storage, named) as lines:
        complete_cell(study, 90.0)
        wait_until(lambda: len(lines) == 1)
        assert lines[0].endswith(r"told.sh': exited with 3: no\x1b[31m way; it is tried again")
        mark.touch()
        wait_until(lambda: len(lines) == 2)


def test_a_command_that_hangs_is_ended_with_all_that_it_has_started(
    study: OpenStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver, "SECONDS", 0.5)
    pids = tmp_path / "pids"
    named = script(tmp_path, f'sleep 600 & echo $! >> "{pids}"; wait')
    after_a_look(study.storage, named)
    with telling(study.storage, named) as lines:
        complete_cell(study, 90.0)
        wait_until(lambda: bool(lines))
        assert "was not done within 0.5 s, and was ended" in lines[0]
        lines_of(pids, 2)
    for pid in lines_of(pids, 2):
        wait_until(lambda pid=pid: not is_alive(pid))  # type: ignore[misc]


def is_alive(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_command_may_read_nothing_and_leave_something_behind(study: OpenStudy, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    named = script(tmp_path, f'(sleep 3; echo done >> "{mark}") & exit 0')
    after_a_look(study.storage, named)
    with telling(study.storage, named) as lines:
        complete_cell(study, 90.0)
        assert lines_of(mark, 1) == ["done"]
    assert lines == []


@pytest.mark.parametrize(
    ("named", "complaint"),
    [
        ("", "names nobody"),
        ("   ", "names nobody"),
        ("echo 'a", "no closing quotation"),
        ("no-such-command-anywhere --x", "there is no command 'no-such-command-anywhere' here"),
        ("hooks.example.org/services/hunter2", "there is no command 'hooks.example.org/...' here"),
        ("https:/hooks.example.org/hunter2", "write its whole path, or https://HOST/PATH"),
        ("./no-such/command", "there is no command './no-such/command' here"),
        ("ftp://user:hunter2@host/x", "to http:// and https:// only"),
        ("file:///etc/passwd", "to http:// and https:// only"),
        ("http://", "http:// and https:// only"),
        ("https://user:hunter2@host:99999/x", "no URL"),
        ("http://[::1/hunter2", "no URL"),
    ],
)
def test_who_cannot_be_told_is_refused_without_a_secret(named: str, complaint: str) -> None:
    with pytest.raises(UserError) as refused:
        named_receivers([named])
    assert complaint in str(refused.value)
    assert str(refused.value).startswith("--notify: ")
    assert "hunter2" not in str(refused.value)


def test_the_environment_names_receivers_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "MNIST_TUNE_NOTIFY", "https://a.example/x\n\n  https://b.example/y\nhttps://a.example/x\n"
    )
    assert [each.shown for each in named_receivers(None)] == ["https://a.example", "https://b.example"]
    assert [each.shown for each in named_receivers(["http://[::1]:9/z"])] == ["http://[::1]:9"]
    monkeypatch.delenv("MNIST_TUNE_NOTIFY")
    assert named_receivers(None) == []
