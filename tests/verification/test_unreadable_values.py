"""A value that cannot be read is a finding, and hides no other finding."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from tests.support.commands import STORED
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
    change_database(grid, set_system_attribute(8, "failures", "'[1]'"))
    change_database(grid, "DELETE FROM trial_heartbeats WHERE trial_id = 8")
    findings = findings_by_check(verify_folder(grid))
    assert findings["failure counts"][0].startswith("trial 8, cell 0: ")
    assert findings["heartbeats"] == [
        "trial 7, cell 7: runs without a heartbeat: any worker puts the cell back"
    ]


def test_a_trial_that_cannot_be_read_is_named_and_the_others_are_checked(grid: Path) -> None:
    change_database(grid, "UPDATE trials SET state = 'LOST' WHERE number = 3")
    change_database(grid, "DELETE FROM trial_heartbeats WHERE trial_id = 8")
    findings = findings_by_check(verify_folder(grid))
    assert list(findings) == ["trials", "heartbeats"]
    assert findings["trials"][0].startswith("trial 3: cannot be read: LookupError")
    assert findings["heartbeats"][0].startswith("trial 7, cell 7: runs without a heartbeat")


def test_a_value_that_no_promise_is_about_is_named_too(grid: Path) -> None:
    change_database(grid, set_user_attribute(3, "environment", "'[1]'"))
    assert findings_by_check(verify_folder(grid)) == {
        "other values": ["trial 3, cell 3: its environment should be an object, not a list"]
    }
