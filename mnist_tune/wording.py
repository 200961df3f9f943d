"""Times and stored text as people read them."""

from __future__ import annotations


def clock(seconds: float) -> str:
    """Seconds as a stopwatch shows them: 6:55, 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def duration(seconds: float) -> str:
    """Seconds as people say them: 45 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def first_line(text: str) -> str:
    """The first line of a stored text, safe to print."""
    # A reason may hold anything, terminal escape sequences too.
    return "".join(filter(str.isprintable, text.split("\n", 1)[0]))
