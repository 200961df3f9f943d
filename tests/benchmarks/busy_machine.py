"""What other work on the machine costs our workers and the plain script: with and without busy processes.

    python -m tests.benchmarks.busy_machine [--json] [--neighbours N] [--train-size N] [--repeats R]

The same cells are trained alone, beside N processes that only compute, and beside N of them at nice 19. A
figure is the speed beside them over the speed alone, turn by turn: median, lowest and highest. With as many
neighbours as cores a fair share is one half. `plain` is one process with a thread for each core, `ours` is
one process with one thread for each core, and in `ours-pinned` each of these keeps to its core.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from mnist_tune.hardware.cores import usable_cores
from mnist_tune.hardware.devices import resolve_runtime
from mnist_tune.jobs.mnist.dataset import prepare
from tests.benchmarks.job_task import Cell, Task
from tests.benchmarks.spread import Spread, spread
from tests.benchmarks.training_sides import Scripts, Side

SPIN = "import os, sys\nos.nice(int(sys.argv[1]))\nwhile True: sum(range(10_000))"
POLITE = 19


@dataclass(frozen=True)
class Share:
    """images/s alone, and the part of them that is left beside the neighbours."""

    alone: Spread
    beside: Spread
    beside_polite: Spread


@contextmanager
def neighbours(count: int, nice: int) -> Iterator[None]:
    """Keep so many processes busy within the block."""
    processes = [subprocess.Popen([sys.executable, "-c", SPIN, str(nice)]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def measure(
    sides: Mapping[str, Side],
    task: Task,
    count: int,
    repeats: int,
    log: Callable[[str], None] = lambda _: None,
) -> dict[str, Share]:
    """Measure the sides in turns, alone and with each kind of neighbours."""
    rates: dict[str, list[tuple[float, ...]]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, side in sides.items():
            turn = []
            for several, nice in ((0, 0), (count, 0), (count, POLITE)):
                with neighbours(several, nice):
                    turn.append(side.run(task).images_per_second(task.train_size, task.epochs))
            log(f"{name}: " + ", ".join(f"{rate:,.0f}" for rate in turn))
            rates[name].append(tuple(turn))
    return {
        name: Share(
            spread([alone for alone, _, _ in turns]),
            spread([beside / alone for alone, beside, _ in turns]),
            spread([polite / alone for alone, _, polite in turns]),
        )
        for name, turns in rates.items()
    }


def main() -> None:
    """Measure; print a table or JSON."""
    parser = argparse.ArgumentParser(description="What other work on the machine costs.")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--neighbours", type=int, default=usable_cores(), metavar="N", help="busy processes")
    parser.add_argument("--train-size", type=int, default=10_000, metavar="N", help="training images")
    parser.add_argument("--repeats", type=int, default=3, metavar="R", help="turns of each side")
    options = parser.parse_args()
    cores = usable_cores()
    sides: dict[str, Side] = {
        "plain": Scripts("plain_script", 1),
        "ours": Scripts("our_script", cores, threads=1),
        "ours-pinned": Scripts("our_script", cores, threads=1, pinned=True),
    }
    runtime = resolve_runtime("cpu")
    with tempfile.TemporaryDirectory() as folder:
        data = prepare(Path(os.environ.get("MNIST_TUNE_DATA", folder)))
        cells = tuple(Cell(0.001, 64, "Adam", seed) for seed in range(cores))
        sizes = 1, options.train_size, options.train_size // 5
        task = Task(cells, *sizes, runtime.device, runtime.precision, data)
        shares = measure(
            sides,
            task,
            options.neighbours,
            options.repeats,
            lambda line: print(line, file=sys.stderr),
        )
    if options.json:
        print(json.dumps({name: asdict(share) for name, share in shares.items()}, indent=2))
        return
    columns = (
        "images/s alone",
        f"beside {options.neighbours}",
        f"beside {options.neighbours} at nice {POLITE}",
    )
    print(f"{'':<12}" + "".join(f"{column:>26}" for column in columns))
    for name, share in shares.items():
        print(f"{name:<12}" + "".join(f"{figure!s:>26}" for figure in vars(share).values()))


if __name__ == "__main__":
    main()
