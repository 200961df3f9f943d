"""The one way out for text that is not ours: what a terminal obeys, or nobody sees, is spelt out."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

EMPTY = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""What Unicode counts as a letter, a mark or a symbol, though it leaves no trace or only empty space."""


# No pattern here looks at a part of a text again and again: whoever stored it may have made it long.
DATABASE_URL = re.compile(
    r"(?<![\w+])(?=[\w+]++:/\S)([\w+]*?\b(?:postgres|mysql|maria)[\w+]*+:/{1,3})(\S+)", re.IGNORECASE
)
"""In a text; in one that was taken for a path, with fewer slashes."""
ITS_PARTS = re.compile(
    r"""(?:(?P<user>[^\s:@]*)(?P<password>:[^\s@]*)?@)?
    (?P<place>(?:\[[0-9a-f:.]+\]|[\w.-]*+)(?::[0-9]++)?+(?:/[^\s@?]*+)?+)
    (?P<options>\?\S*)?(?P<stop>[:;,.)'"]*)""",
    re.IGNORECASE | re.VERBOSE,
)
PASSWORD = re.compile(r"(\w:/{1,3}[^\s/:@]*):[^\s/]*@")
"""In a URL of another kind."""


def visible(text: object) -> str:
    r"""A value on one line, without the passwords of URLs.

    Control characters (a line break too), marks of direction, and what has no width are shown as Python
    writes them: `\x1b`, `\u202e`, `\n`.
    """
    return spelt_out(
        without_passwords(str(text)), lambda hidden: hidden.encode("unicode_escape").decode("ascii")
    )


def visible_text(text: str) -> str:
    """The same of a text of several lines, in which all else stays."""
    return "\n".join(map(visible, text.split("\n")))


def visible_lines(text: str) -> list[str]:
    """A text of several lines, which stay lines."""
    lines = text.removesuffix("\n").split("\n")
    return [visible(line.removesuffix("\r").expandtabs()) for line in lines]


def without_passwords(text: str) -> str:
    """A text whose URLs have asterisks for their passwords, and for whatever may be a part of one."""
    return PASSWORD.sub(r"\1:***@", DATABASE_URL.sub(_without_password, text)) if ":/" in text else text


def _without_password(url: re.Match[str]) -> str:
    parts = ITS_PARTS.fullmatch(url[2])
    if parts is None:  # it is no such URL: nobody knows what stands where
        return f"{url[1]}***"
    user = "" if parts["user"] is None else f"{parts['user']}{':***' if parts['password'] else ''}@"
    options = "?***" if parts["options"] else ""
    return f"{url[1]}{user}{parts['place']}{options}{parts['stop']}"


def spelt_out(text: str, spell: Callable[[str], str]) -> str:
    """A text with each character that is not seen replaced."""
    if text.isprintable() and (text.isascii() or not EMPTY.search(text)):
        return text
    return "".join(spell(character) if _is_hidden(character) else character for character in text)


def _is_hidden(character: str) -> bool:
    if character.isprintable():
        return EMPTY.match(character) is not None
    return unicodedata.category(character) != "Zs"  # spaces of other widths are seen as well as ours
