"""Times as the clock on the wall shows them. Inside all are in UTC, and say so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone


def shown(time: datetime) -> str:
    """A time as the clock on the wall shows it, with its offset from UTC: one hour a year comes twice."""
    return _on_the_wall(time).isoformat(sep=" ", timespec="seconds")


def zone_at(time: datetime) -> timezone:
    """The offset from UTC that the clock on the wall had then, for an axis: on it no hour comes twice."""
    return timezone(_on_the_wall(time).utcoffset() or timedelta())


def on_axis(time: datetime, zone: timezone) -> str:
    """A time as Plotly reads it, which knows no zones."""
    return time.astimezone(zone).replace(tzinfo=None).isoformat(sep=" ", timespec="milliseconds")


def _on_the_wall(time: datetime) -> datetime:
    try:
        return time.astimezone()
    except (OverflowError, ValueError, OSError):  # the first and the last years that can be stored
        return time.astimezone(UTC)
