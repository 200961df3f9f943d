"""The process that ours are forked off: the standard library's fork server, loaded with what they need.

It is a fresh interpreter that has imported and does nothing else: no thread, no computation, no GPU, no open
file of ours. What is written here touches private parts of `multiprocessing`, so that the server's children
use it as well (in 3.11 to 3.13 each starts one of its own), and so that nothing is imported from the current
folder, nor the command's own script. Nothing else in the package does.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import forkserver, resource_tracker, spawn
from pathlib import Path
from typing import Any

from mnist_tune.processes.environment import in_environment

WORKERS = "mnist_tune.processes.preload.workers"
"""What is loaded for workers and their training processes."""
TRAINING = "mnist_tune.processes.preload.training"
"""What is loaded for training processes alone."""
HELD_BACK = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP}
"""Signals that a terminal or a service manager sends to all of its processes: the server keeps on serving."""
STARTER = "_MNIST_TUNE_STARTER"
"""In the environment of a fork server alone: the process that it must not outlive while it loads."""
OURS = "mnist-tune"
"""The name that multiprocessing knows our processes by."""

_server: Any = forkserver._forkserver
_start_unless_running = _server.ensure_running
_preparation: Any = spawn.get_preparation_data
_lock = threading.RLock()
_starter: int | None = None
"""The process that started the server, if that was this module."""
_has_served = False
"""Whether this process was ever given another by a server."""
_is_vain = False
"""Whether a server ends here when it has loaded: each start would load one, and wait for it."""


def start_method() -> str:
    """How processes start: by fork where that is safe, else by exec.

    Apple's libraries have threads of their own. A GPU that the caller has touched is no matter, since it is
    the fork server that is forked; one that has come to have threads or a GPU ends itself, see `preload`.
    """
    has_server = "forkserver" in multiprocessing.get_all_start_methods()
    return "forkserver" if has_server and sys.platform != "darwin" and not _is_vain else "spawn"


def begin(preload: str) -> None:
    """Have a fork server load this, unless there is one already. Returns at once.

    Whoever asks it for a process waits until it is loaded, and does without if it could not be started.
    """
    if start_method() == "forkserver":
        forkserver.set_forkserver_preload([preload])
        with suppress(OSError):  # $TMPDIR is too long for a socket or is full, there are too many processes
            _ensure_running()


def forget_inherited() -> bool:
    """Do without the server that started this process, which is gone; False if there was none such."""
    with _lock:
        if not _is_inherited():
            return False
        os.close(_server._forkserver_alive_fd)
        _server._forkserver_alive_fd = _server._forkserver_address = _server._forkserver_pid = None
        return True


def has_served() -> None:
    """Remember that a server gave this process another."""
    global _has_served
    _has_served = True


def has_failed(error: BaseException) -> None:
    """Remember that no server can be had here, if what this process started has ended before it served."""
    is_gone = isinstance(error, EOFError | ConnectionError)
    if is_gone and not _has_served and _starter == os.getpid():
        do_without()


def do_without() -> None:
    """From now on, start processes by exec."""
    global _is_vain
    _is_vain = True


def is_vain() -> bool:
    """Whether no server can be had here, nor in what this process starts."""
    return _is_vain


def leave_alone(process: Any) -> None:
    """Have this interpreter not wait for the process at its own exit: ours end by themselves."""
    multiprocessing.process._children.discard(process)  # type: ignore[attr-defined]


def _ensure_running() -> None:
    global _starter
    with _lock:
        if _is_inherited():
            return
        if _starter == os.getpid() and not _has_served and _has_ended():
            do_without()
            raise ChildProcessError("no fork server can be had here")
        with fresh_interpreter():
            _start_unless_running()
        _starter = os.getpid()


def _has_ended() -> bool:
    """Whether the server that this process started is gone. Who waits for it still reads how."""
    look = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, _server._forkserver_pid, look) is not None


def _is_inherited() -> bool:
    return _server._forkserver_alive_fd is not None and _starter != os.getpid()


_server.ensure_running = _ensure_running


def _without_main(name: str) -> dict[str, Any]:
    """What multiprocessing has a process do first: one of ours has no use for the script that began it all.

    It may have no guard, so that it would do all its work again; or be another by now. Nor does one of ours
    change its folder before it can say that this one is gone.
    """
    data: dict[str, Any] = _preparation(name)
    if name == OURS:
        for key in ("init_main_from_name", "init_main_from_path", "dir"):
            data.pop(key, None)
    return data


spawn.get_preparation_data = _without_main


def environment() -> dict[str, str]:
    """That of this process, without what only a fresh interpreter is to find."""
    with _lock:
        return dict(os.environ)


@contextmanager
def fresh_interpreter() -> Iterator[None]:
    """Have an interpreter that is started meanwhile begin as ours are to.

    It imports from where this one does and nowhere else (with -c it would look into the current folder
    first), and is deaf to signals until it is ready to hear. One at a time: the environment is everybody's.
    """
    needed = {
        "PYTHONSAFEPATH": "1",
        STARTER: str(os.getpid()),
        "PYTHONPATH": os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path),
    }
    with _lock, in_environment(needed):
        resource_tracker.ensure_running()  # which unblocks signals
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
