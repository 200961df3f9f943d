"""Keeps a process working when its standard output or error cannot be written.

A terminal may be closed, the reader of a pipe may be gone, or a log's disk may be full: that ends no trial.
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
"""The names of the standard streams, by their descriptors 0, 1 and 2."""


LINE_BUFFERED = 1
"""C's _IOLBF."""


class _Output(io.FileIO):
    """Standard output or error. While it is `forgiving`, failed writes are dropped and raise nothing."""

    forgiving = False
    failure: OSError | None = None
    """The first error of a write."""

    def write(self, content: Any) -> int:
        try:
            while (written := super().write(content)) is None:  # another process has made it non-blocking
                select.select([], [self], [])
        except OSError as error:
            self.failure = self.failure or error
            if not self.forgiving:
                raise
            return memoryview(content).nbytes
        return written


def take_over() -> None:
    """Make standard error forgiving, and open closed streams as /dev/null. Call it before anything else.

    Else the next file to be opened, perhaps a database, would get the number of a closed stream.
    """
    for descriptor, name in enumerate(STREAMS):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it gets the lowest free number
        if getattr(sys, name) is None:
            mode = "w" if descriptor else "r"
            setattr(sys, name, open(descriptor, mode, errors="replace", closefd=False))  # noqa: SIM115
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if type(stream) is io.TextIOWrapper:  # Python's own; other objects were put there on purpose
            with suppress(OSError):
                stream.flush()
            setattr(sys, name, _wrapped(stream))
    _forgive(sys.stderr)


def work_on() -> None:
    """Make standard output forgiving too: from now on the work goes on without it."""
    _forgive(sys.stdout)


def have_c_print_lines() -> None:
    """Have C code print line by line, as on a terminal, so that nothing is lost if the process is killed."""
    library, stream = _c_output()
    if stream:
        library.setvbuf(stream, None, LINE_BUFFERED, 0)


def flush() -> None:
    """Write out what is printed and has no line's end yet: by Python, whoever has replaced it, and by C."""
    streams: tuple[Any, ...] = (sys.stdout, sys.stderr, sys.__stdout__)
    for stream in streams:
        with suppress(Exception):  # it is closed, or no stream
            stream.flush()
    library, c_stream = _c_output()
    if c_stream:
        library.fflush(c_stream)


def is_screen(stream: IO[str]) -> bool:
    """Whether a person watches the stream, whatever the environment says of colours.

    It is a terminal, and this process is not a background job of its shell, which must not draw on the
    screen.
    """
    if not stream.isatty():
        return False
    try:
        return os.tcgetpgrp(stream.fileno()) == os.getpgrp()
    except OSError:  # it is another terminal than that of this process
        return True


def failure() -> OSError | None:
    """The first error of a write to standard output; None if all went well."""
    output = _output(sys.stdout)
    return None if output is None else output.failure


def lost() -> str | None:
    """Why forgiven output is missing where somebody may look for it; None if it is not."""
    output = _output(sys.stdout)
    if output is None or not output.forgiving or output.failure is None:
        return None
    is_gone = output.failure.errno in (errno.EPIPE, errno.EIO)  # the pipe's reader, or the terminal
    return None if is_gone else output.failure.strerror


def _c_output() -> tuple[Any, Any]:
    """The C library, and its standard output; None where it has another name."""
    import ctypes  # few commands need it

    library = ctypes.CDLL(None)
    for name in ("stdout", "__stdoutp"):  # Linux, macOS
        with suppress(ValueError):
            return library, ctypes.c_void_p.in_dll(library, name)
    return library, None


def _wrapped(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    raw = _Output(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=stream.encoding, errors=stream.errors, line_buffering=True
    )


def _forgive(stream: Any) -> None:
    output = _output(stream)
    if output is not None:
        output.forgiving = True
        stream.reconfigure(errors="backslashreplace")  # nor does a character that the terminal lacks


def _output(stream: Any) -> _Output | None:
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return raw if isinstance(raw, _Output) else None
