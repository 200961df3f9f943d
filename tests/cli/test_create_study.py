"""`create-study`: what it makes, and its output when the study exists already."""

from __future__ import annotations

from pathlib import Path

from tests.support.commands import STORED, Command
from tests.support.specs import write_spec
from tests.support.stored_content import database_content


def test_create_study_again_changes_nothing_and_says_so(tmp_path: Path, command: Command) -> None:
    spec = write_spec(tmp_path)
    first = command("create-study", str(spec))
    stored = database_content(tmp_path)
    again = command("create-study", str(spec))
    assert (first.code, first.err, again.code, again.err) == (0, "", 0, "")
    assert first.out.startswith(f"created study 'tiny' with 8 cells in sqlite:///{tmp_path}/{STORED}\n")
    assert "mnist-tune worker tiny" in first.out
    assert "already, with the same spec" in again.out
    assert database_content(tmp_path) == stored


def test_create_study_under_another_name_is_another_study(tmp_path: Path, command: Command) -> None:
    spec = str(write_spec(tmp_path))
    command("create-study", spec)
    assert command("create-study", spec, "--name", "second").code == 0
    assert [study["study"] for study in command("studies", "--json").json] == ["tiny", "second"]


def test_create_study_answers_in_json_too(tmp_path: Path, command: Command) -> None:
    spec = str(write_spec(tmp_path))
    answers = [command("create-study", spec, "--json").json for _ in range(2)]
    expected = {"study": "tiny", "cells": 8, "reused": 0, "storage": f"sqlite:///{tmp_path}/{STORED}"}
    expected |= {"notes": [], "added": None}
    assert answers == [expected | {"created": True}, expected | {"created": False}]
