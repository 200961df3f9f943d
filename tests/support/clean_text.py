"""Recognises text in which nothing is hidden and no terminal obeys anything."""

from __future__ import annotations

from mnist_tune.text.visible import EMPTY


def is_clean(text: str) -> bool:
    """Whether every character in every line of the text is visible."""
    return all(line.isprintable() and not EMPTY.search(line) for line in text.split("\n"))
