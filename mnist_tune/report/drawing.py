"""Draws a report in a process of its own, so that it takes no time from those whom a head answers meanwhile.

The process is told the results as people are told them elsewhere: as JSON. It opens no storage.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import suppress

from mnist_tune.errors import MnistTuneError
from mnist_tune.processes.environment import without_settings
from mnist_tune.processes.fork_server import own_imports
from mnist_tune.results.study_results import Results
from mnist_tune.service.wire import call

NICE = 5
"""By how much it yields to others on a machine that has few cores: beside busy processes it has a third of
their share. With 10 it had a tenth, and a person waited half a minute for the report."""
LONGEST = 600.0
"""In seconds; then it is killed."""


def what_is_told(results: Results, storage: str) -> bytes:
    """What the process is told; `storage` is what the report says of where the study lies."""
    return json.dumps(storage).encode() + b"\n" + call("results").answer.dump_json(results)


async def drawn(told: bytes) -> bytes:
    """The report of a study as one HTML file. The process ends with this call, however it ends.

    Raises:
        MnistTuneError: the process has failed, or has taken too long.
    """
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mnist_tune.report.drawing"),
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            env=without_settings() | own_imports(),
        )
    except OSError as error:
        raise MnistTuneError(f"the report cannot be drawn: {error.strerror or error}") from None
    try:
        async with asyncio.timeout(LONGEST):
            report, errors = await process.communicate(told)
    except TimeoutError:
        raise MnistTuneError(f"the report cannot be drawn within {LONGEST:g} s") from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.communicate()  # to the ends of its pipes, which are then closed
    if process.returncode != 0:
        last = errors.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise MnistTuneError(f"the report cannot be drawn: {last or f'it ended with {process.returncode}'}")
    return report


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
