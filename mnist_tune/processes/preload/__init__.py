"""Imports in a fork server everything that its children need.

Only the fork server imports the modules in this package: it is told their names.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import re
import signal
import socket
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NoReturn

from mnist_tune.processes.fork_server import MODULES, STARTER
from mnist_tune.processes.title import set_title

LOOK_SECONDS = 0.2
SERVER = os.getpid()


def load(*modules: str) -> None:
    """Import the modules, then end the server if it is unsafe to fork: its clients then start by exec."""
    _leave_the_terminal()
    # Without it OpenBLAS starts threads when NumPy is imported. Children get their starter's environment.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    _socket_file()  # found now and cached, while its descriptor is open
    starter = int(os.environ.pop(STARTER, os.getppid()))
    atexit.register(lambda: _clear_up(with_folder=os.getppid() != starter))
    _end_with(starter)
    gc.disable()  # it would scan the modules that are being loaded again and again: a seventh of the time
    try:
        for module in modules:
            importlib.import_module(module)
        for module in filter(None, os.environ.pop(MODULES, "").split(",")):
            with suppress(Exception):  # a job that needs it fails with the reason
                importlib.import_module(module)
    except BaseException:
        _end(with_folder=False)  # a client that then starts by exec sees the error
    if _has_threads() or _has_touched_a_gpu():
        _end(with_folder=False)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    gc.collect()
    gc.freeze()  # else a collection in a child would write to, and so copy, every page with an object
    gc.enable()
    set_title(["mnist-tune", "fork-server"])


def _leave_the_terminal() -> None:
    """Discard what is printed while loading, since no user asked for it. Each child gets its own streams."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nothing, descriptor)
    os.close(nothing)


def _end_with(parent: int) -> None:
    """While loading, end when the parent has ended. A loaded server notices that by itself."""

    def look(*_: object) -> None:
        if os.getppid() != parent:
            _end(with_folder=True)

    look()
    signal.signal(signal.SIGALRM, look)
    signal.siginterrupt(signal.SIGALRM, False)
    signal.setitimer(signal.ITIMER_REAL, LOOK_SECONDS, LOOK_SECONDS)


def _end(*, with_folder: bool) -> NoReturn:
    _clear_up(with_folder=with_folder)
    os._exit(1)


def _clear_up(*, with_folder: bool) -> None:
    """Remove the server's socket and, when the starter is gone, its folder.

    The starter removes the folder itself unless it is killed; while it lives, its next server needs it.
    """
    socket_file = _socket_file()
    if socket_file is None or os.getpid() != SERVER:  # a child that was forked from the server
        return
    with suppress(OSError):
        socket_file.unlink(missing_ok=True)
        if with_folder:
            socket_file.parent.rmdir()  # fails if other files are in it


@cache
def _socket_file() -> Path | None:
    """The path on which the server listens, from the descriptor in multiprocessing's command line."""
    number = re.search(r"\bmain\((\d+), ", sys.orig_argv[-1])
    if number is None:
        return None
    with socket.socket(fileno=os.dup(int(number[1]))) as listener:
        return Path(listener.getsockname())


def _has_threads() -> bool:
    tasks = Path("/proc/self/task")
    return tasks.exists() and len(list(tasks.iterdir())) > 1


def _has_touched_a_gpu() -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and torch.cuda.is_initialized()
