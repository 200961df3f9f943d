"""Times as a local clock shows them. Inside the program all times are in UTC, with a zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

LOG_FORMAT = "%Y-%m-%d %H:%M:%SZ"
LOG_WIDTH = len("2026-10-25 00:50:00Z")


def local_time(time: datetime) -> str:
    """A time as a local clock shows it, with its offset from UTC: one hour a year comes twice."""
    return _on_the_wall(time).isoformat(sep=" ", timespec="seconds")


def stamp(*, on_terminal: bool) -> str:
    """The time now, for the start of a line. A line of a log gets a date and a zone too."""
    now = datetime.now(UTC)
    return f"{_on_the_wall(now):%H:%M:%S}" if on_terminal else local_time(now)


def log_stamp() -> str:
    """The time now in UTC, for the start of a line in a stored log."""
    return datetime.now(UTC).strftime(LOG_FORMAT)


def retold(line: str) -> str:
    """A line of a stored log with its time in local time; a line without a time stays as it is."""
    stored, text = line[:LOG_WIDTH], line[LOG_WIDTH:]
    try:
        return local_time(datetime.strptime(stored, LOG_FORMAT).replace(tzinfo=UTC)) + text
    except ValueError:
        return line


def zone_at(time: datetime) -> timezone:
    """The offset from UTC that the local clock had at a time; a plot's axis keeps one offset throughout."""
    return timezone(_on_the_wall(time).utcoffset() or timedelta())


def on_axis(time: datetime, zone: timezone) -> str:
    """A time in this zone as text for Plotly, which knows no zones."""
    return _in(zone, time).replace(tzinfo=None).isoformat(sep=" ", timespec="milliseconds")


def _on_the_wall(time: datetime) -> datetime:
    return _in(None, time)


def _in(zone: timezone | None, time: datetime) -> datetime:
    try:
        return time.astimezone(zone)
    except (OverflowError, ValueError, OSError):  # the first and the last years that can be stored
        return time.astimezone(UTC)
