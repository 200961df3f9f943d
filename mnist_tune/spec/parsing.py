"""Reads TOML, JSON and YAML text as plain data: tables with text as keys, lists, text, numbers, dates.

Features beyond these, and content that nobody writes on purpose, are refused in one line.
"""

from __future__ import annotations

import codecs
import json
import stat
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date, time
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, Never

from mnist_tune.spec.plain_data import NotPlainError, place

Format = Literal["toml", "json", "yaml"]
MOST_BYTES = 1_000_000
"""The largest file: three times the size of a grid of 100,000 cells."""
DEEPEST = 20
"""The deepest nesting of tables: specs have four levels."""


def read_text(path: Path) -> str:
    """The text of a file, whatever its newlines, with or without a byte order mark.

    Raises:
        NotPlainError: it is too large, or not text in UTF-8.
        OSError: it cannot be read.
    """
    kind = path.stat().st_mode
    if stat.S_ISBLK(kind) or stat.S_ISCHR(kind):  # a device may have no end
        raise NotPlainError("is a device; name a file")
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise NotPlainError(f"has more than {MOST_BYTES // 10**6} MB; name a spec or a configuration")
    if b"\0" in content:
        is_text = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        raise NotPlainError("is in UTF-16; save it as UTF-8" if is_text else "is not a text file in UTF-8")
    try:
        text = content.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise NotPlainError(f"line {line} is not UTF-8; save the file as UTF-8") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse(text: str, format_: Format) -> Any:
    """The plain data in the text of a document.

    Raises:
        NotPlainError: the text is not in this format, or holds more than plain data.
    """
    if not text.strip():
        raise NotPlainError("is empty")
    parsers: dict[Format, Callable[[str], Any]]
    parsers = {"toml": tomllib.loads, "json": _parse_json, "yaml": _parse_yaml}
    try:
        content = parsers[format_](text)
    except NotPlainError:
        raise
    except RecursionError:
        raise NotPlainError(f"is nested more than {DEEPEST} deep") from None
    except ValueError as error:  # e.g. a number with thousands of digits, or a day that does not exist
        problem = " ".join(str(error).partition("; use sys.")[0].split())
        raise NotPlainError(f"is not valid {format_.upper()}: {problem}") from None
    return _checked(content)


def plain(content: Mapping[str, Any]) -> Any:
    """Read a table made in Python as if it were a document.

    Tuples become lists, and NumPy's numbers become Python's. The result shares nothing with `content`.

    Raises:
        NotPlainError: it holds more than plain data.
    """
    return _checked(_copied(content, 0))


def _copied(content: Any, depth: int) -> Any:
    if depth > DEEPEST:
        raise NotPlainError(f"is nested more than {DEEPEST} deep")
    if isinstance(content, Mapping):
        return {key: _copied(value, depth + 1) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_copied(value, depth + 1) for value in content]
    if isinstance(content, str):
        return str.__str__(content)
    if isinstance(content, bool):
        return content
    if isinstance(content, Integral):
        return int(content)
    return float(content) if isinstance(content, Real) else content


def _checked(content: Any) -> Any:
    if content in (None, {}):
        raise NotPlainError("is empty")
    _check(content, ())
    return content


def _check(content: Any, location: tuple[str, ...]) -> None:
    where = f"{'.'.join(location)}: " if location else ""
    if len(location) > DEEPEST:
        raise NotPlainError(f"{'.'.join(location[:3])}: is nested more than {DEEPEST} deep")
    if isinstance(content, dict):
        for key, value in content.items():
            if not isinstance(key, str):
                raise NotPlainError(f"{where}the key {key!r} is no text; write it in quotes")
            _check(key, location)
            _check(value, (*location, key))
    elif isinstance(content, list):
        for number, value in enumerate(content):
            _check(value, (*location, str(number)))
    elif isinstance(content, str):
        if not content.isascii() and any("\ud800" <= each <= "\udfff" for each in content):
            raise NotPlainError(f"{where}{content!r} is half a character; write it whole")
    elif content is None:
        raise NotPlainError(f"{where}null is no value; remove the key")
    elif not isinstance(content, int | float | date | time):
        raise NotPlainError(f"{where}is no text, number, list or table")


def _parse_json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_table, parse_constant=_refuse_constant)


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    for key, count in Counter(key for key, _ in pairs).items():
        if count > 1:
            raise NotPlainError(f"has the key '{key}' twice in one table; remove one")
    return dict(pairs)


def _refuse_constant(constant: str) -> Never:
    raise NotPlainError(f"is not valid JSON: {constant} is no number there")


def _parse_yaml(text: str) -> Any:
    import yaml

    from mnist_tune.spec.plain_yaml import PlainLoader

    try:
        return yaml.load(text, PlainLoader)
    except yaml.MarkedYAMLError as error:
        problem = " ".join(filter(None, (error.context, error.problem)))
        raise NotPlainError(f"is not valid YAML: {problem}{place(error.problem_mark)}") from None
    except yaml.YAMLError as error:
        problem = " ".join(str(error).split())
        raise NotPlainError(f"is not valid YAML: {problem}") from None
