"""The process of a command: it is started in a group of its own, read, stopped, and never left behind."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from mnist_tune.processes.watchdog import Watchdog

GATE = ("/bin/sh", "-c", 'IFS= read -r go && exec "$@" </dev/null', "mnist-tune")
"""Begins the command only when it is told to, and never if its starter has died before that."""
READ_BYTES = 1 << 16
MOST_READS = 16
"""How many times to read from a command that never stops printing before looking at everything else.

They are enough for all that a pipe holds: what a command has left when it ends is read, and no more, since
another process may go on writing.
"""
LOOK_SECONDS = 0.05
"""How long to wait for output before looking at everything else."""
LAST_LINES = 20
LONGEST_LINE = 1 << 20
"""The most bytes of a line; a longer one is taken as several."""
AFTER_TERM_SECONDS = 2.0
"""How long a command that is told to end at once may take."""


class Lines:
    """Cuts what comes from a pipe into lines; a carriage return, as progress bars print it, ends one too."""

    def __init__(self) -> None:
        self._rest = b""

    def add(self, content: bytes) -> Iterator[str]:
        """The lines that are whole now."""
        *whole, self._rest = (self._rest + content.replace(b"\r", b"\n")).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            whole, self._rest = [*whole, self._rest], b""
        yield from (line.decode(errors="replace") for line in whole)

    def rest(self) -> Iterator[str]:
        """The last line, if it has no end."""
        if self._rest:
            yield self._rest.decode(errors="replace")
        self._rest = b""


class CommandProcess:
    """A command that runs. `reports` and `output` give the lines that have come since they were last read."""

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        report: Path,
        watchdog: Watchdog,
        own_folder: Path,
    ) -> None:
        """Start the command in `folder`; if we die, it is killed and `own_folder` removed. Raises OSError."""
        os.mkfifo(report, 0o600)
        # Open for writing too: so opening it never waits, and it never ends while we read.
        self._report = os.open(report, os.O_RDWR | os.O_NONBLOCK)
        try:
            self._process = subprocess.Popen(
                [*GATE, *command],
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                bufsize=0,
                start_new_session=True,
            )
        except BaseException:
            os.close(self._report)
            raise
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        watchdog.watch(own_folder, self._process.pid)
        with suppress(BrokenPipeError), self._process.stdin as gate:
            gate.write(b"go\n")
        self._output = self._process.stdout.fileno()
        os.set_blocking(self._output, False)
        self._open = {self._report, self._output}
        self._said, self._reported = Lines(), Lines()
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES)
        """The last lines of its output."""

    def wait(self) -> bool:
        """Wait a moment for output; returns whether the process still runs."""
        is_running = self._process.poll() is None
        if is_running:
            select.select(self._open, [], [], LOOK_SECONDS)
        return is_running

    @property
    def exit_code(self) -> int:
        """The exit code of the process, which has ended; minus the number of the signal that killed it."""
        return self._process.wait()

    def reports(self) -> Iterator[str]:
        """The lines that the command has reported.

        A last one without an end counts if all went well; else the command died while it wrote the line.
        """
        has_ended = self._has_ended
        yield from self._lines(self._report, self._reported)
        if has_ended and self.exit_code == 0:
            yield from self._reported.rest()

    def output(self) -> Iterator[str]:
        """The lines that the command has printed, the last one as in `reports`.

        Each is passed on to our own standard error.
        """
        has_ended = self._has_ended
        for line in self._lines(self._output, self._said):
            self._remember(line)
            yield line
        if has_ended:
            for line in self._said.rest():
                self._remember(line)
                if self.exit_code == 0:
                    yield line

    def terminate(self) -> None:
        """Send SIGTERM to the command itself; whether its own children get it is its affair."""
        with suppress(ProcessLookupError):
            self._process.terminate()

    def kill(self) -> None:
        """Kill the command and all of its group."""
        with suppress(ProcessLookupError, PermissionError):  # macOS: no process of the group is left
            os.killpg(self._process.pid, signal.SIGKILL)

    def end(self) -> None:
        """Have the command end soon: by SIGTERM or, if that does not help, by SIGKILL."""
        self.terminate()
        deadline = time.monotonic() + AFTER_TERM_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            select.select([], [], [], LOOK_SECONDS)
        self.kill()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within the block no process of the group runs, so that its files stay as they are."""
        self._signal_all(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal_all(signal.SIGCONT)

    def close(self) -> None:
        """Kill what is left of the group, and close our ends of the pipes."""
        self.kill()
        self._process.wait()
        os.close(self._report)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _signal_all(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    @property
    def _has_ended(self) -> bool:
        """Whether the command has ended; ask before reading what it has written until then."""
        return self._process.poll() is not None

    def _remember(self, line: str) -> None:
        if line.strip():
            self.last_lines.append(line)

    def _lines(self, descriptor: int, lines: Lines) -> Iterator[str]:
        for _ in range(MOST_READS):
            if not (content := self._available(descriptor)):
                break
            if descriptor == self._output:
                with suppress(OSError):
                    os.write(2, content)
            yield from lines.add(content)

    def _available(self, descriptor: int) -> bytes:
        try:
            content = os.read(descriptor, READ_BYTES)
        except BlockingIOError:
            return b""
        if not content:  # the command has closed it
            self._open.discard(descriptor)
        return content
