"""Speeds as people read them. Training processes import this, which must be light."""

from __future__ import annotations


def speed(value: float | None) -> str:
    """How many things a second, in at most 9 characters: 12,345, 9.9, 0.37; empty for None."""
    if value is None:
        return ""
    if value and value < 9.95:  # slow jobs differ too
        return f"{value:#.2g}"
    return f"{value:,.0f}" if value < 1e7 - 0.5 else f"{value:.2e}"
