"""Files and names of files: missing, damaged, leading elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.damaging_sql import change_database, set_system_attribute
from tests.support.made_studies.cells_with_files import ARTIFACTS
from tests.support.verified_studies import findings_by_check, verify_folder


def model_of(folder: Path) -> Path:
    return max((folder / ARTIFACTS).iterdir(), key=lambda path: path.stat().st_size)


def log_of(folder: Path) -> Path:
    return min((folder / ARTIFACTS).iterdir(), key=lambda path: path.stat().st_size)


def replace_with_a_pipe(folder: Path) -> None:
    log = log_of(folder)
    log.unlink()
    os.mkfifo(log)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda folder: log_of(folder).unlink(), "log.txt is missing"),
        (lambda folder: log_of(folder).write_bytes(b""), "log.txt is empty"),
        (
            lambda folder: model_of(folder).write_bytes(model_of(folder).read_bytes()[:-1]),
            "not fully covered",
        ),
        (lambda folder: model_of(folder).write_bytes(b"a model"), "model.safetensors is damaged"),
        (replace_with_a_pipe, "log.txt cannot be read"),
    ],
)
def test_a_file_that_is_missing_or_damaged_is_found(
    grid: Path, damage: Callable[[Path], None], says: str
) -> None:
    damage(grid)
    findings = findings_by_check(verify_folder(grid))
    assert list(findings) == ["files"]
    assert says in findings["files"][0]


A_PATH = """'"/etc/hostname"'"""


@pytest.mark.parametrize(
    ("check", "statement", "says"),
    [
        (
            "uid",
            f"UPDATE study_user_attributes SET value_json = {A_PATH} WHERE key = 'mnist_tune:uid'",
            "the uid is '/etc/hostname', and not 32 hexadecimal digits",
        ),
        (
            "file names",
            set_system_attribute(9, "checkpoint", """json_set(value_json, '$.key', '../../precious')"""),
            "trial 9, cell 6: the key of a checkpoint is '../../precious', and not TRIAL-TOKEN-EPOCH.pt",
        ),
        (
            "file names",
            """UPDATE trial_system_attributes SET key = 'artifacts:/etc/hostname', value_json =
            '"{\\"artifact_id\\": \\"/etc/hostname\\", \\"filename\\": \\"log.txt\\", '
            || '\\"mimetype\\": \\"text/plain\\", \\"encoding\\": null}"'
            WHERE trial_id = 3 AND key LIKE 'artifacts:%' AND value_json LIKE '%log.txt%'""",
            "trial 2, cell 2: the id of an artifact is '/etc/hostname', and not a UUID",
        ),
    ],
)
def test_a_name_that_leads_elsewhere_is_found_and_not_followed(
    grid: Path, check: str, statement: str, says: str
) -> None:
    change_database(grid, statement)
    findings = findings_by_check(verify_folder(grid))
    assert findings[check] == [says]
    assert findings.keys() <= {check, "checkpoints"}  # there is none of that name
