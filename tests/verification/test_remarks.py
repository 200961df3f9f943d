"""Remarks: worth knowing about a study, but no broken promise."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mnist_tune.files.checkpoints import CheckpointFolder
from mnist_tune.study.retry import put_back_holes
from mnist_tune.study.store import open_study
from tests.support.damaging_sql import change_database
from tests.support.made_studies.cells_with_files import ARTIFACTS, CHECKPOINTS
from tests.support.studies import open_file
from tests.support.verified_studies import findings_by_check, verify_folder


@pytest.mark.parametrize(
    ("check", "change", "says"),
    [
        (
            "times",
            lambda folder: change_database(
                folder, "UPDATE trials SET datetime_complete = '2001-01-01 00:00:00.000000' WHERE number = 3"
            ),
            "trial 3, cell 3: ends at 2001-01-01 00:00:00 UTC, before its start",
        ),
        (
            "times",
            lambda folder: change_database(
                folder, "UPDATE trials SET datetime_start = '2001-01-01 00:00:00.000000' WHERE number = 8"
            ),
            "trial 8, cell 0: begins at 2001-01-01 00:00:00 UTC, before the end of the attempt before it",
        ),
        (
            "signs of life",
            lambda folder: change_database(
                folder, "UPDATE trial_heartbeats SET heartbeat = '2001-01-01 00:00:00'"
            ),
            "trial 7, cell 7: no heartbeat for",
        ),
        (
            "kept files",
            lambda folder: change_database(
                folder, "DELETE FROM trial_system_attributes WHERE key LIKE 'artifacts:%'"
            ),
            "no file of it was kept",
        ),
        (
            "artifact folder",
            lambda folder: shutil.rmtree(folder / ARTIFACTS),
            "is not here: no file was checked",
        ),
        (
            "files elsewhere",
            lambda folder: [path.unlink() for path in (folder / ARTIFACTS).iterdir()],
            "but where host put them: name that folder with --artifacts",
        ),
        (
            "checkpoints",
            lambda folder: [path.write_bytes(b"rubbish") for path in (folder / CHECKPOINTS).glob("*/7-*")],
            "trial 9, cell 6: the checkpoint",
        ),
        (
            "other trials",
            lambda folder: open_study(open_file(folder), "tiny").optuna_study().enqueue_trial({}),
            "trial 11: is not a trial of ours",
        ),
    ],
)
def test_what_is_worth_knowing_but_breaks_no_promise_is_a_remark(
    grid: Path, check: str, change: Callable[[Path], Any], says: str
) -> None:
    change(grid)
    verification = verify_folder(grid)
    findings = findings_by_check(verification)
    assert list(findings) == [check]
    assert says in findings[check][0]
    assert not verification.broken


def test_a_hole_that_was_given_a_fresh_budget_is_clean(grid: Path) -> None:
    assert put_back_holes(open_study(open_file(grid), "tiny")).numbers == [1]
    assert findings_by_check(verify_folder(grid)) == {}


def test_a_checkpoint_that_went_with_its_pointer_while_it_was_looked_for_is_no_remark(
    grid: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = open_file(grid)
    study = open_study(storage, "tiny")
    (grid / CHECKPOINTS).rename(grid / "gone")
    assert list(findings_by_check(verify_folder(grid))) == ["checkpoints"]

    def completed_meanwhile(folder: CheckpointFolder, name: str) -> bytes:
        while claim := study.queue().claim("host:2"):
            study.queue().complete(claim, 41.0)
        change_database(grid, "UPDATE trials SET state = 'COMPLETE' WHERE number = 7")
        raise FileNotFoundError

    monkeypatch.setattr(CheckpointFolder, "read", completed_meanwhile)
    assert findings_by_check(verify_folder(grid)) == {}
