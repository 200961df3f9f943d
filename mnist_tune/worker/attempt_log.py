"""The log of an attempt: all that its worker says of it, and the newest of what its job prints."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from mnist_tune.text.printed import as_unfinished, printed_line
from mnist_tune.text.times import LOG_WIDTH, log_stamp

MAX_PRINTED = 1_000_000
"""The most bytes of printed lines that a log has, with their times."""
MARK = " | "
"""Stands between the time and the text of a printed line, and in no line of the worker."""
BLOCK_BYTES = 1 << 16


@dataclass
class _Block:
    """Whole lines that were printed in the same second."""

    after: int
    """How many lines the worker had said before."""
    stamp: str
    content: bytearray
    lines: int

    @property
    def size(self) -> int:
        """About as many bytes as its lines will have in the log."""
        return len(self.content) + self.lines * (LOG_WIDTH + len(MARK))


class AttemptLog:
    """Lines with their times. Any thread may call its methods; none of them waits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._said: list[str] = []
        self._printed: deque[_Block] = deque()
        self._size = 0
        self._left_out = 0
        self._unfinished = _Block(0, "", bytearray(), 1)
        """A line whose end has not come."""

    def say(self, line: str) -> None:
        """Add a line of the worker."""
        with self._lock:
            self._said.append(f"{log_stamp()} {line}")

    def printed(self, content: bytes) -> None:
        """Add what the job has printed. A line may come in pieces."""
        with self._lock:
            whole, newline, rest = content.rpartition(b"\n")
            begun = bytes(self._unfinished.content)
            if newline:
                self._add(begun + whole + newline)
                begun = b""
            left = as_unfinished(begun + rest)
            self._unfinished = _Block(len(self._said), log_stamp(), bytearray(left), 1)

    def lines(self, max_printed: int = MAX_PRINTED) -> list[str]:
        """All lines of the worker, and the newest printed ones that fit into so many bytes."""
        with self._lock:
            said, left_out = list(self._said), self._left_out
            all_blocks = [*self._printed, *([self._unfinished] if self._unfinished.content else [])]
            blocks = [(block.after, block.stamp, bytes(block.content)) for block in all_blocks]
        printed: list[tuple[int, str]] = []
        for after, stamp, content in reversed(blocks):
            for each in reversed(content.removesuffix(b"\n").split(b"\n")):
                line = printed_line(each) if max_printed > 0 else ""
                entry = f"{stamp}{MARK}{line}"
                max_printed -= len(entry.encode()) + 1 if line else 0
                if max_printed <= 0:
                    left_out += 1
                elif line:
                    printed.append((after, entry))
        if left_out:
            after, entry = printed[-1] if printed else (len(said), log_stamp())
            notice = f"{entry[:LOG_WIDTH]} the job has printed {left_out:,} lines more, which are left out"
            printed.append((after, notice))
        in_order = [*((after, 0, line) for after, line in reversed(printed))]
        in_order += [(number, 1, line) for number, line in enumerate(said)]
        return [line for _, _, line in sorted(in_order, key=lambda entry: entry[:2])]

    def _add(self, content: bytes) -> None:
        stamp, lines = log_stamp(), content.count(b"\n")
        last = self._printed[-1] if self._printed else None
        if last is None or (last.after, last.stamp) != (len(self._said), stamp) or last.size > BLOCK_BYTES:
            last = _Block(len(self._said), stamp, bytearray(), 0)
            self._printed.append(last)
        self._size -= last.size
        last.content += content
        last.lines += lines
        self._size += last.size
        while self._size - self._printed[0].size >= MAX_PRINTED:
            oldest = self._printed.popleft()
            self._size -= oldest.size
            self._left_out += oldest.lines
