"""The sides of the benchmark of the queue that have a server before the database: our head, and Optuna's."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.samplers import GridSampler
from optuna.storages import GrpcStorageProxy
from sqlalchemy.engine import URL

from mnist_tune.contract.claim import Claim, Standing
from mnist_tune.contract.study import WorkerFacts
from mnist_tune.records.distributions import distributions
from mnist_tune.serve.address import HeadAddress
from mnist_tune.serve.client import Head
from mnist_tune.serve.remote_study import RemoteStudy
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage.notes import Notes
from mnist_tune.worker.loop import Worker
from mnist_tune.worker.signals import StopRequest
from tests.benchmarks.queue_sides import Ours, Side, Stock, optimize, run_trial
from tests.benchmarks.worker_pool import Call, Log, Work
from tests.support.served import serving_process

PROXY = "import sys; from optuna.storages import *; run_grpc_proxy_server(RDBStorage({url!r}), port={port})"


@contextmanager
def served(side: Side, url: URL, folder: Path) -> Iterator[Side]:
    """The side as workers reach it, with the server that it needs."""
    with side.serve(url, folder) if isinstance(side, OurHead | Proxy) else nullcontext(side) as reached:
        yield reached


@dataclass(frozen=True)
class OurHead(Ours):
    """The worker of this package behind a head, whose process is on the same machine."""

    address: HeadAddress | None = None
    process: int | None = None
    """The head's."""

    @contextmanager
    def serve(self, url: URL, folder: Path) -> Iterator[Side]:
        """A head over the database."""
        files = "--artifacts", str(folder / "artifacts"), "--checkpoints", str(folder / "checkpoints")
        text = url.render_as_string(hide_password=False)
        with serving_process(folder, "--free-disk", "0", *files, url=text) as (address, process):
            yield OurHead(address=HeadAddress.parse(address, "the line of serve"), process=process)

    def prepare(self, url: URL, spec: Spec, folder: Path) -> Work:  # noqa: ARG002 - the head knows them
        assert self.address is not None
        study = LoggedRemoteStudy(Head(self.address), spec.study.name, folder)

        def run(log: Log) -> None:
            study.log = log
            Worker(study, run_trial, StopRequest(), lambda _: None).work()

        return run


class LoggedRemoteStudy(RemoteStudy):
    """A study behind a head that logs its claims and completions."""

    log: Log

    def claim(self, worker: WorkerFacts, token: str) -> Claim | Standing:
        begun = time.monotonic()
        claim = super().claim(worker, token)
        if isinstance(claim, Claim):
            self.log.claims.append(Call.since(begun, claim.parameters))
        return claim

    def complete(self, claim: Claim, value: float, notes: Notes) -> None:
        begun = time.monotonic()
        super().complete(claim, value, notes)
        self.log.tells.append(Call.since(begun, claim.parameters))


@dataclass(frozen=True)
class Proxy(Stock):
    """`Study.optimize` on Optuna's `GrpcStorageProxy`, before `RDBStorage` in a process of its own."""

    port: int = 0
    process: int | None = None
    """The server's."""

    @contextmanager
    def serve(self, url: URL, folder: Path) -> Iterator[Side]:  # noqa: ARG002 - it keeps no files
        """Optuna's own server over the database."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        code = PROXY.format(url=url.render_as_string(hide_password=False), port=port)
        with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL) as server:
            try:
                wait_for(port)
                yield Proxy(port=port, process=server.pid)
            finally:
                server.terminate()

    def prepare(self, url: URL, spec: Spec, folder: Path) -> Work:  # noqa: ARG002 - the server knows them
        storage = GrpcStorageProxy(port=self.port)
        assert spec.search.grid is not None
        grid: Mapping[str, Any] = spec.search.grid
        study = optuna.load_study(study_name=spec.study.name, storage=storage, sampler=GridSampler(grid))
        return lambda log: optimize(study, distributions(spec), log, [])


def wait_for(port: int) -> None:
    """Wait until a server of this machine takes connections at the port."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.05)
