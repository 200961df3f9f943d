"""What an engine's process does with a worker, without an engine."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mnist_tune.errors import STOPPED
from mnist_tune.launch.remote_worker import Left, RemoteWorker
from mnist_tune.storage.named import ENVIRONMENT_VARIABLE

HEARS = """
import sys, time
from mnist_tune.worker.signals import StopRequest
stop = StopRequest()
stop.follow(sys.stdin.fileno())
for line in range(3):
    stop.wait(60)
    time.sleep(0.5)
    print(stop.times, flush=True)
"""


@pytest.mark.slow
def test_a_stop_that_is_said_again_is_no_second_stop() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HEARS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    worker = RemoteWorker()
    worker._process = process
    assert process.stdout is not None
    for times in (1, 1, 2):
        worker.stop(times)
        assert process.stdout.readline() == f"{times}\n"
    process.communicate()
    assert process.returncode == 0


@pytest.mark.slow
def test_two_stops_at_once_are_two() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HEARS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    worker = RemoteWorker()
    worker._process = process
    worker.stop(2)
    assert process.communicate()[0] == "2\n" * 3


def test_a_worker_that_was_stopped_before_it_began_does_not_begin() -> None:
    worker = RemoteWorker()
    worker.stop(2)
    assert worker.run("tiny", [], {ENVIRONMENT_VARIABLE: "sqlite:///none.db"}) == Left(
        STOPPED, "stopped before it began"
    )
