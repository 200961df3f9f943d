"""Runs a function in a process of its own, forked from a loaded server: start, streams, end."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from typing import Any

from mnist_tune import __version__
from mnist_tune.processes import fork_server
from mnist_tune.processes.new_process import EXIT_CODE, Descriptor, Instructions, live

SERVER_IS_GONE = 255
"""The exit code that multiprocessing reports when the fork server, which knows the real one, is gone."""


@dataclass(frozen=True)
class Ending:
    """How a process ended: its exit code, or minus the number of a signal; None if nobody knows."""

    code: int | None

    @property
    def signal_name(self) -> str | None:
        """The name of the signal that killed the process; None if none did."""
        if self.code is None or self.code >= 0:
            return None
        with suppress(ValueError):
            return signal.Signals(-self.code).name
        return f"signal {-self.code}"

    def __str__(self) -> str:
        if self.signal_name:
            return f"was killed by {self.signal_name}"
        return "ended without a word" if self.code is None else f"exited with {self.code}"


class NotStarted(Exception):  # noqa: N818 - an outcome more than an error
    """A process could not be started; the message says why."""


@dataclass
class ChildProcess:
    """Calls `target` (module:function) with `arguments` in a process of its own.

    The process has the caller's current folder and, unless `cores` are given, the caller's cores. It inherits
    nothing else but the three streams, and connections among the arguments.
    """

    target: str
    arguments: Sequence[Any] = ()
    argv: Sequence[str] = ()
    """The command line that `ps` shows and that the process finds in `sys.argv`."""
    stdin: int | None = None
    """A descriptor to read from; None for an empty input."""
    stdout: int = 1
    stderr: int = 2
    environment: dict[str, str] = field(default_factory=fork_server.environment)
    cores: set[int] | None = None
    own_session: bool = False
    """With a session of its own, the process gets no signals from the terminal."""
    pid: int = 0
    _process: Any = None
    _report: Any = None
    """A pipe that the process holds open while it lives, and to which it writes its exit code."""
    _ending: Ending | None = None

    def start(self) -> None:
        """Start the process, at once if the fork server is loaded, else when it is.

        Raises:
            NotStarted: it could not be started.
        """
        if fork_server.start_method() == "forkserver":
            try:
                return self._fork()
            except (OSError, EOFError):
                if fork_server.forget_inherited():
                    with suppress(OSError, EOFError):
                        return self._fork()
        # Without a fork server a start is slower, and an error that ended the server shows in this process.
        try:
            self._start("spawn")
        except OSError as error:
            raise NotStarted(f"cannot be started: {error.strerror or error}") from None

    def is_alive(self) -> bool:
        """Whether the process was started and has not ended."""
        return bool(self.pid) and self.poll() is None

    def poll(self) -> Ending | None:
        """How the process ended; None while it lives."""
        if self._ending is None and self._process is not None:
            code = self._process.exitcode
            if code == SERVER_IS_GONE:
                self._ending = self._own_report()
            elif code is not None:
                self._ending = Ending(code)
        return self._ending

    def wait(self, seconds: float | None = None) -> Ending | None:
        """Wait for the process to end, at most `seconds`; returns how it ended, None if it has not."""
        if self.poll() is None:
            self._process.join(seconds)
            if self._process.exitcode == SERVER_IS_GONE:
                wait([self._report], seconds)
        return self.poll()

    def send_signal(self, number: int) -> None:
        """Send the process a signal if it lives."""
        if self.is_alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill the process."""
        self.send_signal(signal.SIGKILL)

    def _fork(self) -> None:
        try:
            self._start("forkserver")
        except (OSError, EOFError) as error:
            fork_server.has_failed(error)
            raise
        fork_server.has_served()

    def _start(self, method: str) -> None:
        try:
            folder = os.getcwd()  # noqa: PTH109
        except OSError as error:
            raise NotStarted(f"cannot be started: the current folder: {error.strerror}") from None
        stdin = os.open(os.devnull, os.O_RDONLY) if self.stdin is None else os.dup(self.stdin)
        streams = [stdin, os.dup(self.stdout), os.dup(self.stderr)]
        self._report, report = multiprocessing.Pipe(duplex=False)
        told = Instructions(
            __version__,
            self.target,
            self.arguments,
            self.argv,
            self.environment,
            folder,
            [Descriptor(stream) for stream in streams],
            report,
            self.cores or _cores(),
            None if self.own_session else os.getsid(0),
            not fork_server.is_vain(),
        )
        context: Any = multiprocessing.get_context(method)
        process = context.Process(target=live, args=(told,), name=fork_server.OURS)
        try:
            if method == "spawn":
                with fork_server.fresh_interpreter():
                    process.start()
            else:
                process.start()
        finally:
            for stream in streams:
                os.close(stream)
            report.close()
        fork_server.leave_alone(process)
        self._process = process
        self.pid = process.pid or 0

    def _own_report(self) -> Ending | None:
        if not wait([self._report], 0):
            return None
        try:
            return Ending(EXIT_CODE.unpack(self._report.recv_bytes())[0])
        except EOFError:
            return Ending(None)


def _cores() -> set[int] | None:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
