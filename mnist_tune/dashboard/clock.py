"""The dashboard's clock, in UTC like our times."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import Self

from mnist_tune.dashboard.internals import use_clock


class Clock(datetime):
    """Times with the zone UTC."""

    @classmethod
    def now(cls, tz: tzinfo | None = UTC) -> Self:
        """The present time, by default in UTC."""
        return super().now(tz)


def go_by_utc() -> None:
    """Have the dashboard's page ask for the time in UTC."""
    use_clock(Clock)
