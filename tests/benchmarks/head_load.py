"""How one head on one SQLite file carries a thousand workers whose epochs take seconds.

    python -m tests.benchmarks.head_load [--workers N] [--epochs E] [--epoch-seconds S] [--cells N] [--json]

The workers are simulated in one process: each has a connection of its own, and asks what a real worker asks,
when it would ask it: claim, record after each epoch, renew and beat at each heartbeat, complete. The head is
the real command in a process of its own. Of each request the time until its answer is taken; in the end
`verify` checks the study.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mnist_tune.contract import wire
from mnist_tune.contract.claim import Claim
from mnist_tune.contract.study import WorkerFacts, new_token
from mnist_tune.results.reading import read_results
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.guarded import open_storage
from mnist_tune.study.store import create_study, open_study
from mnist_tune.verification import verify
from tests.benchmarks.cpu import cpu_seconds
from tests.benchmarks.grids import balanced_grid
from tests.support.made_studies.epochs import made_epoch
from tests.support.served import serving_process

ACCURACY = 50.0


@dataclass
class Load:
    """What came of a run. Times are in milliseconds."""

    workers: int
    requests: int = 0
    seconds: float = 0.0
    p50: float = 0.0
    p99: float = 0.0
    slowest: float = 0.0
    by_call: dict[str, float] = field(default_factory=dict)
    """The 99th percentile of each call."""
    refused: int = 0
    """Answers that were no success."""
    finished: int = 0
    cells: int = 0
    attempts: int = 0
    broken: list[str] = field(default_factory=list)
    """The promises that `verify` finds broken."""
    cpu: float = 0.0
    """The CPU time of the head for each request."""


class Connection:
    """One connection to a head, for one request after another."""

    def __init__(self, host: str, port: int, study: dict[str, str], times: dict[str, list[float]]) -> None:
        self._host, self._port = host, port
        self._study = study
        self._times = times
        self.refused = 0

    async def open(self) -> None:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)

    async def ask(self, name: str, **arguments: Any) -> Any:
        """The answer to a call of the contract."""
        call = wire.call(name)
        body = call.sent(self._study | arguments)
        head = (
            f"POST /api/v{wire.API}/calls/{name} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        begun = time.monotonic()
        self._writer.write(head.encode() + body)
        status, *lines = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        length = next(int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length"))
        answer = await self._reader.readexactly(length)
        self._times[name].append(time.monotonic() - begun)
        if status.split()[1] != "200":
            self.refused += 1
            raise AssertionError(f"{name}: {status}: {answer.decode()}")
        return call.answer.validate_json(answer)

    def close(self) -> None:
        """Close it."""
        self._writer.close()


async def work(connection: Connection, spec: Spec, epoch_seconds: float, number: int) -> None:
    """What a worker does, until there is no cell for it."""
    chance = random.Random(number)
    await asyncio.sleep(chance.uniform(0, epoch_seconds))  # people do not start a thousand at one moment
    me = WorkerFacts(new_token(), f"machine-{number // 8}:{number}", f"machine-{number // 8}", number, "cpu")
    await connection.open()
    lease = await connection.ask("register", worker=me)
    beaten = time.monotonic()
    while isinstance(claim := await connection.ask("claim", worker=me, token=new_token()), Claim):
        for epoch in range(1, spec.training.epochs + 1):
            until = time.monotonic() + epoch_seconds * chance.uniform(0.8, 1.2)
            while (left := until - time.monotonic()) > 0:
                to_beat = beaten + lease.heartbeat_interval - time.monotonic()
                await asyncio.sleep(max(0.0, min(left, to_beat)))
                if time.monotonic() >= beaten + lease.heartbeat_interval:
                    beaten = time.monotonic()
                    await connection.ask("renew", claim=claim)
                    await connection.ask("beat", worker=me, trial=claim.number, units_per_second=None)
            notes = {
                "epochs": {epoch: dict(made_epoch(epoch, ACCURACY).numbers)},
                "reports": {epoch: ACCURACY},
            }
            if epoch < spec.training.epochs:
                await connection.ask("record", claim=claim, notes=notes)
            else:
                await connection.ask("complete", claim=claim, value=ACCURACY, notes=notes)
    await connection.ask("leave", worker=me, reason="it is enough")
    connection.close()


async def load(url: str, study: dict[str, str], spec: Spec, workers: int, epoch_seconds: float) -> Load:
    """Have so many workers finish the study by the head at `url`."""
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    times: dict[str, list[float]] = defaultdict(list)
    connections = [Connection(parts.hostname, parts.port, study, times) for _ in range(workers)]
    begun = time.monotonic()
    jobs = [work(each, spec, epoch_seconds, number) for number, each in enumerate(connections)]
    failures = [each for each in await asyncio.gather(*jobs, return_exceptions=True) if each is not None]
    every = [taken for each in times.values() for taken in each]
    return Load(
        workers,
        len(every),
        time.monotonic() - begun,
        1000 * statistics.median(every),
        _p99(every),
        1000 * max(every),
        {name: _p99(each) for name, each in sorted(times.items())},
        sum(each.refused for each in connections),
        broken=[f"a worker: {failure!r}" for failure in failures],
    )


def measure(workers: int, cells: int, epochs: int, epoch_seconds: float) -> Load:
    """Measure one head in a process of its own on a fresh SQLite file."""
    grid = balanced_grid(cells)
    spec = grid.model_copy(update={"training": grid.training.model_copy(update={"epochs": epochs})})
    with tempfile.TemporaryDirectory() as name:
        folder, database = Path(name), storage_url(f"sqlite:///{name}/studies.db")
        storage = open_storage(database, create=True)
        create_study(storage, spec)
        opened = open_study(storage, spec.study.name)
        study = {"study": opened.name, "uid": opened.uid}
        with serving_process(folder, "--free-disk", "0", url=database.render_as_string()) as (url, process):
            before = cpu_seconds(process)
            made = asyncio.run(load(url, study, spec, workers, epoch_seconds))
            made.cpu = 1000 * (cpu_seconds(process) - before) / made.requests
        results = read_results(opened)
        checked = verify(storage, opened.name, folder / "artifacts", folder / "checkpoints")
    made.finished, made.cells = results.cells.complete, results.cells.total
    made.attempts = len(results.attempts)
    made.broken += [outcome.check for outcome in checked.broken]
    return made


def table(made: Load) -> str:
    """The figures, a line each."""
    calls = ", ".join(f"{name} {taken:.0f}" for name, taken in made.by_call.items())
    return "\n".join(
        (
            f"{made.workers:,} workers: {made.finished:,} of {made.cells:,} cells, {made.attempts:,} tries",
            f"{made.requests:,} requests in {made.seconds:.0f} s, {made.requests / made.seconds:.0f}/s, "
            f"{made.cpu:.2f} ms of the head's CPU time for each",
            f"answers: p50 {made.p50:.1f} ms, p99 {made.p99:.0f} ms, slowest {made.slowest:.0f} ms",
            f"p99 of each call, in ms: {calls}",
            f"refused: {made.refused}; promises broken: {', '.join(made.broken) or 'none'}",
        )
    )


def _p99(seconds: Sequence[float]) -> float:
    return 1000 * sorted(seconds)[int(0.99 * (len(seconds) - 1))]


def main() -> None:
    """Measure, and print a few lines or JSON."""
    parser = argparse.ArgumentParser(description="A head under the load of many workers.")
    parser.add_argument("--workers", type=int, default=1000, metavar="N")
    parser.add_argument("--cells", type=int, default=2000, metavar="N")
    parser.add_argument("--epochs", type=int, default=3, metavar="E")
    parser.add_argument("--epoch-seconds", type=float, default=5.0, metavar="S")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    made = measure(options.workers, options.cells, options.epochs, options.epoch_seconds)
    if options.json:
        print(json.dumps({"cores": os.cpu_count()} | asdict(made), indent=2))
    else:
        print(table(made))


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
