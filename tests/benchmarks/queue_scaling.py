"""What one claim and one completion cost in studies of 8 to 10,000 cells.

    python -m tests.benchmarks.queue_scaling [--json] [--repeats R] [--sizes N ...]

Both sides work on a real SQLite file, in one process, on a study of N cells of which all but a few have
ended, which is when a study is largest:

- ours: `Queue.claim` (a cell goes from WAITING to RUNNING, with its first heartbeat) and `Queue.complete`,
  each a transaction of its own that is on the disk when the call returns;
- stock: `study.ask()` and `study.tell()` of Optuna with its `GridSampler`, on a copy of that file without
  the cells that have not ended, which is how stock Optuna would have left it. Neither call includes the
  suggestion of parameters.

The study is made by `create_study`, whose time is shown too; its cells are then ended by one SQL statement.
Each side first does one cell that is not counted, so that neither is charged for opening the file, nor stock
for reading all trials into its cache for the first time. A figure is the median over the repeats, with the
lowest and the highest. Stock does at most 3 repeats from 10,000 cells on.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import optuna
from optuna.samplers import GridSampler

from mnist_tune.database import storage_url
from mnist_tune.documents import validate
from mnist_tune.spec import Spec
from mnist_tune.storage import open_storage
from mnist_tune.studies import create_study, open_study

SIZES = (8, 100, 1_000, 10_000)
# Cells that stay open beyond those that are measured: stock stops a study, and fails, at its last one.
SPARE = 3
OPERATIONS = ("claim", "complete", "stock_ask", "stock_tell")


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one operation over the repeats."""

    median: float
    lowest: float
    highest: float
    repeats: int


@dataclass(frozen=True)
class Measurement:
    """A study of this many cells: seconds to create it, and the cost of each operation in it."""

    cells: int
    create_study_seconds: float
    claim: Timing
    complete: Timing
    stock_ask: Timing
    stock_tell: Timing


def measure(cells: int, repeats: int) -> Measurement:
    """Measure ours and stock Optuna on the same cells."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    repeats = min(repeats, cells - SPARE - 1)
    with tempfile.TemporaryDirectory() as name:
        ours, stock = Path(name) / "ours.db", Path(name) / "stock.db"
        spec = balanced_grid(cells)
        seconds = _create(ours, spec)
        _end_all_but(ours, repeats + SPARE)
        shutil.copy(ours, stock)
        _remove_waiting(stock)
        claim, complete = _measure_ours(ours, spec, repeats)
        ask, tell = _measure_stock(stock, spec, min(repeats, 3) if cells >= 10_000 else repeats)
    return Measurement(cells, seconds, claim, complete, ask, tell)


def balanced_grid(cells: int) -> Spec:
    """A grid of three axes of about the same length."""
    batch_sizes = _largest_divisor(cells, round(cells ** (1 / 3)))
    seeds = _largest_divisor(cells // batch_sizes, math.isqrt(cells // batch_sizes))
    learning_rates = cells // batch_sizes // seeds
    grid = {
        "learning_rate": [1e-5 * (index + 1) for index in range(learning_rates)],
        "batch_size": [index + 1 for index in range(batch_sizes)],
        "seed": list(range(seeds)),
    }
    spec = validate(Spec, {"study": {"name": f"grid-{cells}"}, "search": {"grid": grid}}, "grid")
    assert spec.n_cells == cells
    return spec


def table(measurements: Sequence[Measurement]) -> str:
    """One line a size, in ms, and the ratio of the largest to the smallest."""
    lines = [f"{'cells':>8}{'create_study':>14}" + "".join(f"{name + ' ms':>26}" for name in OPERATIONS)]
    for one in measurements:
        timings = (getattr(one, name) for name in OPERATIONS)
        lines.append(
            f"{one.cells:>8,}{one.create_study_seconds:>12.2f} s"
            + "".join(f"{_shown(timing):>26}" for timing in timings)
        )
    smallest, largest = measurements[0], measurements[-1]
    ratios = (getattr(largest, name).median / getattr(smallest, name).median for name in OPERATIONS)
    label = f"ratio {largest.cells:,} : {smallest.cells:,}"
    lines.append(f"{label:<22}" + "".join(f"{f'{ratio:.1f}':>26}" for ratio in ratios))
    return "\n".join(lines)


def _shown(timing: Timing) -> str:
    return f"{timing.median:.1f} ({timing.lowest:.1f} to {timing.highest:.1f})"


def _create(path: Path, spec: Spec) -> float:
    storage = open_storage(storage_url(f"sqlite:///{path}"), create=True)
    start = time.perf_counter()
    create_study(storage, spec)
    seconds = time.perf_counter() - start
    storage.remove_session()
    storage.engine.dispose()
    return seconds


def _end_all_but(path: Path, left: int) -> None:
    with sqlite3.connect(path) as connection:
        (cells,) = connection.execute("SELECT count(*) FROM trials").fetchone()
        connection.execute(
            "UPDATE trials SET state = 'COMPLETE', datetime_start = '2026-01-01 00:00:00.000000', "
            "datetime_complete = '2026-01-01 00:01:00.000000' WHERE number < ?",
            (cells - left,),
        )
        connection.execute(
            "INSERT INTO trial_values (trial_id, objective, value, value_type) "
            "SELECT trial_id, 0, 50.0, 'FINITE' FROM trials WHERE state = 'COMPLETE'"
        )
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # so that the one file is all there is to copy
    connection.close()


def _remove_waiting(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        for child in ("trial_params", "trial_system_attributes"):
            connection.execute(
                f"DELETE FROM {child} WHERE trial_id IN (SELECT trial_id FROM trials WHERE state = 'WAITING')"
            )
        connection.execute("DELETE FROM trials WHERE state = 'WAITING'")
    connection.close()


def _measure_ours(path: Path, spec: Spec, repeats: int) -> tuple[Timing, Timing]:
    queue = open_study(open_storage(storage_url(f"sqlite:///{path}")), spec.study.name).queue()

    def claim() -> Callable[[], object]:
        claimed = queue.claim("benchmark")
        assert claimed is not None
        return lambda: queue.complete(claimed, 50.0)

    return _time_both(claim, repeats)


def _measure_stock(path: Path, spec: Spec, repeats: int) -> tuple[Timing, Timing]:
    assert spec.search.grid is not None
    sampler = GridSampler(spec.search.grid)
    study = optuna.load_study(study_name=spec.study.name, storage=f"sqlite:///{path}", sampler=sampler)

    def ask() -> Callable[[], object]:
        trial = study.ask()
        return lambda: study.tell(trial, 50.0)

    return _time_both(ask, repeats)


def _time_both(begin: Callable[[], Callable[[], object]], repeats: int) -> tuple[Timing, Timing]:
    """Time `begin` and the function it returns, which ends what was begun; the first round does not count."""
    begin()()
    begins, ends = [], []
    for _ in range(repeats):
        start = time.perf_counter()
        end = begin()
        begun = time.perf_counter()
        end()
        ended = time.perf_counter()
        begins.append(1000 * (begun - start))
        ends.append(1000 * (ended - begun))
    return _timing(begins), _timing(ends)


def _timing(milliseconds: Sequence[float]) -> Timing:
    return Timing(median(milliseconds), min(milliseconds), max(milliseconds), len(milliseconds))


def _largest_divisor(number: int, limit: int) -> int:
    return next(divisor for divisor in range(limit, 0, -1) if number % divisor == 0)


def main() -> None:
    """Measure every size and print the table or JSON."""
    parser = argparse.ArgumentParser(description="The cost of claims and completions by size of the study.")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--repeats", type=int, default=5, metavar="R", help="cells per size (default: 5)")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="N", help="numbers of cells")
    options = parser.parse_args()
    measurements = [measure(cells, options.repeats) for cells in sorted(options.sizes)]
    if options.json:
        print(json.dumps([asdict(one) for one in measurements], indent=2))
    else:
        print(table(measurements))


if __name__ == "__main__":
    main()
