"""`copy-study`: its output, for people and in JSON."""

from __future__ import annotations

from pathlib import Path

from tests.support.commands import STORED, Command
from tests.support.studies import new_study


def test_copy_study_says_what_was_put_back_and_how_to_go_on(tmp_path: Path, command: Command) -> None:
    assert new_study(tmp_path).queue().claim("worker") is not None
    answer = command("copy-study", "tiny", "--to", f"sqlite:///{tmp_path}/copy.db")
    assert answer.out == (
        "copied study 'tiny' (8 trials, 1 of them put back since they were running) "
        f"from sqlite:///{tmp_path}/{STORED} to sqlite:///{tmp_path}/copy.db\n"
        "start its workers with: mnist-tune worker tiny and the new --storage\n"
    )
    assert (answer.code, answer.err) == (0, "")


def test_copy_study_answers_in_json_too_and_copies_back(tmp_path: Path, command: Command) -> None:
    new_study(tmp_path)
    here, there = f"sqlite:///{tmp_path}/{STORED}", f"sqlite:///{tmp_path}/copy.db"
    assert command("copy-study", "tiny", "--to", there).code == 0
    answer = command("copy-study", "tiny", "--from", there, "--to", here, "--name", "again", "--json")
    copied = {"study": "tiny", "from": there, "to": here, "name": "again", "trials": 8, "put_back": 0}
    assert answer.json == copied | {"files": 0, "missing": 0}
    assert command("status", "again", "--json").json["cells"]["waiting"] == 8
