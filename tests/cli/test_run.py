"""`run`: a study from its spec to its ranking, by real workers."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from tests.support.commands import Command, run_command
from tests.support.finished_run import FinishedRun
from tests.support.made_studies.cells import complete_cell
from tests.support.specs import ONE_CELL, write_spec
from tests.support.studies import new_study


def test_what_real_workers_stored_keeps_every_promise(finished: FinishedRun, command: Command) -> None:
    answer = command("verify", "tiny", *finished.storage, "--json")
    assert answer.code == 0
    assert answer.json["verdict"] == ("study 'tiny' keeps every promise: 8 cells (8 complete), 8 attempts")
    checked = {check["check"]: check["checked"] for check in answer.json["checks"]}
    assert checked["histories"] == checked["reports"] == checked["files"] == 8
    assert not any(check["findings"] for check in answer.json["checks"])


def test_run_prints_the_results_as_json_and_tells_people_on_stderr(finished: FinishedRun) -> None:
    assert finished.run.returncode == 0, finished.run.stderr
    results = json.loads(finished.run.stdout)
    assert results["cells"]["complete"] == len(results["trials"]) == 8
    assert "study 'tiny' created in sqlite:///" in finished.run.stderr
    assert "validation accuracy" in finished.run.stderr
    assert "\x1b" not in finished.run.stderr


def test_run_of_a_finished_study_says_so_and_prints_the_ranking_again(finished: FinishedRun) -> None:
    again = run_command("run", str(finished.folder / "spec.toml"), folder=finished.folder)
    assert (again.returncode, again.stderr) == (0, "")
    first = again.stdout.splitlines()[0]
    assert first.startswith("study 'tiny' is finished already in sqlite:///")
    assert first.endswith(": all of its 8 cells have ended")
    assert "workers" not in again.stdout
    assert "validation accuracy" in again.stdout


@pytest.mark.slow
def test_one_cell_and_one_worker_are_one(tmp_path: Path, command: Command, mnist_directory: Path) -> None:
    spec = write_spec(tmp_path, ONE_CELL + "[training]\nepochs = 1\n[data]\ntrain_size = 100\n")
    created = command("create-study", str(spec))
    assert created.out.startswith("created study 'tiny' with 1 cell in ")
    ran = run_command("run", str(spec), folder=tmp_path)
    assert ran.returncode == 0, ran
    assert ran.stdout.splitlines()[0].endswith(": 1 cell, 1 worker")
    assert command("studies").out.startswith("tiny: 1/1 cell, best ")


def test_what_run_says_first_is_of_the_study_then_of_its_spec_then_of_the_disk(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    complete_cell(new_study(tmp_path, ONE_CELL), 50.0)
    other = write_spec(tmp_path, ONE_CELL + "[retry]\nlost = 5\n")
    monkeypatch.setattr("mnist_tune.files.writable.try_to_write", full)
    said = command("run", str(other), "--json").err.splitlines()
    assert [line.partition(" ")[0] for line in said[:4]] == ["study", "note:", "warning:", "warning:"]
