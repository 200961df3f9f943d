"""How wall-clock falls with more workers, and where the storage limits it: trials that only sleep.

    python -m tests.benchmarks.scaling [--json] [--workers N ...] [--seconds S] [--epochs E] [--cells N]
        [--repeats R] [--postgres | --storage postgresql://USER@HOST/DATABASE]

Each run is a fresh database and N real workers of this package, forked from one process that has loaded
everything, which start together and finish a grid: claims, leases, heartbeats, records, and each trial's
log as an artifact. An epoch ends every S / E seconds, whatever the worker does meanwhile, as in the training
process of a real trial, and is stored like a real one. Checkpoints, weights, and the start of the training
process are left out, so that many workers need few cores.

By default there are 8 cells for each worker, so that the last ones do not leave most workers idle, and the
ideal wall-clock is the same for any number of workers: ceil(cells / workers) * S. Wall-clock counts from the
common start to the end of the last trial; the overhead of a trial from the end of the one before, less S. All
workers are in step at first and store in bursts, which is worse than with real trials.

The limits are measured with trials of 1 and of 20 epochs that take no time: how many trials per second begin
and end, and how many epochs per second are stored. SQLite, and with --postgres or --storage
PostgreSQL, take turns; a figure is the median over the repeats, with the lowest and the highest.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from statistics import median

import optuna
from sqlalchemy.engine import URL

from mnist_tune.jobs.loading import built_in_description
from mnist_tune.worker.child import LOOK_SECONDS
from mnist_tune.worker.loop import RunTrial
from mnist_tune.worker.trial import Trial
from tests.benchmarks.databases import asked_server, fresh_database
from tests.benchmarks.grids import balanced_grid
from tests.benchmarks.queue_figures import EXACTNESS, Outcome, outcome, spreads
from tests.benchmarks.queue_sides import ACCURACY, Ours
from tests.benchmarks.spread import Spread, spread
from tests.benchmarks.worker_pool import Log, run_together
from tests.support.made_studies.epochs import made_epoch

WORKERS = (1, 2, 8, 32, 64)
CELLS_EACH = 8
LIMIT_WORKERS, LIMIT_CELLS = 8, 200
FEW_EPOCHS, MANY_EPOCHS = 1, 20

Servers = Mapping[str, URL | None]
"""The databases that take turns, by name; None is an SQLite file."""


@dataclass(frozen=True)
class Turn:
    """One run. Times are in seconds; overhead and CPU time are in milliseconds per trial."""

    wall_clock: float
    efficiency: float
    """The ideal wall-clock over the measured one."""
    overhead_first: float
    """The median over the workers' first trials, before which they register and build their statements."""
    overhead_p50: float
    """The median over all other trials."""
    overhead_worst: float
    cpu_per_trial: float


FIGURES = (*(field.name for field in fields(Turn)), *EXACTNESS)


@dataclass(frozen=True)
class Measurement:
    """The figures of so many workers on so many sleeping cells, by database."""

    workers: int
    cells: int
    ideal: float
    figures: dict[str, dict[str, Spread]]


@dataclass(frozen=True)
class Limit:
    """How much one database handles from workers that never wait."""

    trials_per_second: Spread
    """Trials of one epoch: two transactions each, a claim, and a completion with the epoch in it."""
    epochs_per_second: Spread
    """Epochs in trials of many epochs: about one transaction each; claims and completions count as time."""
    cpu_per_trial: Spread
    """CPU time of the worker in milliseconds, in trials of one epoch."""
    cpu_per_epoch: Spread
    """CPU time of the worker in milliseconds, in trials of many epochs."""


def sleeping(seconds: float, epochs: int) -> RunTrial:
    """An objective that waits for epochs to end, as the real one waits for its training process."""

    def run_trial(trial: Trial) -> float:
        begun = time.monotonic()
        for number in range(1, epochs + 1):
            trial.check()
            while (left := begun + seconds * number / epochs - time.monotonic()) > 0:
                time.sleep(min(left, LOOK_SECONDS))
                trial.check()
            metrics = made_epoch(number, ACCURACY)
            trial.epoch_done(metrics, last=number == epochs)
            trial.say(metrics.line(epochs, built_in_description()))
        return ACCURACY

    return run_trial


def run(
    server: URL | None, workers: int, cells: int, seconds: float, epochs: int
) -> tuple[list[Log], Outcome]:
    """Run one study to its end; returns the workers' logs and the figures."""
    side, spec = Ours(sleeping(seconds, epochs)), balanced_grid(cells)
    with fresh_database(server) as (url, folder):
        side.create(url, spec, cells)
        logs = run_together(workers, lambda: side.prepare(url, spec, folder))
        return logs, outcome(logs, url, spec)


def measure(
    servers: Servers,
    workers: int,
    cells: int,
    seconds: float,
    epochs: int,
    repeats: int,
    log: Callable[[str], None] = lambda _: None,
) -> Measurement:
    """Measure the databases in turns with so many workers."""
    ideal = math.ceil(cells / workers) * seconds
    turns: dict[str, list[Turn]] = {name: [] for name in servers}
    outcomes: dict[str, list[Outcome]] = {name: [] for name in servers}
    for _ in range(repeats):
        for name, server in servers.items():
            logs, exact = run(server, workers, cells, seconds, epochs)
            turns[name].append(turn(logs, seconds, ideal))
            outcomes[name].append(exact)
            wall_clock = turns[name][-1].wall_clock
            log(f"{workers} workers, {cells} cells, {name}: {wall_clock:.2f} s, ideal {ideal:g} s")
    figures = {name: spreads(turns[name]) | spreads(outcomes[name]) for name in servers}
    chosen = {name: {figure: of[figure] for figure in FIGURES} for name, of in figures.items()}
    return Measurement(workers, cells, ideal, chosen)


def turn(logs: Sequence[Log], seconds: float, ideal: float) -> Turn:
    """The figures of one run."""
    ends = [[log.started, *(call.ended for call in log.tells)] for log in logs]
    overheads = [[1000 * (end - before - seconds) for before, end in pairwise(times)] for times in ends]
    others = [overhead for of_worker in overheads for overhead in of_worker[1:]]
    wall_clock = max(times[-1] for times in ends) - min(times[0] for times in ends)
    return Turn(
        wall_clock=wall_clock,
        efficiency=ideal / wall_clock,
        overhead_first=median(of_worker[0] for of_worker in overheads if of_worker),
        overhead_p50=median(others) if others else math.nan,
        overhead_worst=max(others, default=math.nan),
        cpu_per_trial=_cpu_per_trial(logs),
    )


def limits(
    servers: Servers,
    repeats: int,
    *,
    workers: int = LIMIT_WORKERS,
    cells: int = LIMIT_CELLS,
    log: Callable[[str], None] = lambda _: None,
) -> dict[str, Limit]:
    """Measure how much each database handles when no trial sleeps."""
    found: dict[str, list[tuple[float, ...]]] = {name: [] for name in servers}
    for _ in range(repeats):
        for name, server in servers.items():
            logs, few = run(server, workers, cells, 0, FEW_EPOCHS)
            trials, cpu_per_trial = few.trials_per_second, _cpu_per_trial(logs)
            logs, many = run(server, workers, cells, 0, MANY_EPOCHS)
            epochs, cpu_per_epoch = many.trials_per_second * MANY_EPOCHS, _cpu_per_trial(logs) / MANY_EPOCHS
            found[name].append((trials, epochs, cpu_per_trial, cpu_per_epoch))
            log(f"{name}: {trials:.4g} trials/s, {epochs:.4g} epochs/s")
    return {name: Limit(*map(spread, zip(*figures, strict=True))) for name, figures in found.items()}


def _cpu_per_trial(logs: Sequence[Log]) -> float:
    return 1000 * sum(log.cpu_seconds for log in logs) / sum(len(log.tells) for log in logs)


def table(measurements: Sequence[Measurement], found: Mapping[str, Limit]) -> str:
    """A block for each number of workers and one for the limits; a column for each database."""
    lines = []
    for one in measurements:
        head = f"{one.workers} workers, {one.cells:,} cells, ideal {one.ideal:g} s"
        lines += ["", f"{head:<40}" + "".join(f"{name:>28}" for name in one.figures)]
        for figure in FIGURES:
            cells = "".join(f"{figures[figure]!s:>28}" for figures in one.figures.values())
            lines.append(f"{figure.replace('_', ' '):<40}{cells}")
    lines += ["", f"{'trials that take no time':<40}" + "".join(f"{name:>28}" for name in found)]
    for field in fields(Limit):
        cells = "".join(f"{getattr(limit, field.name)!s:>28}" for limit in found.values())
        lines.append(f"{field.name.replace('_', ' '):<40}{cells}")
    return "\n".join(lines[1:])


def main() -> None:
    """Measure every number of workers, then the limits; print a table or JSON."""
    parser = argparse.ArgumentParser(description="How wall-clock falls with workers.")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--workers", type=int, nargs="+", default=WORKERS, metavar="N")
    parser.add_argument("--seconds", type=float, default=2.0, metavar="S", help="that a trial takes")
    parser.add_argument("--epochs", type=int, default=5, metavar="E", help="of a trial")
    parser.add_argument("--cells", type=int, metavar="N", help=f"default: {CELLS_EACH} for each worker")
    parser.add_argument("--repeats", type=int, default=3, metavar="R", help="turns of each database")
    server = parser.add_mutually_exclusive_group()
    server.add_argument("--postgres", action="store_true", help="also on a PostgreSQL server of its own")
    server.add_argument("--storage", metavar="URL", help="also on this PostgreSQL server")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def log(line: str) -> None:
        print(line, file=sys.stderr)

    with asked_server(options.postgres, options.storage) as url:
        servers: Servers = {"SQLite": None} | ({} if url is None else {"PostgreSQL": url})
        sleep = options.seconds, options.epochs, options.repeats
        measurements = [
            measure(servers, workers, options.cells or CELLS_EACH * workers, *sleep, log)
            for workers in options.workers
        ]
        found = limits(servers, options.repeats, log=log)
    if options.json:
        answer = {
            "cores": os.cpu_count(),
            "seconds": options.seconds,
            "epochs": options.epochs,
            "measurements": [asdict(one) for one in measurements],
            "limits": {name: asdict(limit) for name, limit in found.items()},
        }
        print(json.dumps(answer, indent=2))
    else:
        print(table(measurements, found))


if __name__ == "__main__":
    main()
