"""Reads a command's metrics: from lines of JSON, or from lines of its output by patterns."""

from __future__ import annotations

import json
import re
import signal
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mnist_tune.jobs.command.process import CommandProcess
from mnist_tune.jobs.interface import JobMistake
from mnist_tune.text.wording import first_line

EPOCH = "epoch"
"""The name of an epoch's number in a report."""
LONGEST_LINE = 100_000
"""The most characters of a line in which metrics are looked for."""

PATTERN_SECONDS = 5.0
"""How long the search for a pattern in a line may take: some patterns would take years."""


@dataclass(frozen=True)
class Report:
    """The metrics of an epoch, and its number if the command told it."""

    metrics: dict[str, Any]
    epoch: int | None = None


def json_report(line: str) -> Report:
    """The report in a line of JSON. Raises JobMistake."""
    shown = first_line(line)[:80]
    try:
        content = json.loads(line)
    except ValueError as error:
        raise JobMistake(f"$MNIST_TUNE_REPORT: {shown!r} is no line of JSON: {error}") from None
    if not isinstance(content, dict):
        raise JobMistake(f'$MNIST_TUNE_REPORT: {shown!r} should be like {{"epoch": 1, "error": 0.5}}')
    epoch = content.pop(EPOCH, None)
    if epoch is not None and (isinstance(epoch, bool) or not isinstance(epoch, int)):
        raise JobMistake(f"$MNIST_TUNE_REPORT: {shown!r}: epoch should be a whole number")
    return Report(content, epoch)


@dataclass
class PatternReader:
    """Finds metrics in lines of output; the line with the objective ends an epoch.

    Make and use it in the main thread: nothing but a signal interrupts the search for a pattern, not even the
    end of our worker, which another thread would see.
    """

    patterns: Sequence[re.Pattern[str]]
    objective: str
    _found: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.patterns:
            signal.signal(signal.SIGALRM, _takes_too_long)

    def read(self, line: str) -> Report | None:
        """The report of the epoch that ends with this line; None if none does. Raises JobMistake."""
        matches = [match for pattern in self.patterns if (match := _search(pattern, line[:LONGEST_LINE]))]
        for match in matches:
            self._found |= {name: text for name, text in match.groupdict().items() if text is not None}
        if not any(match.groupdict().get(self.objective) is not None for match in matches):
            return None
        found, self._found = self._found, {}
        epoch = found.pop(EPOCH, None)
        if epoch is not None and not epoch.isdecimal():
            raise JobMistake(f"pattern: the epoch {epoch!r} is no whole number")
        return Report(
            {name: _number(name, text) for name, text in found.items()}, None if epoch is None else int(epoch)
        )


class Reports:
    """The reports of a command that runs, one after the other."""

    def __init__(self, process: CommandProcess, patterns: PatternReader) -> None:
        self._process, self._patterns = process, patterns
        self._waiting: deque[Report] = deque()

    def next(self) -> Report | None:
        """The next report that has come; None if all that have come are read. Raises JobMistake."""
        return self._waiting.popleft() if self.has_next() else None

    def has_next(self) -> bool:
        """Whether a report has come that is not read. Raises JobMistake."""
        self._waiting += [json_report(line) for line in self._process.reports() if line.strip()]
        printed = (self._patterns.read(line) for line in self._process.output())
        self._waiting += [report for report in printed if report is not None]
        return bool(self._waiting)


def _search(pattern: re.Pattern[str], line: str) -> re.Match[str] | None:
    signal.setitimer(signal.ITIMER_REAL, PATTERN_SECONDS)
    try:
        return pattern.search(line)
    except TimeoutError:
        raise JobMistake(
            f"pattern {pattern.pattern!r}: takes more than {PATTERN_SECONDS:g} s for the line "
            f"{first_line(line)[:80]!r}; write it with fewer repetitions within repetitions"
        ) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _takes_too_long(*_: object) -> None:
    raise TimeoutError


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise JobMistake(f"pattern: {name} = {text!r} is no number") from None
