"""The folders of models: what is in them, how they are named, and what may go wrong in them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.support.commands import Command
from tests.support.measured_jobs import BOTH, JOB, SPEC, VOUCHING, finished_study
from tests.support.own_jobs import own_job


@pytest.mark.slow
def test_a_model_is_named_by_its_folder_or_a_file_in_it(tmp_path: Path, command: Command) -> None:
    finished_study(tmp_path, command)
    command("export", "own", "--files", "best")
    answer = command("evaluate", "best/model.safetensors", *VOUCHING)
    assert (answer.code, answer.err) == (0, "")
    assert "test error 0.2500" in answer.out
    (tmp_path / "empty").mkdir()
    for name in ("bst", "empty"):
        refused = command("evaluate", name, *VOUCHING)
        assert (refused.code, refused.out) == (2, "")
        assert refused.err == (
            f"mnist-tune: {name}: has no config.toml; name a folder that 'mnist-tune train' or 'export "
            "--files' wrote\n"
        )


@pytest.mark.slow
def test_files_that_come_into_a_models_folder_leave_its_evaluation_as_it_is(
    tmp_path: Path, command: Command
) -> None:
    finished_study(tmp_path, command)
    command("export", "own", "--files", "best")
    command("evaluate", "best", *VOUCHING)
    first = command("report", "own", "--model", "best", "--output", "best/report.html")
    assert first.code == 0
    assert command("report", "own", "--model", "best").code == 0
    (tmp_path / "best" / "metrics.json").write_text("[" * 100_000)
    broken = command("report", "own", "--model", "best")
    assert (broken.code, broken.out) == (2, "")
    assert broken.err == ("mnist-tune: best/metrics.json: cannot be read; train or export the model again\n")


@pytest.mark.slow
def test_a_file_with_one_of_our_names_is_kept_under_another(tmp_path: Path, command: Command) -> None:
    saved = '    trial.save("model.safetensors", model)\n'
    job = JOB.replace(saved, f'{saved}    trial.save("Metrics.json", "theirs")\n')
    own_job(tmp_path, job.replace("ARGUMENTS", BOTH), SPEC, "own")
    assert command("run", "own.toml", "--workers", "1").code == 0
    assert command("export", "own", "--output", "best.toml", "--files", "best").code == 0
    assert (tmp_path / "best" / "job-Metrics.json").read_text() == "theirs"
    assert command("train", "best.toml", *VOUCHING, "--output", "again").code == 0
    assert (tmp_path / "again" / "job-Metrics.json").read_text() == "theirs"
    assert "history" in json.loads((tmp_path / "again" / "metrics.json").read_text("utf-8"))


@pytest.mark.slow
def test_a_field_that_came_after_the_export_is_one_line(tmp_path: Path, command: Command) -> None:
    finished_study(tmp_path, command)
    command("export", "own", "--files", "best")
    job = tmp_path / "own.py"
    job.write_text(job.read_text().replace("    epochs: int = 2\n", "    epochs: int = 2\n    width: int\n"))
    answer = command("evaluate", "best", *VOUCHING)
    assert (answer.code, answer.out) == (2, "")
    assert "training.width" in answer.err
    assert answer.err.count("\n") == 1


def test_files_that_are_not_there_or_have_no_place_are_one_line(tmp_path: Path, command: Command) -> None:
    finished_study(tmp_path, command)
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "mine").write_text("kept")
    answer = command("export", "own", "--files", "best")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.splitlines()[-1] == (
        "mnist-tune: best: is not empty, and nothing is overwritten; name a new folder with --files"
    )
    assert [path.name for path in (tmp_path / "best").iterdir()] == ["mine"]
    (artifacts,) = tmp_path.glob("*.artifacts")
    shutil.rmtree(artifacts)
    answer = command("export", "own", "--files", "new")
    assert (answer.code, answer.out) == (2, "")
    there = "run this where it is, or name its folder with --artifacts"
    says = f" has saved model.safetensors, which is not in {artifacts}; {there}"
    assert answer.err.splitlines()[-1].endswith(says)
    assert not (tmp_path / "new").exists()
