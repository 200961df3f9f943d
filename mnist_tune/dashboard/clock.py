"""The clock that the dashboard goes by: in UTC, as our times are."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import Self

from mnist_tune.dashboard.internals import use_clock


class Clock(datetime):
    """Times that say that they are in UTC."""

    @classmethod
    def now(cls, tz: tzinfo | None = UTC) -> Self:
        """The time."""
        return super().now(tz)


def go_by_utc() -> None:
    """Have the dashboard's page ask for the time in UTC."""
    use_clock(Clock)
