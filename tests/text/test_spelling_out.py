"""How each invisible character is escaped, and which lines an error has."""

from __future__ import annotations

import sqlite3

import pytest
import sqlalchemy

from mnist_tune.doctor.machine import one_line
from mnist_tune.errors import MnistTuneError
from mnist_tune.storage.database_errors import explain
from mnist_tune.text.visible import visible, visible_lines
from mnist_tune.text.wording import first_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain [bold]text[/bold] :smile:", "plain [bold]text[/bold] :smile:"),
        ("é ü 漢 한 Ж ❤ 👍 \u00a0\u3000.", "é ü 漢 한 Ж ❤ 👍 \u00a0\u3000."),
        ("a\tb\nc\r", r"a\tb\nc\r"),
        ("\x00\x1b\x7f\x80\x9f", r"\x00\x1b\x7f\x80\x9f"),
        ("\u061c\u200e\u200f\u202a\u202e\u2066\u2069", r"\u061c\u200e\u200f\u202a\u202e\u2066\u2069"),
        ("\u200b\u200c\u200d\u2060\ufeff\ufe0f\u3164", r"\u200b\u200c\u200d\u2060\ufeff\ufe0f\u3164"),
        ("\U000e0041\udcff", r"\U000e0041\udcff"),
        ("", ""),
    ],
)
def test_each_character_that_is_not_seen_is_spelt_out(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert visible(shown) == shown


def test_lines_stay_lines_and_nothing_else_makes_one() -> None:
    assert visible_lines("a\r\nb\u2028c\x0bd\n\te\n") == ["a", r"b\u2028c\x0bd", "        e"]


@pytest.mark.parametrize(
    ("text", "line"),
    [("", ""), ("one", "one"), ("a\r\nb", "a"), ("\nb", ""), ("a\x1b\u2028b\nc", r"a\x1b\u2028b")],
)
def test_there_is_a_first_line_of_whatever_an_error_says(text: str, line: str) -> None:
    assert first_line(text) == line


@pytest.mark.parametrize("says", ["", "\n", " "])
def test_an_error_that_says_nothing_is_told_too(says: str) -> None:
    refused = sqlalchemy.exc.OperationalError("SELECT 1", {}, sqlite3.OperationalError(says))
    assert explain(refused).startswith("cannot be used: ;")
    assert one_line(MnistTuneError(says)) == ""
