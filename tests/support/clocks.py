"""Time zones, and a clock that a test sets."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest

ZONES_DIFFER_BY = timedelta(minutes=15)
"""Two readings of the same moment are nearer, also on a busy machine, unless one is in another time zone."""


@contextmanager
def zone(name: str) -> Iterator[None]:
    """This process in a time zone."""
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TZ", name)
            time.tzset()
            yield
    finally:
        time.tzset()


@dataclass
class Clock:
    """Stands for the module `time` in one of ours, so that a test says what time it is."""

    seconds: float = 0.0

    def monotonic(self) -> float:
        return self.seconds
