"""Why a command's trial failed, from its exit code and its last output."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence

from mnist_tune.failures import Failure

FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
KILLED = {code for number in FROM_OUTSIDE for code in (-number, 128 + number)}
"""Exit codes of a command that was killed; 128 and more are what a shell or a container makes of it."""
ENDED_BY_SIGTERM = (-signal.SIGTERM, 128 + signal.SIGTERM)
"""Exit codes of a command that ended by SIGTERM at once, and so may have been writing its state."""
SHORTAGE = re.compile("out of memory|can't allocate memory|MemoryError|std::bad_alloc")


class BeginsAnew(Exception):  # noqa: N818 - an outcome
    """The command must begin at its first epoch, without a saved state; the message says why."""


class CommandFailed(Exception):  # noqa: N818 - an outcome of a trial
    """The command ended in a way that fails its trial."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


def failure_of(code: int, last_lines: list[str]) -> Failure:
    """The failure of a command that ended with this exit code, or minus the number of a signal."""
    how = f"was killed by {_signal(-code)}" if code < 0 else f"exited with {code}"
    said = f"the command {how}: {last_lines[-1]}" if last_lines else f"the command {how}"
    reason = "\n".join([said, *last_lines])
    if code in KILLED:
        return Failure("lost", reason)
    is_short = any(SHORTAGE.search(line) for line in last_lines)
    return Failure("out_of_memory" if is_short else "exception", reason)


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def nothing_reported(last_lines: Sequence[str], patterns: Sequence[str]) -> Failure:
    """The failure of a command that ended well, and has reported no epoch."""
    why = "it wrote nothing to $MNIST_TUNE_REPORT"
    if patterns:
        last = f"; its last line: {last_lines[-1]}" if last_lines else ": it printed nothing"
        why = f"no line of its output fits the pattern{last}"
    return Failure("exception", f"the command reported no epoch: {why}")
