"""Starts processes by the standard library's fork server, with their modules loaded beforehand.

The server is a fresh interpreter that only imports: it has no threads, no computation, no GPU and no open
files of ours. This module changes private parts of `multiprocessing`, and no other module does. So the
server's children use the same server (in Python 3.11 to 3.13 each starts its own), and nothing is imported
from the current folder or from the command's own script.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import forkserver, resource_tracker, spawn
from pathlib import Path
from typing import Any

from mnist_tune.processes.environment import in_environment

WORKERS = "mnist_tune.processes.preload.workers"
"""The module that loads what workers and their training processes need."""
TRAINING = "mnist_tune.processes.preload.training"
"""The module that loads what training processes alone need."""
HELD_BACK = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP}
"""Signals that terminals and service managers send to all processes; the server must not end by them."""
STARTER = "_MNIST_TUNE_STARTER"
"""Environment variable of a fork server: the process with which it must end while it is loading."""
MODULES = "_MNIST_TUNE_PRELOAD"
"""Environment variable of a fork server: further modules that it imports."""
OURS = "mnist-tune"
"""The name by which multiprocessing knows our processes."""

_server: Any = forkserver._forkserver
_start_unless_running = _server.ensure_running
_preparation: Any = spawn.get_preparation_data
_lock = threading.RLock()
_starter: int | None = None
"""The id of the process that started the server; None if this module did not start it."""
_has_served = False
"""Whether a server has ever started a process for this one."""
_modules = ""
_is_vain = False
"""Whether a server ends after loading on this machine, so that waiting for one is useless."""


def start_method() -> str:
    """How processes are started: "forkserver" where forking is safe, else "spawn".

    Apple's libraries have threads of their own, so macOS spawns. A GPU that this process has used does not
    matter, since the server is forked and not this process. A server that has threads or a GPU after loading
    ends itself: see `preload`.
    """
    has_server = "forkserver" in multiprocessing.get_all_start_methods()
    return "forkserver" if has_server and sys.platform != "darwin" and not _is_vain else "spawn"


def begin(preload: str, modules: Sequence[str] = ()) -> None:
    """Start a fork server that loads the module `preload`, unless there is one. Returns at once.

    It imports these modules too, as far as it can.
    Whoever then asks it for a process waits until it has loaded, or uses exec if it could not be started.
    """
    global _modules
    if start_method() == "forkserver":
        _modules = ",".join(modules)
        forkserver.set_forkserver_preload([preload])
        with suppress(OSError):  # too many processes, or $TMPDIR is full or too long for a socket
            _ensure_running()


def forget_inherited() -> bool:
    """Forget the server that started this process, because it is gone; False if no server did."""
    with _lock:
        if not _is_inherited():
            return False
        os.close(_server._forkserver_alive_fd)
        _server._forkserver_alive_fd = _server._forkserver_address = _server._forkserver_pid = None
        return True


def has_served() -> None:
    """Note that a server has started a process for this one."""
    global _has_served
    _has_served = True


def has_failed(error: BaseException) -> None:
    """Note that servers do not work here if the one that this process started ended without serving."""
    is_gone = isinstance(error, EOFError | ConnectionError)
    if is_gone and not _has_served and _starter == os.getpid():
        do_without()


def do_without() -> None:
    """Start all further processes by exec."""
    global _is_vain
    _is_vain = True


def is_vain() -> bool:
    """Whether servers do not work here, so that children of this process should not try either."""
    return _is_vain


def leave_alone(process: Any) -> None:
    """Keep this interpreter from waiting for the process at exit, since our processes end by themselves."""
    multiprocessing.process._children.discard(process)  # type: ignore[attr-defined]


def _ensure_running() -> None:
    global _starter
    with _lock:
        if _is_inherited():
            return
        if _starter == os.getpid() and not _has_served and _has_ended():
            do_without()
            raise ChildProcessError("no fork server can be had here")
        with fresh_interpreter(), in_environment({MODULES: _modules}):
            _start_unless_running()
        _starter = os.getpid()


def _has_ended() -> bool:
    """Whether the server that this process started has ended. Its exit status stays readable."""
    look = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, _server._forkserver_pid, look) is not None


def _is_inherited() -> bool:
    return _server._forkserver_alive_fd is not None and _starter != os.getpid()


_server.ensure_running = _ensure_running


def _without_main(name: str) -> dict[str, Any]:
    """The first instructions of multiprocessing to a process; ours do not run the command's own script.

    The script may lack a guard and do all its work again, or may have changed since. Our processes also do
    not change their folder here, where they could not report that it is gone.
    """
    data: dict[str, Any] = _preparation(name)
    if name == OURS:
        for key in ("init_main_from_name", "init_main_from_path", "dir"):
            data.pop(key, None)
    return data


spawn.get_preparation_data = _without_main


def environment() -> dict[str, str]:
    """The environment of this process without the variables for fresh interpreters."""
    with _lock:
        return dict(os.environ)


def own_imports() -> dict[str, str]:
    """Variables with which a fresh interpreter imports only from where this one does."""
    return {
        "PYTHONSAFEPATH": "1",
        "PYTHONPATH": os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path),
    }


@contextmanager
def fresh_interpreter() -> Iterator[None]:
    """Prepare the environment for a fresh interpreter that is started within the block.

    It imports only from where this interpreter does (with -c it would look into the current folder first).
    Signals stay blocked until it can handle them. One block at a time: the environment belongs to all
    threads.
    """
    needed = own_imports() | {STARTER: str(os.getpid())}
    with _lock, in_environment(needed):
        resource_tracker.ensure_running()  # starting it unblocks signals, so it comes first
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
