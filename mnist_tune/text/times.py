"""Times as the clock on the wall shows them. Inside all are in UTC, and say so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

LOG_FORMAT = "%Y-%m-%d %H:%M:%SZ"
LOG_WIDTH = len("2026-10-25 00:50:00Z")


def local_time(time: datetime) -> str:
    """A time as the clock on the wall shows it, with its offset from UTC: one hour a year comes twice."""
    return _on_the_wall(time).isoformat(sep=" ", timespec="seconds")


def stamp(*, on_terminal: bool) -> str:
    """The time now, to begin a line with. A log may be read later, and elsewhere."""
    now = datetime.now(UTC)
    return f"{_on_the_wall(now):%H:%M:%S}" if on_terminal else local_time(now)


def log_stamp() -> str:
    """The time now, to begin a line of a stored log with."""
    return datetime.now(UTC).strftime(LOG_FORMAT)


def retold(line: str) -> str:
    """A line of a stored log as one is shown; one that does not begin with such a time, as it is."""
    stored, text = line[:LOG_WIDTH], line[LOG_WIDTH:]
    try:
        return local_time(datetime.strptime(stored, LOG_FORMAT).replace(tzinfo=UTC)) + text
    except ValueError:
        return line


def zone_at(time: datetime) -> timezone:
    """The offset from UTC that the clock on the wall had then, for an axis: on it no hour comes twice."""
    return timezone(_on_the_wall(time).utcoffset() or timedelta())


def on_axis(time: datetime, zone: timezone) -> str:
    """A time as Plotly reads it, which knows no zones."""
    return _in(zone, time).replace(tzinfo=None).isoformat(sep=" ", timespec="milliseconds")


def _on_the_wall(time: datetime) -> datetime:
    return _in(None, time)


def _in(zone: timezone | None, time: datetime) -> datetime:
    try:
        return time.astimezone(zone)
    except (OverflowError, ValueError, OSError):  # the first and the last years that can be stored
        return time.astimezone(UTC)
