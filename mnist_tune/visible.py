"""The one way out for text that is not ours: what a terminal obeys, or nobody sees, is spelt out."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

EMPTY = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""What Unicode counts as a letter, a mark or a symbol, though it leaves no trace or only empty space."""


def visible(text: object) -> str:
    r"""A value on one line.

    Control characters (a line break too), marks of direction, and what has no width are shown as Python
    writes them: `\x1b`, `\u202e`, `\n`.
    """
    return spelt_out(str(text), lambda hidden: hidden.encode("unicode_escape").decode("ascii"))


def visible_lines(text: str) -> list[str]:
    """A text of several lines, which stay lines."""
    lines = text.removesuffix("\n").split("\n")
    return [visible(line.removesuffix("\r").expandtabs()) for line in lines]


def spelt_out(text: str, spell: Callable[[str], str]) -> str:
    """A text with each character that is not seen replaced."""
    if text.isprintable() and (text.isascii() or not EMPTY.search(text)):
        return text
    return "".join(spell(character) if _is_hidden(character) else character for character in text)


def _is_hidden(character: str) -> bool:
    if character.isprintable():
        return EMPTY.match(character) is not None
    return unicodedata.category(character) != "Zs"  # spaces of other widths are seen as well as ours
