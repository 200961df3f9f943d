"""What a fork server does before it serves: import all that its children need, and nothing else.

The modules here are imported by the fork server alone, which is told their names.
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

from mnist_tune.processes.fork_server import STARTER
from mnist_tune.processes.title import set_title

LOOK_SECONDS = 0.2
SERVER = os.getpid()


def load(*modules: str) -> None:
    """Import them. A process that cannot be forked safely after that is ended: its children start by exec."""
    _leave_the_terminal()
    # Else OpenBLAS starts threads when NumPy is imported. A child's environment is that of its starter.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    _socket_file()  # while it is open
    atexit.register(_clear_up)
    _end_with(int(os.environ.pop(STARTER, os.getppid())))
    gc.disable()  # it would look through all that is being loaded, again and again: a seventh of the time
    try:
        for module in modules:
            importlib.import_module(module)
    except BaseException:
        _end(with_folder=False)  # whoever starts by exec then sees the error
    if _has_threads() or _has_touched_a_gpu():
        _end(with_folder=False)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    gc.collect()
    gc.freeze()  # a collection in a child would write to, and so copy, every page that has an object
    gc.enable()
    set_title(["mnist-tune", "fork-server"])


def _leave_the_terminal() -> None:
    """Whatever is printed while loading is not for whoever uses the command. Each child is given its own."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nothing, descriptor)
    os.close(nothing)


def _end_with(parent: int) -> None:
    """While loading, end when the parent has ended. Once loaded, the server sees that by itself."""

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


def _clear_up(*, with_folder: bool = True) -> None:
    """Remove the server's socket, and its folder as well, which the starter removes unless it is killed."""
    socket_file = _socket_file()
    if socket_file is None or os.getpid() != SERVER:  # forked off it
        return
    with suppress(OSError):
        socket_file.unlink(missing_ok=True)
        if with_folder:
            socket_file.parent.rmdir()  # unless there is something else in it


@cache
def _socket_file() -> Path | None:
    """Where the server listens, by the descriptor that multiprocessing names in its command line."""
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
