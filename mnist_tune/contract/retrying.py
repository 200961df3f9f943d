"""Repeats a call to a study that does not answer, for a limited time, until it does."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from mnist_tune.contract.study import StorageAway
from mnist_tune.errors import MnistTuneError

T = TypeVar("T")

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0  # seconds
LOOK_SECONDS = 0.05
"""How often a pause looks whether there is a hurry."""


def away(error: Exception) -> str | None:
    """Why a study does not answer; None for an error of another kind."""
    return str(error) if isinstance(error, StorageAway) else None


class StorageRetry:
    """Repeats a call, with growing pauses, until it is answered or `seconds` have passed.

    The call must be safe to repeat. Only failures that may pass are waited for.
    """

    def __init__(
        self,
        seconds: float,
        log: Callable[[str], None],
        hurry: Callable[[], bool],
        away: Callable[[Exception], str | None] = away,
    ) -> None:
        self._seconds = seconds
        self._log = log
        self._hurry = hurry
        """Whether somebody has asked for a quick end: then the next failure is final."""
        self._away = away
        """Says in one line why a failure may pass; None if it will not."""

    def __call__(self, call: Callable[[], T]) -> T:
        """Return the answer of `call`, which is repeated while the storage is away.

        Raises:
            MnistTuneError: the storage was away for too long.
        """
        away_since = None
        pause = FIRST_PAUSE
        while True:
            asked = time.monotonic()
            try:
                answer = call()
            except Exception as error:
                why = self._away(error)
                if why is None:
                    raise
                now = time.monotonic()
                if away_since is None:
                    away_since = asked
                    self._log(f"the storage does not answer ({why}); asking again")
                if self._hurry() or now - away_since > self._seconds:
                    raise MnistTuneError(
                        f"the storage has not answered for {now - away_since:.0f} s: {why}; "
                        "see to it, and start again: nothing that was stored is lost"
                    ) from error
                # Random pauses, so that workers do not all ask at once; the last one ends when the time is
                # over.
                left = max(0.0, away_since + self._seconds - now)
                self._wait(min(pause * random.uniform(0.5, 1.0), left))
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                if away_since is not None:
                    self._log(f"the storage answers again, after {time.monotonic() - away_since:.1f} s")
                return answer

    def _wait(self, seconds: float) -> None:
        """Wait for so many seconds, or until there is a hurry."""
        end = time.monotonic() + seconds
        while not self._hurry() and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, LOOK_SECONDS))
