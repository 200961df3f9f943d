"""Defines plain data: which numbers a document may have, and the error for anything else."""

from __future__ import annotations

import math
import re
from typing import Any

DIGITS = r"\d+(?:_\d+)*"
NUMBER = re.compile(rf"([-+]?)(?=\.?\d)({DIGITS})?(\.(?:{DIGITS})?)?(?:[eE]([-+]?)({DIGITS}))?", re.ASCII)
LARGEST = 10**15
"""Whole numbers below this have an exact floating-point value."""


class NotPlainError(ValueError):
    """What is wrong with a document, and what to write instead."""


class TextLikeNumber(str):
    """A text that looks like a number but is text in YAML, such as 1e-3 and 089."""

    __slots__ = ()

    def as_number(self, *, whole: bool) -> str | None:
        """The number, whole if asked for, as YAML writes it; None if it cannot have been meant."""
        number = float(self)
        if whole:
            return str(int(number)) if number.is_integer() and abs(number) < LARGEST else None
        match = NUMBER.fullmatch(self.replace("_", ""))
        if match is None or not math.isfinite(number):
            return None
        sign, digits, fraction, sign_of_exponent, exponent = match.groups()
        written = f"{sign}{digits or 0}{fraction or '.0'}"
        return f"{written}e{sign_of_exponent or '+'}{exponent}" if exponent else written


def place(mark: Any) -> str:
    """Where in the text a mark is, in the words of the other two formats' parsers."""
    return "" if mark is None else f" (at line {mark.line + 1}, column {mark.column + 1})"
