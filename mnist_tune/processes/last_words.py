"""Reads what a process prints: hands it on, copies it to our standard error, and keeps the last lines."""

from __future__ import annotations

import fcntl
import os
import select
import stat
import struct
import termios
import threading
from collections.abc import Callable
from contextlib import suppress

from mnist_tune.text.printed import printed_lines

KEPT_BYTES = 4_000
KEPT_LINES = 20
READ_BYTES = 1 << 16
"""As much as a pipe holds."""
GATHER_SECONDS = 0.005
"""How long a few bytes wait for more: a job that prints a million short lines must not keep us busy."""
WAIT_SECONDS = 1.0
"""How long to wait for the last output of a dead process, whose own children may go on writing."""

Sink = Callable[[bytes], None]


class LastWords:
    """A pipe for one process's standard output and error, which a thread of ours reads.

    The process can be killed at any time: what it has written is in the pipe.
    """

    def __init__(self) -> None:
        self._reading, self.descriptor = os.pipe()
        os.set_blocking(self._reading, False)
        self._tail = b""
        self._sink: Sink | None = None
        self._taken = 0
        """How many bytes were read and handed on."""
        self._is_open = True
        self._changed = threading.Condition()
        """Guards all of the above. It is never held while something may block."""
        self._is_awaited = threading.Event()
        self._thread = threading.Thread(target=self._read, name="last-words", daemon=True)
        self._thread.start()

    def close_ours(self) -> None:
        """Close our copy of the writing end; call it once the process has its own."""
        os.close(self.descriptor)

    def hand_to(self, sink: Sink | None) -> None:
        """From now on hand what is read to `sink`, which another thread calls and which must not wait.

        What is in the pipe by now still goes to the sink before. The last lines are those since this call.
        """
        self.catch_up()
        with self._changed:
            self._sink = sink
            if sink is not None:
                self._tail = b""

    def catch_up(self) -> None:
        """Wait until everything is handed on that is in the pipe now, for at most a second."""
        with self._changed:
            if self._is_open and (waiting := _bytes_in(self._reading)):
                target = self._taken + waiting
                self._is_awaited.set()
                self._changed.wait_for(lambda: self._taken >= target or not self._is_open, WAIT_SECONDS)

    def lines(self) -> list[str]:
        """The last lines of a process that has ended."""
        self._thread.join(WAIT_SECONDS)
        return [line.strip() for line in printed_lines(self._tail)][-KEPT_LINES:]

    def _read(self) -> None:
        pipe = select.poll()
        pipe.register(self._reading, select.POLLIN)
        while True:
            pipe.poll()
            with self._changed:
                content = os.read(self._reading, READ_BYTES)
                is_handed_on = self._sink is not None
                if self._sink is not None:
                    self._sink(content)
                self._tail = (self._tail + content)[-KEPT_BYTES:]
                self._taken += len(content)
                self._changed.notify_all()
                if not content:
                    self._is_open = False
                    os.close(self._reading)
                    return
            if not (is_handed_on and _has_no_name(2)):
                with suppress(OSError):  # training goes on when the terminal is closed
                    os.write(2, content)
            if len(content) < READ_BYTES // 4:
                self._is_awaited.wait(GATHER_SECONDS)
            self._is_awaited.clear()


def _bytes_in(pipe: int) -> int:
    """How many bytes wait in a pipe."""
    (waiting,) = struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4))
    return int(waiting)


def _has_no_name(descriptor: int) -> bool:
    """Whether it is a file without a name, as the output of workers that another command has started.

    Its disk space is free again only when they end, and a job can print as much as it likes.
    """
    try:
        file = os.fstat(descriptor)
    except OSError:
        return False
    return stat.S_ISREG(file.st_mode) and file.st_nlink == 0
