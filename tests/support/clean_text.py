"""Text of which nothing is hidden or obeyed."""

from __future__ import annotations

from mnist_tune.text.visible import EMPTY


def is_clean(text: str) -> bool:
    """Whether every line of it is text that is seen."""
    return all(line.isprintable() and not EMPTY.search(line) for line in text.split("\n"))
