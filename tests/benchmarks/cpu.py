"""How much CPU time another process has used, by /proc."""

from __future__ import annotations

import os
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def cpu_seconds(process: int) -> float:
    """The CPU time of all threads of a process that runs."""
    # The second field is the program's name in parentheses, which may have any characters in it.
    _, _, fields = Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")
    user, system = map(int, fields.split()[11:13])
    return (user + system) / TICKS_PER_SECOND
