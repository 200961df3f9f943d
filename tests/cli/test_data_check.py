"""`data check`: whole, damaged and missing images."""

from __future__ import annotations

from pathlib import Path

from tests.support.commands import Command
from tests.support.small_data import truncated_data
from tests.support.stored_content import files_in


def test_data_check_of_whole_data(command: Command, mnist_directory: Path) -> None:
    answer = command("data", "check")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[0] == f"data directory: {mnist_directory}"
    assert answer.out.count(": 47,040,016 bytes, ok") == 1
    assert [file["status"] for file in command("data", "check", "--json").json["files"]] == ["ok"] * 4


def test_data_check_of_a_corrupt_file_names_it_and_exits_with_1(
    tmp_path: Path, command: Command, mnist_directory: Path
) -> None:
    answer = command("data", "check", "--data-dir", str(truncated_data(tmp_path, mnist_directory)))
    assert answer.code == 1
    assert "train-labels-idx1-ubyte: 59,908 bytes, truncated: 59,908 of 60,008 bytes" in answer.out
    assert answer.out.count(", ok, ") == 3


def test_data_check_of_an_empty_folder_downloads_nothing(tmp_path: Path, command: Command) -> None:
    answer = command("data", "check", "--data-dir", str(tmp_path / "nothing"))
    assert answer.code == 0  # nothing is wrong yet: the first use unpacks them
    assert answer.out.count(": missing") == 4
    assert files_in(tmp_path) == []
