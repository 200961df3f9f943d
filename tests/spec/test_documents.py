"""Files that people write are read as they are meant, or get a one-line error."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from mnist_tune.errors import UserError
from mnist_tune.results.exports import load_configuration
from mnist_tune.spec.documents import dump
from mnist_tune.spec.parsing import DEEPEST
from mnist_tune.spec.reading import load_spec
from tests.support.commands import Command
from tests.support.documents import EACH_FORMAT, TOML, learning_rate_in, what_is_said_of
from tests.support.specs import TINY_SPEC


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
    read = load_configuration(path)
    assert read.origin == content["origin"]
    path.write_text(dump(read.document(), "yaml"))
    assert load_configuration(path) == read


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
