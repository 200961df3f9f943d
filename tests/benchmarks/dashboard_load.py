"""What an open dashboard costs the workers: trials per second with and without it, on SQLite.

    python -m tests.benchmarks.dashboard_load [--json] [--workers N] [--repeats R] [--pages N]
        [--sleeping CELLS SECONDS] [--restless CELLS]

Each run has a fresh SQLite file and N real workers of this package, which start together and finish a grid.
The sides take turns: nobody looks; our dashboard; the stock one, `optuna-dashboard`. A dashboard is a process
of its own, and so is a client that asks as open pages do: for the trials from the first unfinished one on,
and for the importances. Each page asks every second; a real one waits 2 seconds at least, and 10 in a
large study.

Trials that sleep show whether the dashboard holds locks. Trials of one epoch that take no time also show how
much it takes of the cores, which the client uses too. A ratio compares trials per second with those of nobody
looking, turn by turn; a figure is the median over the repeats, with the lowest and the highest.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import optuna

from tests.benchmarks.dashboard_pages import NOBODY, OURS, STOCK, Asked, looked_at
from tests.benchmarks.databases import fresh_database
from tests.benchmarks.grids import balanced_grid
from tests.benchmarks.queue_figures import outcome
from tests.benchmarks.queue_sides import Ours
from tests.benchmarks.scaling import sleeping
from tests.benchmarks.spread import Spread, spread
from tests.benchmarks.worker_pool import run_together

SIDES = (NOBODY, OURS, STOCK)
SETTLE_SECONDS = 6.0
"""Seconds between the making of a study and the start of its workers, on every side.

A rest of 5 seconds, such as the start of a dashboard is, makes trials that take no time 1.27 times as fast by
itself (1.04 to 2.56, 5 turns): without this pause the dashboards would look better than they are.
"""
EPOCHS = 5


@dataclass(frozen=True)
class Kind:
    """Trials of one kind: how many, how long each, and with how many epochs."""

    cells: int
    seconds: float
    epochs: int


@dataclass(frozen=True)
class Turn:
    """One run of one side."""

    trials_per_second: float
    lock_errors: float
    asked: Asked


@dataclass(frozen=True)
class Measurement:
    """The figures for one kind of trials, by side."""

    kind: Kind
    workers: int
    trials_per_second: dict[str, Spread]
    ratio: dict[str, Spread]
    """Trials per second over those with nobody looking."""
    lock_errors: dict[str, int]
    """The sum over all turns."""
    answers: dict[str, int]
    failures: dict[str, int]
    slowest_answer: dict[str, float]


def measure(
    kind: Kind,
    workers: int,
    repeats: int,
    pages: int,
    sides: Sequence[str] = SIDES,
    settle: float = SETTLE_SECONDS,
    log: Callable[[str], None] = lambda _: None,
) -> Measurement:
    """Measure the sides in turns."""
    turns: dict[str, list[Turn]] = {side: [] for side in sides}
    for repeat in range(repeats):
        for place in range(len(sides)):
            side = sides[(repeat + place) % len(sides)]  # none is always first
            turns[side].append(run(side, kind, workers, pages, settle))
            log(f"{kind}, {side}: {turns[side][-1].trials_per_second:.4g} trials/s")
    rates = {side: [turn.trials_per_second for turn in turns[side]] for side in sides}
    return Measurement(
        kind,
        workers,
        {side: spread(rates[side]) for side in sides},
        {
            side: spread([one / alone for one, alone in zip(rates[side], rates[NOBODY], strict=True)])
            for side in sides
            if side != NOBODY
        },
        {side: sum(int(turn.lock_errors) for turn in turns[side]) for side in sides},
        {side: sum(turn.asked.answers for turn in turns[side]) for side in sides},
        {side: sum(turn.asked.failures for turn in turns[side]) for side in sides},
        {side: max(turn.asked.slowest for turn in turns[side]) for side in sides},
    )


def run(side: str, kind: Kind, workers: int, pages: int, settle: float = SETTLE_SECONDS) -> Turn:
    """Have one study finished while so many pages look at it."""
    spec, work = balanced_grid(kind.cells), Ours(sleeping(kind.seconds, kind.epochs))
    with fresh_database() as (url, folder):
        work.create(url, spec, kind.cells)
        made = time.monotonic()
        with looked_at(side, folder, pages) as seen:
            time.sleep(max(0.0, made + settle - time.monotonic()))
            logs = run_together(workers, lambda: work.prepare(url, spec, folder))
        figures = outcome(logs, url, spec)
    assert figures.lost_cells == figures.dead_workers == 0, figures
    return Turn(figures.trials_per_second, figures.lock_errors, seen[0] if seen else Asked())


def table(measurements: Sequence[Measurement]) -> str:
    """A block for each kind of trials: a line for each figure, a column for each side."""
    lines = []
    for one in measurements:
        kind = one.kind
        head = f"{one.workers} workers, {kind.cells} trials of {kind.seconds:g} s"
        rows: dict[str, dict[str, Any]] = {
            "trials per second": one.trials_per_second,
            "ratio to nobody looking": one.ratio,
            "lock errors": one.lock_errors,
            "answers": one.answers,
            "failed answers": one.failures,
            "slowest answer, s": {side: f"{slowest:.2f}" for side, slowest in one.slowest_answer.items()},
        }
        sides = list(one.trials_per_second)
        lines += ["", f"{head:<36}" + "".join(f"{side:>26}" for side in sides)]
        lines += [
            f"{name:<36}" + "".join(f"{row.get(side, '')!s:>26}" for side in sides)
            for name, row in rows.items()
        ]
    return "\n".join(lines[1:])


def main() -> None:
    """Measure both kinds of trials; print a table or JSON."""
    parser = argparse.ArgumentParser(description="What an open dashboard costs the workers.")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--workers", type=int, default=8, metavar="N")
    parser.add_argument("--repeats", type=int, default=5, metavar="R", help="turns of each side")
    parser.add_argument("--pages", type=int, default=2, metavar="N", help="open on the dashboard")
    parser.add_argument("--sleeping", nargs=2, default=("64", "1"), metavar=("CELLS", "SECONDS"))
    parser.add_argument("--restless", type=int, default=1000, metavar="CELLS", help="that take no time")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    cells, seconds = options.sleeping
    kinds = Kind(int(cells), float(seconds), EPOCHS), Kind(options.restless, 0.0, 1)
    measurements = [
        measure(
            kind,
            options.workers,
            options.repeats,
            options.pages,
            log=lambda line: print(line, file=sys.stderr),
        )
        for kind in kinds
    ]
    if options.json:
        answer = {"cores": os.cpu_count(), "measurements": [asdict(one) for one in measurements]}
        print(json.dumps(answer, indent=2))
    else:
        print(table(measurements))


if __name__ == "__main__":
    main()
