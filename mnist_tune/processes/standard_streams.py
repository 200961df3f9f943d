"""Standard output and error of a process whose work matters more than what it says of it.

A terminal may be closed, the reader of a pipe be gone, the disk of a log be full: that must end no trial.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from contextlib import suppress
from typing import IO, Any

STREAMS = ("stdin", "stdout", "stderr")
"""By their descriptors: 0, 1, 2."""


class _Output(io.FileIO):
    """One of the two. While it is `forgiving`, what cannot be written is lost, and nothing is raised."""

    forgiving = False
    failure: OSError | None = None
    """The first that kept something from being written."""

    def write(self, content: Any) -> int:
        try:
            while (written := super().write(content)) is None:  # others have set it to non-blocking
                select.select([], [self], [])
        except OSError as error:
            self.failure = self.failure or error
            if not self.forgiving:
                raise
            return memoryview(content).nbytes
        return written


def take_over() -> None:
    """Have what is said on standard error end nothing, and what was closed be there. Call it first of all.

    Else the next file that is opened, perhaps a database, would be taken for the stream that is not there.
    """
    for descriptor, name in enumerate(STREAMS):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest that is free: this one
        if getattr(sys, name) is None:
            mode = "w" if descriptor else "r"
            setattr(sys, name, open(descriptor, mode, errors="replace", closefd=False))  # noqa: SIM115
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if type(stream) is io.TextIOWrapper:  # as Python makes it: whoever replaced it knows what he does
            with suppress(OSError):
                stream.flush()
            setattr(sys, name, _wrapped(stream))
    _forgive(sys.stderr)


def work_on() -> None:
    """From now on, go on with the work though nothing may be printed any more."""
    _forgive(sys.stdout)


def is_screen(stream: IO[str]) -> bool:
    """Whether somebody looks at it, whatever the environment says of colours.

    It is a terminal, and this is no job in its background: that would draw over what its shell is used for.
    """
    if not stream.isatty():
        return False
    try:
        return os.tcgetpgrp(stream.fileno()) == os.getpgrp()
    except OSError:  # not the terminal that this process belongs to
        return True


def failure() -> OSError | None:
    """Why something that was printed did not get where it should."""
    output = _output(sys.stdout)
    return None if output is None else output.failure


def lost() -> str | None:
    """Why something is missing in what was printed beside the work, where somebody may look for it."""
    output = _output(sys.stdout)
    if output is None or not output.forgiving or output.failure is None:
        return None
    is_gone = output.failure.errno in (errno.EPIPE, errno.EIO)  # who read the pipe; the terminal
    return None if is_gone else output.failure.strerror


def _wrapped(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    raw = _Output(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=stream.encoding, errors=stream.errors, line_buffering=True
    )


def _forgive(stream: Any) -> None:
    output = _output(stream)
    if output is not None:
        output.forgiving = True
        stream.reconfigure(errors="backslashreplace")  # nor does a letter that the terminal has not


def _output(stream: Any) -> _Output | None:
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return raw if isinstance(raw, _Output) else None
