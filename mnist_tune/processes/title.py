"""Sets what `ps` and `top` show for a forked process, which has the command line of its fork server."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

NAME = "mnist-tune"
ARG_START, ARG_END = 45, 46
"""Where the command line is in memory: fields of /proc/self/stat after the name, see proc(5)."""


def set_title(arguments: Sequence[str]) -> None:
    """Show `arguments` as the command line, as far as there is room; macOS never forks, so only on Linux."""
    if sys.platform != "linux":
        return
    with suppress(OSError, ValueError, IndexError):
        fields = (
            Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace").rsplit(")", 1)[1].split()
        )
        start, end = int(fields[ARG_START]), int(fields[ARG_END])
        room = end - start
        if start and room > 1:  # the addresses are 0 if the process may not read them
            title = "\0".join(arguments).encode(errors="replace")[: room - 1]
            ctypes.memmove(start, title.ljust(room, b"\0"), room)
        Path("/proc/self/comm").write_text(NAME, encoding="ascii")
