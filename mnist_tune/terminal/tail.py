"""Follows the logs of trials: prints a line for each new event."""

from __future__ import annotations

from typing import Self

from rich.console import Console

from mnist_tune.results.standing import totals
from mnist_tune.results.study_results import Results
from mnist_tune.results.trial_result import State
from mnist_tune.terminal.events import attempt_events


class Tail:
    """Prints what happens in a study, or to one trial of it, between two readings."""

    def __init__(self, results: Results, console: Console, trial: int | None = None) -> None:
        self._results = results
        self._console = console
        self._trial = trial

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, now: Results) -> None:
        """Print what is new in this reading."""
        known = {attempt.number: attempt for attempt in self._results.attempts}
        standing = totals(now)
        for attempt in now.attempts:
            if self._trial in (None, attempt.number):
                for line in attempt_events(known.get(attempt.number), attempt, now, standing):
                    self._console.print(line)
        self._results = now

    def say(self, notice: str) -> None:
        """Print a message that is not an event of a trial."""
        self._console.print(notice)

    def look_at_the_size(self) -> None:
        """Do nothing: lines do not depend on the size of the terminal."""

    def is_over(self, now: Results) -> bool:
        """Whether nothing more will happen."""
        trials = {attempt.number: attempt.state for attempt in now.attempts}
        ended = self._trial is not None and trials[self._trial] not in (State.WAITING, State.RUNNING)
        return ended or now.is_over
