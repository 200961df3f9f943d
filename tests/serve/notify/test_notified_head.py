"""`serve --notify` as a process: over starts and kills, with the paper's receiver, and without a secret."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from mnist_tune.serve.notify.outbox import outbox_file
from mnist_tune.study.open_study import OpenStudy
from tests.papers.commands import NOTIFYING
from tests.papers.papers import HEAD_README, blocks
from tests.support.commands import BY_EXEC, finish, start_command
from tests.support.made_studies.cells import complete_cell
from tests.support.served import Served, served
from tests.support.specs import TWO_CELLS
from tests.support.studies import new_study
from tests.support.waiting import wait_until
from tests.support.webhooks import SECRET, script, webhook

pytestmark = pytest.mark.slow


@pytest.fixture
def study(tmp_path: Path) -> OpenStudy:
    return new_study(tmp_path, TWO_CELLS)


@contextmanager
def head_that_tells(study: OpenStudy, folder: Path, *named: str, **environment: str) -> Iterator[Served]:
    """A head that tells these receivers, and has looked at the studies."""
    options = [word for each in named for word in ("--notify", each)]
    with served(folder, *options, environment={**BY_EXEC, **environment}) as head:
        head.until("^tells of events: ")
        wait_until(outbox_file(study.storage.engine.url).is_file)
        yield head


def nothing_waits(study: OpenStudy) -> bool:
    """Whether the head has noted that its receivers know everything."""
    remembered = json.loads(outbox_file(study.storage.engine.url).read_text("utf-8"))
    return not any(remembered["pending"].values())


@contextmanager
def receiver_of_the_paper(folder: Path, secret: str) -> Iterator[tuple[str, Path]]:
    """The address of the receiver that the paper shows, and the file that it prints to."""
    (text,) = blocks(HEAD_README, "python")
    program, printed = folder / f"receiver-{secret}.py", folder / f"printed-{secret}"
    program.write_text(text, encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    known = {**os.environ, "MNIST_TUNE_NOTIFY_SECRET": secret, "PORT": str(port)}
    with printed.open("wb") as sink:
        process = subprocess.Popen([sys.executable, str(program)], env=known, stdout=sink, stderr=sink)
        try:
            wait_until(lambda: is_open(port))
            yield f"http://127.0.0.1:{port}/", printed
        finally:
            process.kill()
            process.wait()


def is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def test_the_papers_receiver_takes_what_has_its_secret_and_refuses_the_rest(
    study: OpenStudy, tmp_path: Path
) -> None:
    with (
        receiver_of_the_paper(tmp_path, SECRET) as (url, printed),
        receiver_of_the_paper(tmp_path, "another") as (other, nothing),
    ):
        (line,) = NOTIFYING
        _, _, option, example = shlex.split(line)
        assert option == "--notify"
        told = example.replace("https://chat.example.org/", url)
        with head_that_tells(study, tmp_path, told, other, MNIST_TUNE_NOTIFY_SECRET=SECRET) as head:
            complete_cell(study, 90.0)
            complete_cell(study, 95.0)
            wait_until(lambda: "finished: 2 of 2 cells" in printed.read_text("utf-8"))
            head.until(f"notify {other.removesuffix('/')}: it answers with status 403; it is tried again")
            ended = head.end()
        assert (ended.returncode, ended.stderr) == (0, "")
        assert "study 'tiny': finished" not in nothing.read_text("utf-8")


def test_no_secret_is_printed_or_shown_by_ps(study: OpenStudy, tmp_path: Path) -> None:
    with webhook() as hook:
        hook.status = 500
        url = hook.url.replace("http://", "http://user:hunter2@") + "/hunter3?key=hunter4"
        with head_that_tells(
            study, tmp_path, MNIST_TUNE_NOTIFY=f"{url}\ntrue", MNIST_TUNE_NOTIFY_SECRET=SECRET
        ) as head:
            complete_cell(study, 90.0)
            head.until("answers with status 500")
            arguments = Path(f"/proc/{head.process.pid}/cmdline").read_bytes().decode()
            ended = head.end()
        printed = "\n".join(head.lines) + ended.stdout + ended.stderr
        assert f"tells of events: http://127.0.0.1:{hook.server_port}, 'true'" in printed
        for secret in ("hunter", SECRET):
            assert secret not in printed + arguments
        assert SECRET not in str(hook.posted)


def test_what_happens_while_a_killed_head_is_away_is_told_once_by_the_next(
    study: OpenStudy, tmp_path: Path
) -> None:
    file = tmp_path / "told"
    named = script(tmp_path, f'echo "$MNIST_TUNE_EVENT" >> "{file}"')
    with head_that_tells(study, tmp_path, named) as head:
        complete_cell(study, 90.0)
        wait_until(lambda: file.is_file() and file.read_text("utf-8") == "new_best\n")
        wait_until(lambda: nothing_waits(study))
        head.end(signal.SIGKILL)
    complete_cell(study, 80.0)
    with head_that_tells(study, tmp_path, named) as head:
        wait_until(lambda: file.read_text("utf-8") == "new_best\nfinished\n")
        wait_until(lambda: nothing_waits(study))
        head.end(signal.SIGKILL)
    with head_that_tells(study, tmp_path, named) as head:
        new_study(tmp_path, TWO_CELLS.replace("tiny", "other"))
        complete_cell(new_study(tmp_path, TWO_CELLS.replace("tiny", "third")), 1.0)
        wait_until(lambda: file.read_text("utf-8") == "new_best\nfinished\nnew_best\n")
        assert head.end().returncode == 0


def test_a_head_beside_one_that_tells_of_events_makes_no_tokens(study: OpenStudy, tmp_path: Path) -> None:
    """They would be shown to nobody, and would shut out who works through the other head."""
    with head_that_tells(study, tmp_path, "true"):
        options = ["--port", "0", "--host", "0.0.0.0", "--notify", "true"]
        answer = finish(start_command("serve", *options, folder=tmp_path, url=str(study.storage.engine.url)))
        assert answer.returncode == 2
        assert "another head of this storage tells of its events" in answer.stderr
        assert list(tmp_path.glob("*.tokens")) == list(tmp_path.glob("*.pem")) == []


def test_a_receiver_that_hangs_delays_neither_answers_nor_the_end(study: OpenStudy, tmp_path: Path) -> None:
    with webhook() as hook:
        hook.hangs = True
        started = tmp_path / "started"
        named = script(tmp_path, f'echo >> "{started}"; sleep 600')
        with head_that_tells(study, tmp_path, hook.url, named) as head:
            complete_cell(study, 90.0)
            wait_until(lambda: bool(hook.posted) and started.is_file())
            with httpx.Client(base_url=f"http://127.0.0.1:{head.port}", timeout=10) as client:
                for _ in range(20):
                    assert client.post("/api/v1/people/study_names", json={}).json() == ["tiny"]
            ended = head.end()
        # A receiver that it had waited for would be in its log.
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
