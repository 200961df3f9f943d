"""A command whose machine loses its network while it waits for a head: it notices, and goes on afterwards."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mnist_tune.serve.address import HeadAddress
from mnist_tune.serve.client import Head
from mnist_tune.serve.cut_links import CUT_AFTER
from tests.support.machines import Machine, machines, may_make_machines
from tests.support.specs import TWO_CELLS
from tests.support.studies import new_study

pytestmark = pytest.mark.slow
MNIST_TUNE = str(Path(sys.executable).with_name("mnist-tune"))
NOTICED = 60
"""In seconds: a bound for busy machines, far below the ten minutes that an answer may take."""


@pytest.fixture
def two() -> Iterator[list[Machine]]:
    if not may_make_machines():
        pytest.skip("only root may make network namespaces")
    with machines(2) as made:
        yield made


def started(machine: Machine, folder: Path, *words: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        machine.command(MNIST_TUNE, *words),
        cwd=folder,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def line_with(process: subprocess.Popen[str], form: str, seconds: float = 300.0) -> str:
    """The next line that it prints and that has this form. It is killed if there is none in time."""
    watchdog = threading.Timer(seconds, process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None
        seen = []
        for line in process.stdout:
            seen.append(line)
            if re.search(form, line):
                return line
        raise AssertionError(f"{form}: not among {seen}")
    finally:
        watchdog.cancel()


@pytest.mark.parametrize("waits", [False, True], ids=["between two questions", "while it waits"])
def test_a_cut_is_noticed_while_a_study_is_watched_and_the_watching_goes_on(
    two: list[Machine], tmp_path: Path, waits: bool
) -> None:
    here, there = two
    new_study(tmp_path, TWO_CELLS)
    url = f"sqlite:///{tmp_path}/studies.db"
    head = started(here, tmp_path, "serve", "--host", "0.0.0.0", "--no-tls", MNIST_TUNE_STORAGE=url)
    try:
        tokens = re.search(r"--tokens (\S+)", line_with(head, "token add NAME"))
        assert tokens
        made = subprocess.run(
            [MNIST_TUNE, "token", "add", "me", "--role", "viewer", "--tokens", tokens[1]],
            capture_output=True,
            text=True,
            check=True,
        )
        address = {
            "MNIST_TUNE_STORAGE": f"http://{here.address}:8080",
            "MNIST_TUNE_TOKEN": made.stdout.strip(),
        }
        watching = started(there, tmp_path, "status", "tiny", "--watch", **address)
        line_with(watching, "^tiny: ")
        if waits:
            os.kill(head.pid, 19)  # it is stopped, so that the question is not answered
            time.sleep(2)
        there.cut_off()
        line_with(watching, "the storage does not answer; asking again", NOTICED)
        if waits:
            os.kill(head.pid, 18)
        there.connect()
        line_with(watching, "the storage answers again", NOTICED)
        assert watching.poll() is None
    finally:
        for process in (watching, head):
            process.kill()
            process.communicate()


def test_an_answer_for_which_a_head_thinks_for_longer_arrives() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer_late() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1 << 16)
                time.sleep(CUT_AFTER + 5)
                content = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]"
                connection.sendall(content)

        thinking = threading.Thread(target=answer_late)
        thinking.start()
        head = Head(HeadAddress(f"http://127.0.0.1:{server.getsockname()[1]}"), answers_within=600)
        assert head.post("/people/study_names", b"{}").json() == []
        thinking.join()
