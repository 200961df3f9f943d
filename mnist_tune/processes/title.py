"""What `ps` and `top` show of a process that was forked and so has the command line of its fork server."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

NAME = "mnist-tune"
ARG_START, ARG_END = 45, 46
"""Of the fields of /proc/self/stat after the process's name, see proc(5): where its command line lies."""


def set_title(arguments: Sequence[str]) -> None:
    """Show these as the command line, as far as there is room. On Linux only; macOS has nothing forked."""
    if sys.platform != "linux":
        return
    with suppress(OSError, ValueError, IndexError):
        fields = (
            Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace").rsplit(")", 1)[1].split()
        )
        start, end = int(fields[ARG_START]), int(fields[ARG_END])
        room = end - start
        if start and room > 1:  # without the right to read it, it is 0
            title = "\0".join(arguments).encode(errors="replace")[: room - 1]
            ctypes.memmove(start, title.ljust(room, b"\0"), room)
        Path("/proc/self/comm").write_text(NAME, encoding="ascii")
