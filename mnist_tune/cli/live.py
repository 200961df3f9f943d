"""Follows a pool of workers to its end: a table that updates on a terminal, a line per event elsewhere."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live

from mnist_tune.progress import events, overview
from mnist_tune.results import Results, read_results

if TYPE_CHECKING:
    from mnist_tune.pool import Pool
    from mnist_tune.stop import StopRequest
    from mnist_tune.studies import OpenStudy

POLL_SECONDS = 0.5


def follow(study: OpenStudy, pool: Pool, devices: list[str], stop: StopRequest, console: Console) -> Results:
    """Start the workers, show their progress until the last has left, and return the final results.

    A stop request is passed on to the workers once.
    """
    results = read_results(study)
    if results.is_finished:
        return results
    pool.start(devices)
    live = Live(overview(results), console=console, refresh_per_second=4, transient=True)
    passed_on = False
    with live if console.is_terminal else contextlib.nullcontext():
        while pool.is_alive():
            stop.wait(POLL_SECONDS)
            if stop.requested and not passed_on:
                console.print("stopping: the workers give their trials back (nothing finished is lost)")
                pool.stop()
                passed_on = True
            results = _show(study, results, live, console)
    return _show(study, results, live, console)


def _show(study: OpenStudy, before: Results, live: Live, console: Console) -> Results:
    now = read_results(study)
    if console.is_terminal:
        live.update(overview(now))
    else:
        for line in events(before, now):
            console.print(line)
    return now
