"""`delete-study` asks first."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from tests.support.commands import Answer, Command
from tests.support.specs import write_spec
from tests.support.stored_content import database_content
from tests.support.studies import new_study


def test_delete_study_asks_and_a_no_changes_nothing(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_study(tmp_path)
    stored = database_content(tmp_path)
    for reply in ("n\n", "\n", ""):
        monkeypatch.setattr(sys, "stdin", io.StringIO(reply))
        answer = command("delete-study", "tiny")
        assert answer.code == 1
        assert "Delete study 'tiny' with all its trials?" in answer.out + answer.err
        assert database_content(tmp_path) == stored


def test_delete_study_deletes_after_a_yes(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_study(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert command("delete-study", "tiny").code == 0
    assert command("studies", "--json").json == []


def test_delete_study_does_not_ask_with_yes(tmp_path: Path, command: Command) -> None:
    spec = str(write_spec(tmp_path))
    command("create-study", spec)
    assert command("delete-study", "tiny", "--yes") == Answer(0, "deleted study 'tiny'\n", "")
    assert "created" in command("create-study", spec).out
