"""The rows of workers in the live view."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from rich.cells import cell_len, chop_cells
from rich.text import Text

from mnist_tune.jobs.description import JobDescription
from mnist_tune.queue.worker_registry import WorkerRow, WorkerState
from mnist_tune.results.study_results import Results
from mnist_tune.results.trial_result import State, TrialResult
from mnist_tune.terminal.column_layout import Column, fit, folded
from mnist_tune.terminal.glyphs import Pen
from mnist_tune.text.speeds import speed
from mnist_tune.text.wording import duration, first_line, shortened

STATES = (WorkerState.WORKING, WorkerState.DRAINING, WorkerState.IDLE, WorkerState.SILENT)
"""The states of the workers that are shown, in this order; workers that left are not shown."""
LEAST = 2
"""The fewest rows: on a smaller screen only cells are shown."""
STYLES = {WorkerState.SILENT: "yellow", WorkerState.DRAINING: "yellow", WorkerState.IDLE: "dim"}


def worker_lines(results: Results, pen: Pen, width: int, height: int) -> list[Text]:
    """The present workers in at most `height` lines; those that do not fit are counted."""
    in_hand = {attempt.worker: attempt for attempt in results.latest if attempt.state == State.RUNNING}
    here = [
        _now(each, in_hand.get(each.name), results.job.rate)
        for each in results.workers
        if each.state in STATES
    ]
    here.sort(key=lambda worker: STATES.index(worker.state))
    layout = fit(_columns(pen, results.job), width)
    head = layout.head()
    free = height - len(head)
    if not here or free < LEAST:
        return []
    shown = here if len(here) <= free else here[: free - 1]
    lines = [*head, *map(layout.row, shown)]
    if len(shown) < len(here):
        hidden = Counter(worker.state for worker in here[len(shown) :])
        lines.append(folded(hidden, "worker", width))
    return lines


def _now(worker: WorkerRow, attempt: TrialResult | None, rate: str | None) -> WorkerRow:
    """The worker with the trial that names it, since its own row is as old as its last heartbeat."""
    if attempt is None:
        return worker
    last = attempt.history[-1][rate] if attempt.history and rate else worker.units_per_second
    state = WorkerState.WORKING if worker.state == WorkerState.IDLE else worker.state
    return replace(worker, trial=attempt.number, units_per_second=last, state=state)


def _columns(pen: Pen, job: JobDescription) -> list[Column[WorkerRow]]:
    def name(worker: WorkerRow, width: int) -> str:
        return pen.text(shortened(worker.name, width, pen.ellipsis))

    def device(worker: WorkerRow, width: int) -> str:
        text = first_line(worker.device)
        return pen.text(text if cell_len(text) <= width else chop_cells(text, width - 1)[0] + pen.ellipsis)

    def rate(worker: WorkerRow, _width: int) -> str:
        return speed(worker.units_per_second)

    return [
        Column("worker", 0, 16, name, most=32),
        Column("state", 1, 8, lambda worker, _: Text(worker.state, style=STYLES.get(worker.state, ""))),
        Column(
            "trial", 2, 6, lambda worker, _: "" if worker.trial is None else str(worker.trial), right=True
        ),
        *([Column(job.speed_unit, 3, 9, rate, right=True)] if job.unit else []),
        Column(
            "last beat", 5, 15, lambda worker, _: f"{duration(worker.seconds_since_beat)} ago", right=True
        ),
        Column("device", 4, 6, device, most=50),
    ]
