"""The process in which a worker's trials train: it is started, given orders, killed and started again."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

from mnist_tune.errors import MISTAKE, MnistTuneError, UserError
from mnist_tune.processes import fork_server
from mnist_tune.processes.child_process import ChildProcess, Ending, NotStarted
from mnist_tune.processes.last_words import LastWords, Sink
from mnist_tune.worker.messages import Ready, Refused, SetUp, receive, send

LOOK_SECONDS = 0.1
"""How many seconds to wait for a message before looking at everything else."""
ANSWER_SECONDS = 5.0
"""How many seconds a process may take to stop at the next batch before it is killed."""


class ProcessDied(Exception):  # noqa: N818 - an outcome of an attempt more than an error
    """The training process ended by itself; the message says how, and has its last output."""

    def __init__(self, how: Ending | str, last_words: list[str]) -> None:
        super().__init__(f"{how}: {last_words[-1]}" if last_words else str(how))
        self.ending = how if isinstance(how, Ending) else None
        self.last_words = last_words


class TrainingProcess:
    """The training process of a worker, one at a time. As a context manager it ends with the worker.

    `set_up` may follow after the start, so that torch loads while the worker looks up data and folders.
    """

    def __init__(self, setup: SetUp | None = None) -> None:
        self._setup = setup
        self._process: _Started | None = None
        self._connection: Connection | None = None
        self.is_ready = False
        """Whether the running process has loaded the job, so that what it prints from now on is a trial's."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Start the process, which then loads torch and, after `set_up`, the data."""
        fork_server.begin(fork_server.TRAINING)
        self.is_ready = False
        self._connection, theirs = multiprocessing.Pipe()
        self._process = _Started(theirs)
        if self._setup is not None:
            self.send(self._setup)

    def set_up(self, setup: SetUp) -> None:
        """Tell this process, and each later one, which device, data and folders to use."""
        self._setup = setup
        self.send(setup)

    def wait_until_ready(self, check: Callable[[], None]) -> Ready:
        """Wait until the data is loaded; returns the device. `check` is called meanwhile and may raise.

        Raises:
            MnistTuneError: the process cannot begin; the message is its own.
        """
        answer = None
        try:
            while answer is None:
                check()
                answer = self.receive(LOOK_SECONDS)
        except ProcessDied as death:
            raise MnistTuneError(f"the training process did not become ready: it {death}") from None
        if isinstance(answer, Refused):
            self.kill()
            raise (UserError if answer.exit_code == MISTAKE else MnistTuneError)(answer.message)
        assert isinstance(answer, Ready)
        return answer

    @property
    def is_running(self) -> bool:
        return self._process is not None

    @property
    def pid(self) -> int:
        """The id of the running process; 0 while it is being started."""
        return self._process.child.pid if self._process is not None else 0

    def prints_to(self, sink: Sink | None) -> None:
        """From now on hand what the process prints to `sink` too, until it ends; a thread calls it."""
        if self._process is not None:
            self._process.output.hand_to(sink)

    def send(self, message: Any) -> None:
        """Send a message. If the process is dead, only `receive` tells."""
        assert self._connection is not None
        with suppress(OSError):
            send(self._connection, message)

    def receive(self, seconds: float) -> Any:
        """The next message of the process, or None after so many seconds.

        What the process has printed before the message is handed on.

        Raises:
            ProcessDied: the process has ended, and no message is left.
        """
        assert self._process is not None
        assert self._connection is not None
        try:
            if not self._connection.poll(seconds):
                return None
            message = receive(self._connection)
            self._process.output.catch_up()
            self.is_ready |= isinstance(message, Ready)
            return message
        except (EOFError, OSError, ValueError):  # ValueError: a job has written to our connection
            raise self._bury() from None

    def kill(self) -> None:
        """Kill the process, whatever it is doing."""
        if self._process is not None:
            assert self._connection is not None
            self._connection.close()
            self._process.kill()
            self._process = self._connection = None

    def _bury(self) -> ProcessDied:
        """Close the connection and report how the process ended."""
        assert self._process is not None
        assert self._connection is not None
        self._connection.close()
        death = self._process.death()
        self._process = self._connection = None
        return death


class _Started:
    """One training process from its request on: the fork server may still be loading."""

    def __init__(self, connection: Connection) -> None:
        self.output = LastWords()
        self._connection = connection
        self._problem = ""
        self._is_wanted = True
        self._lock = threading.Lock()
        self.child = ChildProcess(
            "mnist_tune.worker.child_main:main",
            [connection],
            argv=["mnist-tune", "training", "of", str(os.getpid())],
            stdout=self.output.descriptor,
            stderr=self.output.descriptor,
        )
        threading.Thread(target=self._start, name="start-training", daemon=True).start()

    def kill(self) -> None:
        """Kill the process, or keep it from starting."""
        with self._lock:
            self._is_wanted = False
            begun = bool(self.child.pid)
        if begun:
            self.child.kill()
            self.child.wait()
        self.output.hand_to(None)

    def death(self) -> ProcessDied:
        """How the process ended; call it when the other end of the connection is closed."""
        ending = self.child.wait() if self.child.pid else None
        lines = self.output.lines()
        self.output.hand_to(None)
        return ProcessDied(ending or self._problem, lines)

    def _start(self) -> None:
        try:
            self.child.start()
            with self._lock:
                is_wanted = self._is_wanted
            if not is_wanted:
                self.child.kill()
                self.child.wait()
        except NotStarted as problem:
            self._problem = str(problem)
        finally:
            self.output.close_ours()
            self._connection.close()
