"""Time zones, and a clock that a test sets."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest

ZONES_DIFFER_BY = timedelta(minutes=15)
"""Readings of the same moment differ by less, even on a busy machine, unless a time zone is wrong."""


@contextmanager
def zone(name: str) -> Iterator[None]:
    """Set this process's time zone within the block."""
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TZ", name)
            time.tzset()
            yield
    finally:
        time.tzset()


@dataclass
class Clock:
    """Stands for the module `time` in one of our modules, so that a test sets the time."""

    seconds: float = 0.0

    def monotonic(self) -> float:
        return self.seconds
