"""`status`: its output, its exit codes, and that it changes nothing."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from mnist_tune.failures import Failure
from mnist_tune.results.reading import read_results
from mnist_tune.study.store import open_study
from mnist_tune.text.wording import parameters_text
from tests.support.commands import STORED, Command, run_command
from tests.support.finished_run import FinishedRun
from tests.support.made_studies.cells import complete_cell, fail_all_cells
from tests.support.stored_content import database_content
from tests.support.studies import new_study, open_file


def test_status_of_a_new_study_in_json(tmp_path: Path, command: Command) -> None:
    new_study(tmp_path)
    status = command("status", "tiny", "--json").json
    assert {"study", "cells", "best", "trials"} <= status.keys()
    assert status["study"] == "tiny"
    assert status["cells"] == {
        "total": 8,
        "waiting": 8,
        "running": 0,
        "complete": 0,
        "pruned": 0,
        "failed": 0,
    }
    assert status["best"] is None
    assert [trial["state"] for trial in status["trials"]] == ["waiting"] * 8
    assert status["trials"][0]["parameters"].keys() == {"learning_rate", "batch_size", "optimizer"}


def test_status_of_a_finished_study_names_the_winner_and_how_to_export_it(finished: FinishedRun) -> None:
    answer = run_command("status", "tiny", folder=finished.folder)
    best = read_results(open_study(open_file(finished.folder), "tiny")).best
    assert best is not None
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "tiny: 8/8 cells" in answer.stdout
    assert f"with {best.mean:.2f} % (trial {best.first.number})" in answer.stdout
    assert "mnist-tune export tiny --output best.toml" in answer.stdout
    assert not re.search(r"[^\n -~✓✗▶·✂▁▂▃▄▅▆▇█±]", answer.stdout), "control or odd characters"


def test_status_writes_nothing(finished: FinishedRun) -> None:
    with sqlite3.connect(finished.folder / STORED) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content, before = (finished.folder / STORED).read_bytes(), database_content(finished.folder)
    run_command("status", "tiny", "--json", folder=finished.folder)
    assert (finished.folder / STORED).read_bytes() == content
    assert database_content(finished.folder) == before


def test_status_exits_with_1_when_a_finished_study_lacks_cells_and_names_them(
    tmp_path: Path, command: Command
) -> None:
    study = new_study(tmp_path)
    for value in range(7):
        complete_cell(study, 90.0 + value)
    fail_all_cells(study, "training loss is nan in epoch 1")
    answer = command("status", "tiny")
    (hole,) = read_results(study).holes
    missing = f"missing: cell 7 ({parameters_text(hole.parameters)}) failed for good: training loss is nan"
    assert answer.code == 1
    assert missing in answer.out
    assert command("status", "tiny", "--json").code == 1


def test_status_exits_with_0_while_cells_that_failed_wait_again(tmp_path: Path, command: Command) -> None:
    study = new_study(tmp_path)
    claim = study.queue().claim("worker")
    assert claim is not None
    study.queue().give_back(claim, Failure("exception", "it broke"))
    answer = command("status", "tiny")
    assert answer.code == 0
    assert "exception: it broke" in answer.out


@pytest.mark.parametrize("reason", ["[/tmp/x] is full", "list[int] of [red]apples[/red]", ":smile: [bold]"])
def test_status_shows_a_reason_with_brackets_as_it_is(tmp_path: Path, command: Command, reason: str) -> None:
    fail_all_cells(new_study(tmp_path), reason)
    answer = command("status", "tiny")
    assert (answer.code, answer.err) == (1, "")
    assert answer.out.count(reason) >= 8, answer.out


def test_status_passes_no_escape_sequence_of_a_stored_reason_on(tmp_path: Path, command: Command) -> None:
    fail_all_cells(new_study(tmp_path), "\x1b]0;title\x07\x1b[31mred")
    assert "\x1b" not in command("status", "tiny").out


def test_status_never_breaks_a_line_of_a_pipe(tmp_path: Path, command: Command) -> None:
    reason = "word " * 20 + "end"
    fail_all_cells(new_study(tmp_path), reason)
    assert command("status", "tiny").out.count(reason) >= 8


@pytest.mark.parametrize(
    ("key", "one", "other"),
    [("precision", "bf16", "fp32"), ("threads", 1, 4), ("device_name", "Fast GPU", "Slow CPU")],
)
def test_status_warns_when_cells_ran_on_different_grounds(
    tmp_path: Path, command: Command, key: str, one: Any, other: Any
) -> None:
    study = new_study(tmp_path)
    complete_cell(study, 90.0, **{key: one})
    assert "warning" not in command("status", "tiny").out
    complete_cell(study, 91.0, **{key: other})
    warning = f"cells differ in {key} ({one}, {other})"
    assert f"warning: {warning}" in command("status", "tiny").out
    (in_json,) = command("status", "tiny", "--json").json["warnings"]
    assert in_json.startswith(warning)
