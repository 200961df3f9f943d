"""The log of a trial: its worker's own or, if there is none, what the storage knows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import BinaryIO

from mnist_tune.contract.study import COULD_NOT_BEGIN
from mnist_tune.errors import FileUnavailable
from mnist_tune.results.eta import epochs_of, own_epochs
from mnist_tune.results.study_results import Results
from mnist_tune.results.trial_result import State, TrialResult
from mnist_tune.text.times import local_time, retold
from mnist_tune.text.visible import visible, visible_lines
from mnist_tune.text.wording import parameters_text
from mnist_tune.worker.attempt_record import LOG_FILE

BEGINNING = re.compile(r"\S+ \S+ begins with ")
"""The first line in a worker's log of a trial."""


def log_of(results: Results, attempt: TrialResult, kept_file: Callable[[str], BinaryIO]) -> Iterator[str]:
    """The log lines of one attempt, oldest first; none for a waiting one.

    `kept_file` opens a file by the id of its artifact, or raises FileUnavailable.

    The worker's log is stored at the attempt's end, as a file and, for other machines, as its last lines in
    the storage. For an attempt that runs or was lost, its epochs are given instead. A failure is given with
    its whole reason.
    """
    if attempt.state == State.WAITING:
        return
    yield f"{_time(attempt.started)} begins on {visible(attempt.worker or 'no worker of ours')}: " + (
        parameters_text(attempt.parameters)
    )
    if attempt.reused:
        source = f"trial {attempt.reused.get('trial')} of {attempt.reused.get('study')}"
        yield visible(f"taken over from {source}, where it ran")
    kept = _kept(attempt, kept_file)
    said = [] if kept is None else list(visible_lines(kept))
    if kept is not None:
        # The line above says the same, and names the worker too.
        yield from (retold(line) for line in said if not BEGINNING.match(line))
    else:
        yield from (epoch.line(epochs_of(results, attempt), results.job) for epoch in own_epochs(attempt))
        if attempt.state != State.RUNNING:
            reason = f": {visible(attempt.failure['class'])}" if attempt.failure else ""
            yield f"{_time(attempt.ended)} {attempt.state}{reason}"
    if attempt.failure:
        first, *rest = visible_lines(attempt.failure["reason"])
        ended = f" {visible(attempt.failure['class'])}: {first}"
        yield from rest if said and said[-1].endswith(ended) else (first, *rest)


def beginnings_that_failed(results: Results) -> Iterator[str]:
    """A line for each worker whose training process did not start; no trial tells of it."""
    for worker in results.workers:
        if worker.departure and worker.departure.startswith(COULD_NOT_BEGIN):
            yield f"worker {visible(worker.name)}: {_time(worker.started)} {visible(worker.departure)}"


def _kept(attempt: TrialResult, kept_file: Callable[[str], BinaryIO]) -> str | None:
    if LOG_FILE not in attempt.artifacts:
        return attempt.log
    try:
        with kept_file(attempt.artifacts[LOG_FILE]) as kept:
            return kept.read().decode(errors="replace")
    except (FileUnavailable, OSError):  # the file is on another machine, or its name is not ours
        return attempt.log


def _time(moment: datetime | None) -> str:
    return local_time(moment) if moment else "?"
