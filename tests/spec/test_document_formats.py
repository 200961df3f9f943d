"""Numbers, dates and texts in each format, and the one-line errors that say what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_tune.spec.parsing import parse
from mnist_tune.spec.plain_data import TextLikeNumber
from tests.support.documents import what_is_said_of


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        (
            "a.yaml",
            "training: {learning_rate: 1e-3}",
            "training.learning_rate: should be a valid number, not '1e-3'; that is text in YAML, write",
        ),
        (
            "a.yaml",
            "training: {learning_rate: 1.5e3}",
            "training.learning_rate: should be a valid number, not '1.5e3'; that is text in YAML, write",
        ),
        (
            "a.yaml",
            "training: {epochs: 1e1}",
            "training.epochs: should be a valid integer, not '1e1'; that is text in YAML, write 10",
        ),
        (
            "a.yaml",
            "training: {learning_rate: 1_0e-3}",
            "training.learning_rate: should be a valid number, not '1_0e-3'; that is text in YAML, "
            "write 10.0e-3",
        ),
        (
            "a.yaml",
            "training: {epochs: 1_0e1_0}",
            "training.epochs: should be a valid integer, not '1_0e1_0'; that is text in YAML, "
            "write 100000000000",
        ),
        (
            "a.yaml",
            "training: {epochs: 089}",
            "training.epochs: should be a valid integer, not '089'; that is text in YAML, write 89",
        ),
        (
            "a.yaml",
            "training: {epochs: 0100}",
            "a number that begins with 0 is in base 8 in YAML; "
            "write it without the 0, or in quotes if it is text (at line 1, column 20)",
        ),
        (
            "a.yaml",
            "training: {epochs: -0_7}",
            "a number that begins with 0 is in base 8 in YAML; write it without",
        ),
        (
            "a.yaml",
            "training: {}\norigin: {b: 1:30}",
            "a number with ':' is in base 60 in YAML; write the number itself, or quotes if it is text "
            "(at line 2, column 13)",
        ),
        (
            "a.yaml",
            "training: {learning_rate: 1:30.5}",
            "a number with ':' is in base 60 in YAML; write the number itself",
        ),
        (
            "a.toml",
            '[training]\nlearning_rate = "1e-3"',
            "training.learning_rate: should be a valid number, not '1e-3'; write it without quotes",
        ),
        (
            "a.yaml",
            "training: &a {}\norigin: {b: *a}",
            "anchors (&) and aliases (*) are not read; write it out",
        ),
        (
            "a.yaml",
            "training: {}\norigin: &a {b: *a}",
            "anchors (&) and aliases (*) are not read; write it out",
        ),
        (
            "a.yaml",
            "training: !!python/name:os.system",
            "tags (!) are not read; remove it (at line 1, column 11)",
        ),
        (
            "a.yaml",
            "training: {}\norigin: !!set {a}",
            "tags (!) are not read; remove it (at line 2, column 9)",
        ),
        ("a.yaml", "training: {1: 2}", "training: the key 1 is no text; write it in quotes"),
        ("a.yaml", "training: {epochs: 2024-13-41}", "is not valid YAML: month must be in 1..12"),
        (
            "a.yaml",
            "training: [1\nb: c: d",
            "is not valid YAML: while parsing a flow sequence expected ',' or ']'",
        ),
        (
            "a.yaml",
            "a: 1\n---\nb: 2",
            "is not valid YAML: expected a single document in the stream but found",
        ),
        ("a.yaml", "- 1", "should be a valid table, not a list"),
        ("a.json", '{"training": {"learning_rate": NaN}}', "is not valid JSON: NaN is no number there"),
        (
            "a.json",
            '{"training": {}, "origin": {"b": -Infinity}}',
            "is not valid JSON: -Infinity is no number",
        ),
        (
            "a.json",
            '{"training": {"learning_rate": 1e999}}',
            "training.learning_rate: should be a finite number, not inf",
        ),
        ("a.json", '{"training": {}, "origin": {"b": null}}', "origin.b: null is no value; remove the key"),
        ("a.json", '{"training": {"\\ud800": 1}}', "training: '\\ud800' is half a character; write it whole"),
        (
            "a.toml",
            "[training]\nepochs = 2024-01-01",
            "training.epochs: should be a valid integer, not 2024-01-01",
        ),
        ("a.toml", f"#{'x' * 1_000_000}", "has more than 1 MB; name a spec or a configuration"),
    ],
)
def test_a_surprise_of_a_format_gets_one_right_line(
    tmp_path: Path, name: str, content: str, says: str
) -> None:
    assert what_is_said_of(tmp_path, name, content).startswith(says)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("epochs", "1_e1"),
        ("epochs", "1__0e1"),
        ("learning_rate", "1_e-3"),
        ("learning_rate", "1e_3"),
        ("epochs", "\u0661e1"),
        ("epochs", "1e300"),
        ("epochs", "1e999"),
        ("learning_rate", "1e999"),
        ("epochs", "1e-3"),
        ("learning_rate", "inf"),
        ("epochs", f"1e{'9' * 5000}"),
        ("epochs", f"0{'8' * 5000}"),
    ],
    ids=lambda value: ascii(value)[1:20],
)
def test_what_is_no_number_that_anybody_means_gets_no_remedy(tmp_path: Path, key: str, text: str) -> None:
    said = what_is_said_of(tmp_path, "a.yaml", f"training: {{{key}: {text}}}")
    assert said.startswith(f"training.{key}: should be a valid ")
    assert "write" not in said


@pytest.mark.slow
@pytest.mark.parametrize(
    "text", ["1e-3", "1.5e3", "1_0e-3", "1.e3", ".5e3", "-1e3", "+1_0.2_5E3", "089", "0089e1"]
)
def test_the_remedy_for_a_number_that_yaml_takes_for_text_is_read_as_that_number(text: str) -> None:
    taken = parse(f"a: {text}", "yaml")["a"]
    assert isinstance(taken, TextLikeNumber)
    for whole in (False, True):
        if (remedy := taken.as_number(whole=whole)) is not None:
            read = parse(f"a: {remedy}", "yaml")["a"]
            assert (type(read), read) == (int if whole else float, float(text))
        else:
            assert whole
            assert not float(text).is_integer()


def test_numbers_that_yaml_writes_in_other_ways_are_read(tmp_path: Path) -> None:
    for text, number in (
        ("0x40", 64),
        ("1_000", 1000),
        ("0", 0),
        ("-0", 0),
        ("00.5", 0.5),
        ("'0100'", "0100"),
    ):
        assert parse(f"a: {text}", "yaml") == {"a": number}
