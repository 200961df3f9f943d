"""Follows a pool of workers to its end: a table that updates on a terminal, a line per event elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.live import Live

from mnist_tune.live_view import overview
from mnist_tune.patience import Patience, failure_that_may_pass
from mnist_tune.progress import events
from mnist_tune.results import Results, read_results

if TYPE_CHECKING:
    from mnist_tune.placement import Place
    from mnist_tune.pool import Pool
    from mnist_tune.stop import StopRequest
    from mnist_tune.studies import OpenStudy

POLL_SECONDS = 0.5
READING_SHARE = 0.1  # of the time, at most: watching a large study must not slow its workers
LONGEST_PAUSE = 10.0  # seconds: a single slow answer must not blind us, nor hold up Ctrl-C
ROWS_AROUND_THE_TABLE = 8
STOPPING = (
    "stopping: the workers finish their epochs; Ctrl-C again gives their trials back at once",
    "stopping: the workers give their trials back; Ctrl-C again kills them",
    "killing the workers; their trials come back after the grace period",
)
"""What a first, second and third request to stop do."""


def follow(
    study: OpenStudy,
    results: Results,
    pool: Pool,
    places: Sequence[Place],
    stop: StopRequest,
    console: Console,
) -> Results:
    """Start the workers, show their progress until the last has left, and return the final results.

    `results` are those of the study before they start.

    Requests to stop are passed on to the workers; the third kills them.
    """
    live = Live(_table(results, console), console=console, refresh_per_second=4, transient=True)
    pause = POLL_SECONDS
    passed_on = 0
    try:
        pool.start(places)
        with live if console.is_terminal else contextlib.nullcontext():
            while pool.is_alive():
                time.sleep(pause)
                if stop.times > passed_on:
                    passed_on = stop.times
                    console.print(STOPPING[min(passed_on, len(STOPPING)) - 1])
                    if passed_on < len(STOPPING):
                        pool.stop()
                    else:
                        pool.kill()
                began = time.monotonic()
                results = _show(_glance(study, results), results, live, console)
                took = time.monotonic() - began
                pause = min(max(POLL_SECONDS, took / READING_SHARE), LONGEST_PAUSE)
    finally:
        pool.stop()  # whatever went wrong here, no worker stays behind
    ask = Patience(study.spec.lease.patience, console.print, hurry=lambda: stop.requested)
    return _show(ask(lambda: read_results(study)), results, live, console)


def _table(results: Results, console: Console) -> RenderableType:
    return overview(results, max_rows=max(1, console.height - ROWS_AROUND_THE_TABLE))


def _glance(study: OpenStudy, before: Results) -> Results:
    """The study as it is now or, while the storage is away, as it was: the workers tell if that lasts."""
    try:
        return read_results(study)
    except Exception as error:
        if failure_that_may_pass(error) is None:
            raise
        return before


def _show(now: Results, before: Results, live: Live, console: Console) -> Results:
    if console.is_terminal:
        live.update(_table(now, console))
    else:
        for line in events(before, now):
            console.print(line)
    return now
