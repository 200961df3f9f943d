"""The process in which a worker's trials train: started, spoken to, killed and started again."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

from mnist_tune.errors import MISTAKE, MnistTuneError, UserError
from mnist_tune.messages import Ready, Refused, SetUp

LOOK_SECONDS = 0.1
"""How long to wait for a message before looking at everything else."""
ANSWER_SECONDS = 5.0
"""How long a process may take to stop at the next batch before it is killed."""


class ProcessDied(Exception):  # noqa: N818 - an outcome of an attempt more than an error
    """The training process ended by itself; the message says how."""


class TrainingProcess:
    """One training process at a time. Use as a context manager: it does not outlive the worker.

    What it works on may follow by `set_up`, so that torch is loaded while the worker looks that up.
    """

    def __init__(self, setup: SetUp | None = None) -> None:
        self._setup = setup
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Start the process, which then loads torch and, once it is set up, the data on its own."""
        ours, theirs = socket.socketpair()
        self._connection = Connection(ours.detach())
        with theirs, _signals_blocked():
            command = [sys.executable, "-m", "mnist_tune.job", str(theirs.fileno())]
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        if self._setup is not None:
            self.send(self._setup)

    def set_up(self, setup: SetUp) -> None:
        """Tell the process, and each that is started after it, what it works on and with."""
        self._setup = setup
        self.send(setup)

    def wait_until_ready(self, check: Callable[[], None]) -> Ready:
        """The device it will use, once the data is loaded; `check` is called meanwhile and may raise.

        Raises:
            MnistTuneError: it cannot begin, for the reason it gave.
        """
        answer = None
        try:
            while answer is None:
                check()
                answer = self.receive(LOOK_SECONDS)
        except ProcessDied as death:
            raise MnistTuneError(f"the training process {death} before it was ready") from None
        if isinstance(answer, Refused):
            self.kill()
            raise (UserError if answer.exit_code == MISTAKE else MnistTuneError)(answer.message)
        assert isinstance(answer, Ready)
        return answer

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def send(self, message: Any) -> None:
        """Tell it something. Whether it still lives shows when it is asked for an answer."""
        assert self._connection is not None
        with suppress(OSError):
            self._connection.send(message)

    def receive(self, seconds: float) -> Any:
        """Its next message, or None after so many seconds.

        Raises:
            ProcessDied: there will be none.
        """
        assert self._connection is not None
        try:
            return self._connection.recv() if self._connection.poll(seconds) else None
        except (EOFError, OSError):
            raise ProcessDied(self._bury()) from None

    def kill(self) -> None:
        """End it at once, whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._bury()

    def _bury(self) -> str:
        """Wait for its end, and say what that was."""
        assert self._process is not None
        assert self._connection is not None
        self._connection.close()
        code = self._process.wait()
        self._process = self._connection = None
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Have what is started meanwhile, which inherits this, deaf to Ctrl-C also while it loads torch."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
