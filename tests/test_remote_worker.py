"""What an engine's process does with a worker, without an engine."""

from __future__ import annotations

import subprocess
import sys

from mnist_tune.errors import STOPPED
from mnist_tune.launch.remote_worker import Left, RemoteWorker

COUNTS_ITS_SIGNALS = """
import signal, time
heard = []
signal.signal(signal.SIGTERM, lambda *_: heard.append(1))
print("ready", flush=True)
end = time.monotonic() + 1.5
while time.monotonic() < end:
    time.sleep(0.01)
print(f"heard {len(heard)}")
"""


def test_a_stop_that_is_said_again_is_no_second_stop() -> None:
    process = subprocess.Popen([sys.executable, "-c", COUNTS_ITS_SIGNALS], stdout=subprocess.PIPE, text=True)
    worker = RemoteWorker()
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    worker._process = process
    for times in (1, 1, 1):
        worker.stop(times)
    assert process.stdout.readline() == "heard 1\n"
    assert process.wait() == 0


def test_a_worker_that_was_stopped_before_it_began_does_not_begin() -> None:
    worker = RemoteWorker()
    worker.stop(2)
    assert worker.run("tiny", [], "sqlite:///none.db") == Left(STOPPED, "stopped before it began")
