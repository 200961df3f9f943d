"""Makes text that is not ours safe to print: control characters and invisible ones are escaped."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

EMPTY = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Characters that Unicode counts as letters, marks or symbols, but that show nothing or only space."""


# Each pattern reads a text once without going back: whoever stored it may have made it very long.
DATABASE_URL = re.compile(
    r"(?<![\w+])(?=[\w+]++:/\S)([\w+]*?\b(?:postgres|mysql|maria)[\w+]*+:/{1,3})(\S+)", re.IGNORECASE
)
"""A database URL in a text; one that was once taken for a path has fewer slashes."""
ITS_PARTS = re.compile(
    r"""(?:(?P<user>[^\s:@]*)(?P<password>:[^\s@]*)?@)?
    (?P<place>(?:\[[0-9a-f:.]+\]|[\w.-]*+)(?::[0-9]++)?+(?:/[^\s@?]*+)?+)
    (?P<options>\?\S*)?(?P<stop>[:;,.)'"]*)""",
    re.IGNORECASE | re.VERBOSE,
)
PASSWORD = re.compile(r"(\w:/{1,3}[^\s/:@]*):[^\s/]*@")
"""The user and password in a URL that is not a database's."""
TOKEN_PREFIX = "mnt_"
"""The beginning of every token of a head."""
TOKEN = re.compile(rf"{TOKEN_PREFIX}[\w-]{{32,}}", re.ASCII)
"""A token, or the most of one, wherever it stands."""


def visible(text: object) -> str:
    r"""A value as one line of text, without the passwords of URLs and without tokens.

    Control characters (line breaks too), marks of direction, and characters without width are escaped as in
    Python: `\x1b`, `\u202e`, `\n`.
    """
    return spelt_out(
        without_passwords(str(text)), lambda hidden: hidden.encode("unicode_escape").decode("ascii")
    )


def visible_text(text: str) -> str:
    """A text of several lines, each made safe by `visible`."""
    return "\n".join(map(visible, text.split("\n")))


def visible_lines(text: str) -> list[str]:
    """The lines of a text, each made safe by `visible`; tabs become spaces."""
    lines = text.removesuffix("\n").split("\n")
    return [visible(line.removesuffix("\r").expandtabs()) for line in lines]


def without_passwords(text: str) -> str:
    """A text with asterisks in place of tokens, of the passwords of URLs, and of what may be part of one."""
    if TOKEN_PREFIX in text:
        text = TOKEN.sub(f"{TOKEN_PREFIX}***", text)
    return PASSWORD.sub(r"\1:***@", DATABASE_URL.sub(_without_password, text)) if ":/" in text else text


def _without_password(url: re.Match[str]) -> str:
    parts = ITS_PARTS.fullmatch(url[2])
    if parts is None:  # the URL cannot be split, so all of it may be a password
        return f"{url[1]}***"
    user = "" if parts["user"] is None else f"{parts['user']}{':***' if parts['password'] else ''}@"
    options = "?***" if parts["options"] else ""
    return f"{url[1]}{user}{parts['place']}{options}{parts['stop']}"


def spelt_out(text: str, spell: Callable[[str], str]) -> str:
    """A text in which `spell` replaces each invisible character."""
    if text.isprintable() and (text.isascii() or not EMPTY.search(text)):
        return text
    return "".join(spell(character) if _is_hidden(character) else character for character in text)


def _is_hidden(character: str) -> bool:
    if character.isprintable():
        return EMPTY.match(character) is not None
    return unicodedata.category(character) != "Zs"  # spaces of other widths are visible
