"""The clock that the dashboard goes by: in UTC, as our times are.

Stock asks for the local time without a zone: where clocks are put back, the page would show nothing new for
an hour.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from types import SimpleNamespace
from typing import Any, Self

import optuna_dashboard._storage as dashboard_storage
from optuna.visualization import _timeline as timeline


class Clock(datetime):
    """Times that say that they are in UTC."""

    @classmethod
    def now(cls, tz: tzinfo | None = UTC) -> Self:
        """The time."""
        return super().now(tz)


def go_by_utc() -> None:
    """Have Optuna's timeline, and the dashboard's memory of what it has read, ask for the time in UTC."""
    modules: tuple[Any, Any] = dashboard_storage, timeline
    modules[0].datetime = Clock
    modules[1].datetime = SimpleNamespace(datetime=Clock, timedelta=timedelta)
