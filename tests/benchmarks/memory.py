"""Watches the memory of a process and of all its descendants while they run (Linux)."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

SECONDS = 0.2


@dataclass
class Peaks:
    """The peak of resident memory, in bytes, of each process."""

    by_process: dict[int, int] = field(default_factory=dict)
    parents: dict[int, int] = field(default_factory=dict)

    def of_each_child(self, process: int) -> list[int]:
        """The peaks of the processes that this one started, each with its own descendants."""
        return [self._with_children(child) for child, parent in self.parents.items() if parent == process]

    def of_a_worker_and_its_training(self, run: int) -> int:
        """The sum of the largest worker and the largest training process below a `mnist-tune run`.

        All of them are children of its fork server. Their memory includes what they share with it; their own
        is far less, see `many_starts`.
        """
        children = [child for child, parent in self.parents.items() if parent == run]
        below = sorted((self.of_each_child(child) for child in children), key=len)
        workers_and_training = sorted(below[-1])
        half = len(workers_and_training) // 2  # a training process is larger than a worker
        return workers_and_training[half - 1] + workers_and_training[-1]

    def _with_children(self, process: int) -> int:
        return self.by_process[process] + sum(self.of_each_child(process))


@contextmanager
def watched(root: int) -> Iterator[Peaks]:
    """Watch `root` and its descendants until the end of the block."""
    peaks, over = Peaks(), threading.Event()

    def watch() -> None:
        while not over.wait(SECONDS):
            _look(root, peaks)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peaks
    finally:
        over.set()
        thread.join()


def _look(process: int, peaks: Peaks) -> None:
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii", errors="replace")
        children = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii").split()
    except OSError:  # it has ended
        return
    if found := re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE):
        peaks.by_process[process] = int(found[1]) * 1024
    for child in map(int, children):
        peaks.parents[child] = process
        peaks.by_process.setdefault(child, 0)
        _look(child, peaks)
