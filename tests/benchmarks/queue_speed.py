"""How fast, and how exactly, many workers finish a grid: ours against stock Optuna.

    python -m tests.benchmarks.queue_speed [--json] [--workers N ...] [--cells N ...] [--left N]
        [--repeats R] [--sides SIDE ...] [--postgres | --storage postgresql://USER@HOST/DATABASE]

Each run is a fresh database (an SQLite file, or a database made on the server and dropped afterwards) and N
real processes, forked from one that has loaded everything, which open the study, wait for each other, and
start together. They finish a grid with an objective that takes no time: three parameters, one epoch
reported. The sides take turns, so that other work of the machine affects all of them; a figure is the
median over the repeats, with the lowest and the highest.

- ours: the unchanged worker of this package, with claims, leases, records, and each trial's log as an
  artifact;
- stock: `Study.optimize` with `GridSampler` on `RDBStorage`, as in Optuna's documentation, until the
  sampler stops it; `stock-patient` with our busy timeout of SQLite instead of the 5 seconds of Python's
  driver;
- head: the same worker behind `mnist-tune serve`, and grpc: `Study.optimize` behind Optuna's own
  `GrpcStorageProxy`, each server in a process of its own on this machine;
- stock-enqueued: cells from `enqueue_trial`, until as many trials are complete; with our busy timeout.

A rate counts all completed trials, surplus ones included, up to the last. A claim is `Queue.claim` for ours
and `Study.ask`, without parameters yet, for stock. A tell is `Queue.complete`, with the epoch in it, for ours
and `Study.tell`, after the epoch was reported, for stock. With `--left N` all but the last N cells are
complete at the start, which shows the cost of a study's size without running it all.

On a machine whose cores the workers and a server share, a rate says little about the server: `worker cpu` and
`server cpu` are the milliseconds of CPU time that a trial has cost each of them.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sqlite3
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import optuna
from sqlalchemy.engine import URL

from tests.benchmarks.cpu import cpu_seconds
from tests.benchmarks.databases import asked_server, fresh_database
from tests.benchmarks.grids import balanced_grid
from tests.benchmarks.head_sides import OurHead, Proxy, served
from tests.benchmarks.queue_figures import FIGURES, Outcome, outcome, spreads
from tests.benchmarks.queue_sides import Ours, Side, Stock, StockEnqueued
from tests.benchmarks.spread import Spread, spread
from tests.benchmarks.worker_pool import run_together

SIDES: dict[str, Side] = {
    "ours": Ours(),
    "stock": Stock(),
    "stock-patient": Stock(patient=True),
    "stock-enqueued": StockEnqueued(patient=True),
    "head": OurHead(),
    "grpc": Proxy(),
}


@dataclass(frozen=True)
class Measurement:
    """The figures of so many workers on a study of so many cells, by side."""

    workers: int
    cells: int
    left: int
    figures: dict[str, dict[str, Spread]]
    times_as_fast: dict[str, Spread]
    """Completed trials per second of the first side over those of each other side, turn by turn."""


def measure(
    workers: int,
    cells: int,
    repeats: int,
    sides: Sequence[str],
    *,
    left: int | None = None,
    server: URL | None = None,
    log: Callable[[str], None] = lambda _: None,
) -> Measurement:
    """Measure the sides in turns."""
    left = min(left or cells, cells)
    outcomes: dict[str, list[Outcome]] = {side: [] for side in sides}
    for _ in range(repeats):
        for side in sides:
            outcomes[side].append(run(SIDES[side], workers, cells, left, server))
            rate = outcomes[side][-1].trials_per_second
            log(f"{workers} workers, {left:,} of {cells:,} cells, {side}: {rate:.4g} trials/s")
    rates = {side: [one.trials_per_second for one in outcomes[side]] for side in sides}
    first, *others = sides
    ratios = {
        side: spread([ours / other for ours, other in zip(rates[first], rates[side], strict=True)])
        for side in others
    }
    figures = {side: spreads(outcomes[side]) for side in sides}
    return Measurement(workers, cells, left, figures, ratios)


def run(side: Side, workers: int, cells: int, left: int, server: URL | None = None) -> Outcome:
    """One turn of one side."""
    spec = balanced_grid(cells)
    with fresh_database(server) as (url, folder):
        side.create(url, spec, left)
        with served(side, url, folder) as reached:
            process = reached.process if isinstance(reached, OurHead | Proxy) else None
            before = used(process)
            logs = run_together(workers, lambda: reached.prepare(url, spec, folder))
            server_seconds = used(process) - before
        return outcome(logs, url, spec, server_seconds)


def used(process: int | None) -> float:
    """The CPU time of a server's process; nan without one."""
    return math.nan if process is None else cpu_seconds(process)


def table(measurements: Sequence[Measurement]) -> str:
    """A block for each measurement: a line for each figure, a column for each side."""
    lines = []
    for one in measurements:
        head = f"{one.workers} workers, {one.left:,} of {one.cells:,} cells"
        lines += ["", f"{head:<28}" + "".join(f"{side:>28}" for side in one.figures)]
        for name in FIGURES:
            cells = "".join(f"{figures[name]!s:>28}" for figures in one.figures.values())
            lines.append(f"{name.replace('_', ' '):<28}{cells}")
        ratios = "".join(f"{ratio!s:>28}" for ratio in one.times_as_fast.values())
        lines.append(f"{f'{next(iter(one.figures))}, times as fast':<28}{'':>28}{ratios}")
    return "\n".join(lines[1:])


def main() -> None:
    """Measure every number of workers on every size of study; print a table or JSON."""
    parser = argparse.ArgumentParser(description="The speed of the queue beside stock Optuna's.")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 8, 32, 64], metavar="N")
    parser.add_argument("--cells", type=int, nargs="+", default=[200], metavar="N")
    parser.add_argument("--left", type=int, metavar="N", help="cells to work off (default: all)")
    parser.add_argument("--repeats", type=int, default=3, metavar="R", help="turns of each side")
    parser.add_argument("--sides", nargs="+", choices=SIDES, metavar="SIDE", help=f"of {', '.join(SIDES)}")
    server = parser.add_mutually_exclusive_group()
    server.add_argument("--postgres", action="store_true", help="on a PostgreSQL server of its own")
    server.add_argument("--storage", metavar="URL", help="on this PostgreSQL server")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    with asked_server(options.postgres, options.storage) as url:
        sides = options.sides or (["ours", "stock", "stock-patient"] if url is None else ["ours", "stock"])
        measurements = [
            measure(
                workers,
                cells,
                options.repeats,
                sides,
                left=options.left,
                server=url,
                log=lambda line: print(line, file=sys.stderr),
            )
            for cells in options.cells
            for workers in options.workers
        ]
    if options.json:
        machine = {"cores": os.cpu_count(), "sqlite": sqlite3.sqlite_version, "optuna": optuna.__version__}
        print(json.dumps(machine | {"measurements": [asdict(one) for one in measurements]}, indent=2))
    else:
        print(table(measurements))


if __name__ == "__main__":
    main()
