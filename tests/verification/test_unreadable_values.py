"""A value that cannot be read is a finding, and hides no other finding."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.support.commands import STORED, Command
from tests.support.damaging_sql import change_database, set_user_attribute
from tests.support.verified_studies import findings_by_check, verify_folder


def test_a_damaged_page_of_the_database_is_found(grid: Path) -> None:
    with sqlite3.connect(grid / STORED) as connection:
        (page,) = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'study_directions'"
        ).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    with (grid / STORED).open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(bytes(size))
    findings = findings_by_check(verify_folder(grid))
    assert list(findings) == ["database"]


def test_what_has_a_shape_that_nobody_thought_of_is_a_finding_and_hides_no_other(grid: Path) -> None:
    change_database(grid, "INSERT INTO trial_system_attributes VALUES (999, 1, 'mnist_tune:failures', '[1]')")
    change_database(grid, "DELETE FROM trial_heartbeats WHERE trial_id = 8")
    findings = findings_by_check(verify_folder(grid))
    assert findings["budgets"][0].startswith("trial 0, cell 0: cannot be checked: TypeError")
    assert findings["heartbeats"] == [
        "trial 7, cell 7: runs without a heartbeat: any worker puts the cell back"
    ]


@pytest.mark.parametrize(
    ("metrics", "problem"),
    [
        ("{bad", "is damaged in epoch 1: is invalid JSON: key must be a string at line 1 column 2"),
        ("[1,2]", "is damaged in epoch 1: should be an object, not a list"),
        ('"none"', "is damaged in epoch 1: should be an object, not 'none'"),
        ("{}", "is damaged in epoch 1: validation_accuracy: missing"),
    ],
)
def test_epochs_that_are_damaged_are_one_finding_in_the_words_of_status(
    grid: Path, command: Command, metrics: str, problem: str
) -> None:
    damage = f"UPDATE mnist_tune_epochs SET metrics = '{metrics}' WHERE trial_id = 4 AND epoch = 1"
    change_database(grid, damage)
    answer = command("verify", "tiny")
    findings = [line for line in answer.out.splitlines() if line.startswith(("finding: ", "remark: "))]
    assert findings == [f"finding: histories: trial 3, cell 3: its history {problem}"]
    assert (answer.code, answer.err) == (1, "")
    assert f"damaged: trial 3: its history {problem}" in command("status", "tiny").out.splitlines()


def test_a_damaged_history_of_0_5_0_is_one_finding(grid: Path) -> None:
    change_database(grid, "DELETE FROM mnist_tune_epochs WHERE trial_id = 4")
    change_database(grid, "INSERT INTO trial_user_attributes VALUES (999, 4, 'history', '[{\"epoch\": 1}]')")
    findings = findings_by_check(verify_folder(grid))
    assert list(findings) == ["histories"]
    assert len(findings["histories"]) == 1
    assert findings["histories"][0].startswith("trial 3, cell 3: its history 0: training_loss: ")


def test_a_trial_that_cannot_be_read_is_named_and_the_others_are_checked(grid: Path) -> None:
    change_database(grid, "UPDATE trials SET state = 'LOST' WHERE number = 3")
    change_database(grid, "DELETE FROM trial_heartbeats WHERE trial_id = 8")
    findings = findings_by_check(verify_folder(grid))
    assert list(findings) == ["trials", "heartbeats"]
    assert findings["trials"][0].startswith("trial 3: cannot be read: LookupError")
    assert findings["heartbeats"][0].startswith("trial 7, cell 7: runs without a heartbeat")


@pytest.mark.parametrize("number", ["0.5", "1e300", "'x'", "x'ff'"])
def test_a_trial_whose_number_is_none_is_named_by_its_id(grid: Path, number: str) -> None:
    change_database(grid, f"UPDATE trials SET number = {number} WHERE number = 0")
    findings = findings_by_check(verify_folder(grid))
    assert findings["trials"][0].startswith("the trial with the id 1 cannot be read: ")
    assert "cells" not in findings


def test_a_value_that_no_promise_is_about_is_named_too(grid: Path) -> None:
    change_database(grid, set_user_attribute(3, "environment", "'[1]'"))
    assert findings_by_check(verify_folder(grid)) == {
        "other values": ["trial 3, cell 3: its environment should be an object, not a list"]
    }
