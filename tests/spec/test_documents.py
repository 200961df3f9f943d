"""Files that people write: what is read as it is meant, and the one line that answers anything else."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from mnist_tune.errors import UserError
from mnist_tune.results.exports import Configuration, load_configuration
from mnist_tune.spec.documents import dump, load
from mnist_tune.spec.parsing import DEEPEST, parse
from mnist_tune.spec.plain_data import TextLikeNumber
from mnist_tune.spec.study_spec import load_spec
from tests.support.commands import Command
from tests.support.specs import TINY_SPEC

TOML = "[training]\nlearning_rate = 0.01\n"
JSON = '{"training": {"learning_rate": 0.01}}\n'
YAML = "training:\n  learning_rate: 0.01\n"
EACH_FORMAT = pytest.mark.parametrize(
    ("suffix", "text"), [("toml", TOML), ("json", JSON), ("yaml", YAML)], ids=["toml", "json", "yaml"]
)


def learning_rate_in(path: Path) -> float:
    return load_configuration(path).training.learning_rate


def what_is_said_of(folder: Path, name: str, content: str | bytes) -> str:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError) as caught:
        load_configuration(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert len(message) < len(str(path)) + 200, "a line that is read"
    return message.removeprefix(f"{path}: ")


@EACH_FORMAT
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_byte_order_mark_and_the_newlines_of_windows_are_read(
    tmp_path: Path, suffix: str, text: str, newline: str
) -> None:
    path = tmp_path / f"best.{suffix}"
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", newline).encode())
    assert learning_rate_in(path) == 0.01


@EACH_FORMAT
def test_a_file_in_utf_16_is_told_what_to_save_it_as(tmp_path: Path, suffix: str, text: str) -> None:
    assert what_is_said_of(tmp_path, f"a.{suffix}", text.encode("utf-16")) == "is in UTF-16; save it as UTF-8"
    assert what_is_said_of(tmp_path, f"b.{suffix}", text.encode("utf-16-le")) == "is not a text file in UTF-8"


@EACH_FORMAT
def test_a_line_that_is_not_utf_8_is_named(tmp_path: Path, suffix: str, text: str) -> None:
    latin = b"\n\n\xff" + text.encode()
    assert what_is_said_of(tmp_path, f"a.{suffix}", latin) == "line 3 is not UTF-8; save the file as UTF-8"


@EACH_FORMAT
def test_a_file_without_content_is_empty(tmp_path: Path, suffix: str, text: str) -> None:
    for content in ("", " \n\n", "\ufeff", "# nothing\n" if suffix != "json" else "{}"):
        assert what_is_said_of(tmp_path, f"a.{suffix}", content) == "is empty"


@EACH_FORMAT
def test_what_is_nested_too_deeply_is_refused_however_deep(tmp_path: Path, suffix: str, text: str) -> None:
    for depth in (DEEPEST + 5, 3_000):
        before = "origin = " if suffix == "toml" else ""
        content = before + "[" * depth + "]" * depth
        assert what_is_said_of(tmp_path, f"a.{suffix}", content).endswith(
            f"is nested more than {DEEPEST} deep"
        )
    dotted = f"{TOML}[origin]\n{'.'.join('a' * 500)} = 1\n"
    assert what_is_said_of(tmp_path, "a.toml", dotted) == f"origin.a.a: is nested more than {DEEPEST} deep"


@EACH_FORMAT
def test_a_number_of_thousands_of_digits_is_no_bug(tmp_path: Path, suffix: str, text: str) -> None:
    said = what_is_said_of(tmp_path, f"a.{suffix}", text.replace("0.01", "1" * 5000))
    assert said.startswith(f"is not valid {suffix.upper()}: Exceeds the limit (4300 digits)")


@EACH_FORMAT
def test_a_key_that_is_given_twice_is_refused(tmp_path: Path, suffix: str, text: str) -> None:
    twice = text.replace('"learning_rate": 0.01', '"learning_rate": 0.01, "learning_rate": 0.02')
    twice = twice.replace("  learning_rate: 0.01\n", "  learning_rate: 0.01\n  learning_rate: 0.02\n")
    twice = twice.replace("learning_rate = 0.01\n", "learning_rate = 0.01\nlearning_rate = 0.02\n")
    said = what_is_said_of(tmp_path, f"a.{suffix}", twice)
    assert {
        "json": "has the key 'learning_rate' twice in one table; remove one",
        "yaml": "has the key 'learning_rate' twice in one table; remove one (at line 3, column 3)",
        "toml": "is not valid TOML: Cannot overwrite a value (at line 3, column 21)",
    }[suffix] == said


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


def test_a_device_and_a_folder_are_named_as_what_they_are(tmp_path: Path) -> None:
    for path, says in (
        (Path("/dev/zero"), "is a device; name a file"),
        (tmp_path, "is a folder; name a file in"),
    ):
        with pytest.raises(UserError, match=f"{path}: {says}"):
            load_configuration(path)


def test_a_pipe_is_read_as_a_shell_hands_it_over(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(TOML,), daemon=True)
    writer.start()
    assert learning_rate_in(pipe) == 0.01
    writer.join()


def test_a_name_that_looks_like_a_number_goes_through_all_formats(tmp_path: Path) -> None:
    content = {
        "training": {},
        "origin": {"study": "1e3", "names": ["089", "0100", "1:30"], "seeds": [0, 1], "same": [0, 1]},
    }
    path = tmp_path / "best.yaml"
    path.write_text(dump(content, "yaml"))
    read = load(path, Configuration)
    assert read.origin == content["origin"]
    path.write_text(dump(read.model_dump(mode="json"), "yaml"))
    assert load(path, Configuration) == read


def test_a_spec_is_read_by_the_same_rules(tmp_path: Path) -> None:
    path = tmp_path / "spec.toml"
    path.write_bytes(b"\xef\xbb\xbf" + TINY_SPEC.encode())
    assert load_spec(path).study.name == "tiny"
    path = tmp_path / "spec.yaml"
    path.write_text("study: {name: s}\nsearch: {grid: {learning_rate: [1.0e-3, 1e-4]}}")
    with pytest.raises(UserError, match=r"search.grid.learning_rate: should be .*'1e-4'; .* write 1.0e-4$"):
        load_spec(path)


def test_a_command_answers_in_one_line(tmp_path: Path, command: Command) -> None:
    (tmp_path / "best.yaml").write_text("training: {learning_rate: 1e-3}\n")
    (tmp_path / "spec.toml").write_text("")
    for line, says in (
        ("train best.yaml", "write 1.0e-3\n"),
        ("create-study spec.toml", "spec.toml: is empty\n"),
    ):
        answer = command(*line.split())
        assert (answer.code, answer.out) == (2, "")
        assert answer.err.startswith("mnist-tune: ")
        assert answer.err.endswith(says)
        assert answer.err.count("\n") == 1
