"""Names of studies that are left out."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import typer

from mnist_tune.cli import app
from mnist_tune.queue.control import read_control
from mnist_tune.study.store import create_study, study_names
from tests.support.commands import STORED, Command
from tests.support.stored_content import names_in
from tests.support.studies import new_study, open_file, work


def test_the_name_of_the_only_study_may_be_left_out(tmp_path: Path, command: Command) -> None:
    work(new_study(tmp_path), lambda _: 90.0)
    said = f"study 'tiny', the only one in sqlite:///{tmp_path}/{STORED}\n"
    for line in ("status", "logs", "export", "pause", "resume", "cancel", "retry"):
        named, left_out = command(line, "tiny"), command(line)
        assert (left_out.code, left_out.out, left_out.err) == (named.code, named.out, said + named.err), line
        assert named.code == 0, line
    assert command("status", "--json").json["study"] == "tiny"
    elsewhere = command("status", "--storage", f"sqlite:///{tmp_path}/{STORED}")
    assert (elsewhere.code, elsewhere.err) == (0, said)
    drained = command("drain", "--host", "nowhere")
    assert drained.code == 2
    assert "nowhere" in drained.err.removeprefix(said)


def test_a_worker_takes_the_only_study_too(tmp_path: Path, command: Command) -> None:
    work(new_study(tmp_path), lambda _: 90.0)
    answer = command("worker")
    assert (answer.code, answer.err) == (0, f"study 'tiny', the only one in sqlite:///{tmp_path}/{STORED}\n")
    assert answer.out.endswith(" leaving: the study is finished\n")


def test_what_looks_or_controls_or_works_needs_no_name() -> None:
    taking = {"status", "logs", "verify", "export", "report", "pause", "resume", "cancel", "drain", "retry"}
    taking.add("worker")
    for name, each in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        of_study = [parameter for parameter in each.params if parameter.name == "study"]
        assert all(parameter.required == (name not in taking) for parameter in of_study), name
        assert of_study or name not in taking


def test_of_several_studies_one_must_be_named(tmp_path: Path, command: Command) -> None:
    study = new_study(tmp_path)
    assert create_study(study.storage, study.spec.named("other"))
    for line in ("cancel", "worker"):
        answer = command(line)
        assert (answer.code, answer.out) == (2, "")
        assert answer.err == (
            f"mnist-tune: {line}: name the study: sqlite:///{tmp_path}/{STORED} has tiny, other\n"
        )
    assert [read_control(study.storage, one) for one in (1, 2)] == ["running", "running"]


def test_without_a_study_there_is_nothing_to_take(tmp_path: Path, command: Command) -> None:
    assert "no such file" in command("status").err
    assert names_in(tmp_path) == []
    open_file(tmp_path, create=True)
    assert "holds no studies; make one with 'mnist-tune create-study SPEC'" in command("status").err


@pytest.mark.parametrize("line", ["delete-study --yes", "copy-study --to sqlite:///new.db"])
def test_what_cannot_be_taken_back_always_needs_the_name(tmp_path: Path, command: Command, line: str) -> None:
    study = new_study(tmp_path)
    answer = command(*line.split())
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"mnist-tune: {line.split()[0]}: missing argument 'STUDY'")
    assert study_names(study.storage) == ["tiny"]


def test_the_name_that_is_taken_is_shown_without_what_a_terminal_would_do(
    tmp_path: Path, command: Command
) -> None:
    new_study(tmp_path)
    with sqlite3.connect(tmp_path / STORED) as connection:
        connection.execute("UPDATE studies SET study_name = char(27) || '[2Jtiny'")
    answer = command("status")
    assert "study '\\x1b[2Jtiny', the only one in" in answer.err
    assert "\x1b" not in answer.out + answer.err


def test_an_empty_name_is_not_a_name_left_out(tmp_path: Path, command: Command) -> None:
    study = new_study(tmp_path)
    answer = command("cancel", "")  # a script's variable that was not set
    assert (answer.code, answer.out) == (2, "")
    assert read_control(study.storage, study.study_id) == "running"
