"""The instructions for a new process, and how the process carries them out."""

from __future__ import annotations

import importlib
import os
import signal
import struct
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any, NoReturn

from mnist_tune import __version__
from mnist_tune.errors import FAILED, MISTAKE
from mnist_tune.processes import fork_server, standard_streams
from mnist_tune.processes.title import set_title
from mnist_tune.text.visible import visible

EXIT_CODE = struct.Struct("q")
"""The format in which a process reports its exit code."""


@dataclass(frozen=True)
class Instructions:
    """What a new process must call, and what it takes over from the process that starts it."""

    version: str
    target: str
    arguments: Sequence[Any]
    argv: Sequence[str]
    environment: dict[str, str]
    folder: str
    streams: Sequence[Any]
    report: Any
    cores: set[int] | None
    session: int | None
    has_server: bool
    """Whether fork servers work here."""


def refuse_version(starter: str) -> str | None:
    """Why this process cannot run for a command of version `starter`; None if the versions are equal."""
    if starter == __version__:
        return None
    return (
        f"{Path(__file__).parents[1]} is version {__version__}, and the command that started it {starter}; "
        "install the same version everywhere, and start again"
    )


class Descriptor:
    """A descriptor to be sent to a child; unpickled there, it is the child's number for it."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrived, (DupFd(self._number),)


def _arrived(duplicate: Any) -> int:
    number: int = duplicate.detach()
    return number


def live(told: Instructions) -> None:
    """Carry out the instructions in the new process, and report its exit code."""
    code = FAILED
    try:
        _become(told)
        module, _, name = told.target.partition(":")
        getattr(importlib.import_module(module), name)(*told.arguments)
        code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 0 if leaving.code is None else FAILED
        raise
    finally:
        with suppress(OSError):
            told.report.send_bytes(EXIT_CODE.pack(code))


def _become(told: Instructions) -> None:
    for number, descriptor in enumerate(told.streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - the old one is the fork server's
    standard_streams.take_over()
    if refusal := refuse_version(told.version):
        _leave(refusal, MISTAKE)
    try:
        os.chdir(told.folder)
    except OSError as error:
        _leave(f"the current folder {told.folder}: {error.strerror}", FAILED)
    if not told.has_server:
        fork_server.do_without()
    if told.session != os.getsid(0):
        os.setsid()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTSTP})
    if told.cores is not None:
        os.sched_setaffinity(0, told.cores)
    os.environ.clear()
    os.environ.update(told.environment)
    time.tzset()  # the C library reads $TZ once, and has done so in the fork server
    if "numpy" in sys.modules:  # a fork reseeds Python's random numbers, but not NumPy's
        sys.modules["numpy"].random.seed()
    sys.argv = list(told.argv)
    set_title(told.argv)


def _leave(message: str, code: int) -> NoReturn:
    print(f"mnist-tune: {visible(message)}", file=sys.stderr)  # noqa: T201
    sys.exit(code)
