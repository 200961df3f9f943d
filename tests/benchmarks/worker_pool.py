"""Many processes that are forked from one and started together, each with a log of its work."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import Any

import sqlalchemy
from sqlalchemy.engine import Engine, ExceptionContext

from mnist_tune.storage.retrying import failure_that_may_pass


@dataclass(frozen=True)
class Call:
    """A call of the storage about one cell, with its times on the clock that all processes share."""

    parameters: dict[str, Any]
    begun: float
    ended: float

    @classmethod
    def since(cls, begun: float, parameters: dict[str, Any]) -> Call:
        """A call that has just returned."""
        return cls(parameters, begun, time.monotonic())


@dataclass
class Log:
    """What one process did."""

    started: float = 0.0
    claims: list[Call] = field(default_factory=list)
    tells: list[Call] = field(default_factory=list)
    lock_errors: int = 0
    cpu_seconds: float = 0.0
    death: str | None = None
    """The exception that ended the process."""


Work = Callable[[Log], None]


def run_together(workers: int, prepare: Callable[[], Work]) -> list[Log]:
    """Have so many processes call `prepare` and then, all at the same moment, the work that it returned."""
    fork = multiprocessing.get_context("fork")
    start = fork.Barrier(workers)
    processes, receivers = [], []
    for _ in range(workers):
        receiver, sender = fork.Pipe(duplex=False)
        processes.append(fork.Process(target=_run, args=(prepare, start, sender)))
        receivers.append(receiver)
        processes[-1].start()
        sender.close()  # else the end of the process would not be the end of its pipe
    logs = [receiver.recv() for receiver in receivers]
    for process in processes:
        process.join()
    return logs


def _run(prepare: Callable[[], Work], start: Barrier, sender: Connection[Log, Any]) -> None:
    log = Log()
    try:
        work = prepare()
    except BaseException:
        start.abort()  # the others need not wait
        raise
    with _counting_lock_errors(log):
        start.wait()
        log.started, cpu = time.monotonic(), time.process_time()
        try:
            work(log)
        except Exception as error:
            log.death = f"{type(error).__name__}: {error}"
        log.cpu_seconds = time.process_time() - cpu
    sender.send(log)


@contextmanager
def _counting_lock_errors(log: Log) -> Iterator[None]:
    def count(context: ExceptionContext) -> None:
        if context.sqlalchemy_exception is not None and failure_that_may_pass(context.sqlalchemy_exception):
            log.lock_errors += 1  # errors that somebody catches count too

    sqlalchemy.event.listen(Engine, "handle_error", count)
    try:
        yield
    finally:
        sqlalchemy.event.remove(Engine, "handle_error", count)
