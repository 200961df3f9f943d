"""The command `doctor`: each check is a line, and nothing is made or changed."""

from __future__ import annotations

import platform
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mnist_tune.doctor.machine import CheckResult, Severity, examine
from mnist_tune.storage.named import ENVIRONMENT_VARIABLE
from tests.support.commands import STORED, Answer, Command
from tests.support.studies import new_study

OF_A_STORAGE = ["storage", "file", "folder", "round trip", "latency", "checkpoints", "artifacts"]


def verdicts_by_check(answer: Answer) -> dict[str, str]:
    """The name and verdict of each check."""
    return {row["check"]: row["verdict"] for row in answer.json["checks"]}


def content_of(file: Path) -> list[str]:
    """The whole content of a database."""
    with sqlite3.connect(file) as connection:
        return list(connection.iterdump())


def test_a_healthy_machine_and_storage_have_no_problem_and_stay_as_they_are(
    tmp_path: Path, command: Command
) -> None:
    new_study(tmp_path)
    before, lying = content_of(tmp_path / STORED), sorted(tmp_path.iterdir())
    answer = command("doctor", "--json")
    assert (answer.code, answer.err) == (0, "")
    assert answer.json["ok"] is True
    found = verdicts_by_check(answer)
    assert [check for check in found if check in OF_A_STORAGE] == OF_A_STORAGE
    assert {found[check] for check in ("python", "packages", "torch", "cpu", "data")} == {"ok"}
    assert "problem" not in found.values()
    assert (content_of(tmp_path / STORED), sorted(tmp_path.iterdir())) == (before, lying)


def test_people_get_a_line_a_check(tmp_path: Path, command: Command) -> None:
    new_study(tmp_path)
    answer = command("doctor")
    lines = answer.out.splitlines()
    assert f"ok      python      CPython {platform.python_version()}" in answer.out
    assert f"torch {torch.__version__.partition('+')[0]}" in answer.out
    assert f"ok      storage     sqlite:///{tmp_path}/{STORED}: 1 study" in lines
    assert all(line.split()[0] in set(Severity) for line in lines)


def test_the_default_file_may_be_missing_and_is_not_made(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(ENVIRONMENT_VARIABLE)
    answer = command("doctor")
    assert answer.code == 0
    assert "ok      storage     sqlite:///mnist-tune.db: none yet" in answer.out
    assert list(tmp_path.iterdir()) == []


def test_a_named_file_that_is_missing_is_a_problem_and_is_not_made(tmp_path: Path, command: Command) -> None:
    answer = command("doctor", "--storage", "sqlite:///mistyped.db")
    assert answer.code == 1
    assert "problem storage     sqlite:///mistyped.db: no such file; correct --storage, or make" in answer.out
    assert list(tmp_path.iterdir()) == []


def test_problems_do_not_hide_one_another(tmp_path: Path, command: Command) -> None:
    (tmp_path / "MNIST" / "raw").mkdir(parents=True)
    (tmp_path / "MNIST" / "raw" / "train-labels-idx1-ubyte").write_bytes(b"short")
    answer = command(
        "doctor", "--data-dir", str(tmp_path), "--storage", "mysql://user:secret@host/x", "--json"
    )
    assert answer.code == 1
    assert answer.json["ok"] is False
    found = verdicts_by_check(answer)
    assert (found["data"], found["storage"], found["cpu"]) == ("problem", "problem", "ok")
    said = [row["says"] for row in answer.json["checks"] if row["verdict"] == "problem"]
    assert (
        "train-labels-idx1-ubyte: truncated: 5 of 60,008 bytes; name another folder with --data-dir"
        in said[0]
    )
    assert said[1].startswith("--storage: mysql:// is not supported")
    assert "secret" not in answer.out


def test_a_check_that_breaks_is_a_problem_of_its_own() -> None:
    def broken() -> Iterator[CheckResult]:
        yield CheckResult("first", Severity.OK, "fine")
        raise ZeroDivisionError("no wonder")

    found = list(examine(("broken", broken), ("next", lambda: [CheckResult("next", Severity.OK, "goes on")])))
    assert found == [
        CheckResult("first", Severity.OK, "fine"),
        CheckResult("broken", Severity.PROBLEM, "ZeroDivisionError: no wonder"),
        CheckResult("next", Severity.OK, "goes on"),
    ]


def test_an_empty_file_is_a_warning_and_stays_empty(tmp_path: Path, command: Command) -> None:
    (tmp_path / STORED).touch()
    answer = command("doctor", "--json")
    assert (answer.code, verdicts_by_check(answer)["storage"]) == (0, "warning")
    assert (tmp_path / STORED).stat().st_size == 0
