"""Functions that tests run in child processes, by name."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

from mnist_tune.processes import fork_server


def call_in(folder: str, module: str) -> None:
    """Run a module's `main` in a folder, as if a shell had started it there."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, fork_server.HELD_BACK)
    os.chdir(folder)
    importlib.import_module(module).main()


def tell(connection: Connection) -> None:
    """Send a description of this process: its parent, environment, files, signals and so on."""
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")  # only in a forked process
    connection.send(
        {
            "parent": os.getppid(),
            "session": os.getsid(0),
            "folder": str(Path.cwd()),
            "environment": dict(os.environ),
            "argv": sys.argv,
            "shown": Path("/proc/self/cmdline").read_bytes().rstrip(b"\0").split(b"\0"),
            "threads": threading.active_count(),
            "tasks": len(os.listdir("/proc/self/task")),  # noqa: PTH208
            "blocked": {
                signal.Signals(number).name for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())
            },
            "ctrl-c": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
            "gpu": torch is not None and torch.cuda.is_initialized(),
            "random": None if numpy is None else float(numpy.random.random()),
            "files": open_files(),
            "cores": os.sched_getaffinity(0),
            "hour": time.localtime(0).tm_hour,
        }
    )


def open_files() -> dict[int, str]:
    """The descriptors of this process and their targets, without the one that is used to look."""
    found = {}
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")  # noqa: PTH115
        except OSError:
            continue
    return found


def talk() -> None:
    """Print what can be read from standard input, and write to standard error."""
    print("read:", sys.stdin.read())
    print("complained", file=sys.stderr)


def start_another(connection: Connection) -> None:
    """Have a child of this child send its description."""
    from mnist_tune.processes.child_process import ChildProcess

    child = ChildProcess("tests.support.child_functions:tell", [connection])
    child.start()
    child.wait()


def start_when_told(connection: Connection) -> None:
    """Wait for a message, then start a child, and send how it ended."""
    from mnist_tune.processes.child_process import ChildProcess

    connection.send("here")
    connection.recv()
    child = ChildProcess("sys:exit", [7])
    child.start()
    connection.send(str(child.wait()))


def die(number: int) -> None:
    os.kill(os.getpid(), number)


def sleep(seconds: float) -> None:
    time.sleep(seconds)


def leave(code: object) -> None:
    sys.exit(code)  # type: ignore[arg-type]


def raise_an_error() -> None:
    raise ValueError("as it was asked to")
