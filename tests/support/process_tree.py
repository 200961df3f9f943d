"""Finds processes of this machine by their parents, and kills them without warning."""

from __future__ import annotations

import os
import signal
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def descendants(pid: int) -> list[int]:
    """All processes that a process has started, and that these have, in any session or group."""
    children = defaultdict(list)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text(encoding="utf-8", errors="replace").rsplit(")", 1)[1].split()
            children[int(fields[1])].append(int(stat.parent.name))

    def below(parent: int) -> Iterator[int]:
        for child in children[parent]:
            yield child
            yield from below(child)

    return list(below(pid))


def training_processes(worker: int) -> list[int]:
    """The training processes of a worker, found by their command lines: their parent is the fork server."""
    sought = b"\0".join([b"mnist-tune", b"training", b"of", str(worker).encode()])
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if line.read_bytes().rstrip(b"\0") == sought:
                found.append(int(line.parent.name))
    return found


def command_line(pid: int) -> list[str]:
    """The words of a process's command line; none if it has ended."""
    try:
        shown = Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return shown.rstrip("\0").split("\0")


def started_with(variable: str, value: str) -> list[int]:
    """All processes with this variable in their environment."""
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if f"{variable}={value}".encode() in environment.read_bytes().split(b"\0"):
                found.append(int(environment.parent.name))
    return found


def started_with_prefix(variable: str, beginning: str) -> list[int]:
    """All processes in whose environment this variable's value begins so."""
    sought, found = f"{variable}={beginning}".encode(), []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if any(one.startswith(sought) for one in environment.read_bytes().split(b"\0")):
                found.append(int(environment.parent.name))
    return found


def kill_all(pids: list[int]) -> None:
    """Kill all processes at once, as a power cut does, so that none sees another end."""
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
