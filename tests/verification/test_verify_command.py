"""`verify`: the output for each check, the exit codes, and that nothing is written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mnist_tune.errors import UserError
from mnist_tune.study.delete import delete_study
from mnist_tune.study.store import open_study
from mnist_tune.verification import CHECKS
from tests.support.commands import Command
from tests.support.damaging_sql import change_database, set_in_spec
from tests.support.made_studies.cells_with_files import ARTIFACTS, CHECKPOINTS
from tests.support.stored_content import database_content
from tests.support.studies import open_file
from tests.support.verified_studies import verify_folder


def test_the_command_says_for_every_check_what_came_of_it_and_writes_nothing(
    grid: Path, command: Command
) -> None:
    before = database_content(grid)
    answer = command("verify", "tiny")
    assert answer.code == 0
    for check in CHECKS:
        count = "0" if check.name == "pruning" else r"[1-9]\d*"  # nothing ends early in this study
        assert re.search(rf"^ {check.name} .* {count} ok *$", answer.out, re.MULTILINE), check.name
    assert answer.out.splitlines()[-1].startswith("study 'tiny' keeps every promise: 8 cells")
    assert database_content(grid) == before


def test_a_broken_promise_is_exit_code_1_with_a_line_for_each_finding(grid: Path, command: Command) -> None:
    change_database(grid, "UPDATE trial_values SET value = 92.5 WHERE trial_id IN (3, 4)")
    change_database(grid, "DELETE FROM trial_heartbeats WHERE trial_id = 8")
    answer = command("verify", "tiny")
    assert answer.code == 1
    assert re.search(r"^ heartbeats .* 1 1 finding *$", answer.out, re.MULTILINE)
    assert re.search(r"^ values .* 5 2 findings *$", answer.out, re.MULTILINE)
    assert answer.out.splitlines()[-4:] == [
        "finding: heartbeats: trial 7, cell 7: runs without a heartbeat: any worker puts the cell back",
        "finding: values: trial 2, cell 2: its value is 92.5, but its last epoch had 92.0",
        "finding: values: trial 3, cell 3: its value is 92.5, but its last epoch had 92.0",
        "study 'tiny' breaks 2 promises: heartbeats, values",
    ]


def test_json_has_the_same(grid: Path, command: Command) -> None:
    change_database(grid, "DELETE FROM trial_heartbeats WHERE trial_id = 8")
    answer = command("verify", "tiny", "--json")
    assert answer.code == 1
    assert (answer.json["study"], answer.json["clean"]) == ("tiny", False)
    assert answer.json["verdict"] == "study 'tiny' breaks 1 promise: heartbeats"
    assert [check for check in answer.json["checks"] if check["findings"]] == [
        {
            "check": "heartbeats",
            "promise": "Each running attempt has a heartbeat, from its claim on",
            "checked": 1,
            "findings": [
                {"message": "runs without a heartbeat: any worker puts the cell back", "trial": 7, "cell": 7}
            ],
            "remark": False,
        }
    ]


def test_a_study_that_cannot_be_read_says_what_was_not_checked(grid: Path, command: Command) -> None:
    change_database(grid, set_in_spec("training.epoch", "3"))
    answer = command("verify", "tiny")
    assert answer.code == 1
    assert re.search(r"^ cells .* not checked *$", answer.out, re.MULTILINE)
    assert answer.out.splitlines()[-1] == "study 'tiny' breaks 1 promise: spec"


def test_the_files_are_looked_for_where_the_options_say(grid: Path, command: Command) -> None:
    (grid / ARTIFACTS).rename(grid / "files")
    (grid / CHECKPOINTS).rename(grid / "states")
    assert "remark: artifact folder: " in command("verify", "tiny").out
    answer = command(
        "verify", "tiny", "--artifacts", str(grid / "files"), "--checkpoints", str(grid / "states")
    )
    assert answer.code == 0
    assert "remark" not in answer.out


def test_a_study_that_is_not_there_is_a_mistake(grid: Path, command: Command) -> None:
    answer = command("verify", "tinny")
    assert answer.code == 2
    assert answer.err == "mnist-tune: no study 'tinny' in this storage; did you mean 'tiny'?\n"
    delete_study(open_study(open_file(grid), "tiny"))
    with pytest.raises(UserError, match="no study 'tiny'"):
        verify_folder(grid)
