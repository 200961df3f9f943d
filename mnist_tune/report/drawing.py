"""Draws a report in a process of its own, so that it takes no time from those whom a head answers meanwhile.

The process is told the results as people are told them elsewhere: as JSON. It opens no storage.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

from mnist_tune.errors import MnistTuneError
from mnist_tune.processes.environment import without_settings
from mnist_tune.processes.fork_server import own_imports
from mnist_tune.results.study_results import Results
from mnist_tune.service.wire import call

NICE = 10
"""By how much it yields to others on a machine that has few cores."""
LONGEST = 600.0
"""In seconds; then it is killed."""


def drawn(results: Results, storage: str) -> bytes:
    """The report of a study as one HTML file; `storage` is what it says of where the study lies.

    Raises:
        MnistTuneError: the process has failed, or has taken too long.
    """
    told = json.dumps(storage).encode() + b"\n" + call("results").answer.dump_json(results)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "mnist_tune.report.drawing"],
            input=told,
            capture_output=True,
            timeout=LONGEST,
            env=without_settings() | own_imports(),
            check=False,
        )
    except OSError as error:
        raise MnistTuneError(f"the report cannot be drawn: {error.strerror or error}") from None
    except subprocess.TimeoutExpired:
        raise MnistTuneError(f"the report cannot be drawn within {LONGEST:g} s") from None
    if done.returncode != 0:
        last = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise MnistTuneError(f"the report cannot be drawn: {last or f'it ended with {done.returncode}'}")
    return done.stdout


def main() -> None:
    """Draw what standard input tells of, onto standard output."""
    from datetime import UTC, datetime

    from mnist_tune.report.contents import contents
    from mnist_tune.report.page import page

    os.nice(NICE)
    storage, _, results = sys.stdin.buffer.read().partition(b"\n")
    told = call("results").answer.validate_json(results)
    made = contents(told, [], json.loads(storage), datetime.now(UTC))
    sys.stdout.buffer.write(page(made).encode())


if __name__ == "__main__":
    main()
