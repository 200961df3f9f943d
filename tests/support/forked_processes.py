"""Runs functions in processes that are forked from one which has imported all they need."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import TypeVar

from mnist_tune.processes import fork_server

Argument = TypeVar("Argument")
Answer = TypeVar("Answer")

FORK = get_context("fork")
"""For children of processes that were started here: those have no threads, so that forking is safe."""
_SERVER = get_context("forkserver")
_SERVER.set_forkserver_preload(
    [
        *("tests.system.interrupted_processes", "mnist_tune.serve.server", "mnist_tune.serve.remote_study"),
        "tests.support.warmed_up",
    ]
)


def run_each(
    function: Callable[[Argument], Answer], arguments: Iterable[Argument], at_once: int
) -> list[Answer]:
    """Call the function with each argument, each in a process of its own; answers are in the same order."""
    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(partial(_run, function), arguments))


def _run(function: Callable[[Argument], Answer], argument: Argument) -> Answer:
    receiving, sending = _SERVER.Pipe(duplex=False)
    process = _SERVER.Process(target=_answer, args=(sending, function, argument))
    process.start()
    sending.close()
    try:
        answer: Answer = receiving.recv()
    except EOFError:
        process.join()
        raise AssertionError(f"{function.__name__}({argument}) ended with {process.exitcode}") from None
    process.join()
    return answer


def _answer(sending: Connection, function: Callable[[Argument], Answer], argument: Argument) -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, fork_server.HELD_BACK)
    sending.send(function(argument))
