"""What plain data is: the numbers that a document may have, and the complaint about anything else."""

from __future__ import annotations

import math
import re
from typing import Any

DIGITS = r"\d+(?:_\d+)*"
NUMBER = re.compile(rf"([-+]?)(?=\.?\d)({DIGITS})?(\.(?:{DIGITS})?)?(?:[eE]([-+]?)({DIGITS}))?", re.ASCII)
LARGEST = 10**15
"""Whole numbers below it are told exactly."""


class NotPlainError(ValueError):
    """What is wrong with a document, and what to do about it."""


class TextLikeNumber(str):
    """What looks like a number and is text in YAML, as 1e-3 and 089 are."""

    __slots__ = ()

    def as_number(self, *, whole: bool) -> str | None:
        """How that number, or whole number, is written in YAML; None if it is none that anybody means."""
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
    """Where in the text that is, as the other two formats' parsers say it."""
    return "" if mark is None else f" (at line {mark.line + 1}, column {mark.column + 1})"
