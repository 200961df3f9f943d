"""`try_job`: a job run once from Python, as its own tests run it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_tune import DataOptions, Hyperparameters, MnistTuneError, Trial, UserError, job, try_job


class Settings(Hyperparameters):
    epochs: int = 3
    start: float


class Data(DataOptions):
    rows: int = 5


@job(objective="error", direction="minimize", objective_epoch="best", unit="rows", data_options=Data)
def fall(settings: Settings, trial: Trial) -> None:
    """An error that falls, and rises again in the last epoch."""
    trial.note(rows=trial.data.rows, device=trial.device)
    trial.log(f"has {trial.threads} threads")
    for epoch in trial.epochs():
        if settings.start < 0:
            return
        trial.report(error=settings.start / epoch if epoch < settings.epochs else 1e6, rows=trial.data.rows)
    trial.save("note.txt", "done")


def test_a_run_tells_its_numbers_its_facts_and_its_files(tmp_path: Path) -> None:
    lines: list[str] = []
    tried = try_job(
        fall, {"start": 6.0}, {"rows": 7}, device="cpu", save=tmp_path / "out", on_line=lines.append
    )
    assert [epoch["error"] for epoch in tried.epochs] == [6.0, 3.0, 1e6]
    assert tried.value == 3.0
    assert tried.facts == {"rows": 7, "device": "cpu"}
    assert tried.files == {"note.txt": b"done"}
    assert (tmp_path / "out" / "note.txt").read_bytes() == b"done"
    assert tried.settings == {"epochs": 3, "seed": 0, "start": 6.0}
    assert (tried.state_bytes, tried.state_problem) == (None, None)
    assert lines[0] == "has None threads"


@pytest.mark.parametrize(
    ("settings", "data", "says"),
    [
        ({}, {}, "training.start: missing: the job has no default for it"),
        ({"start": "high"}, {}, "training.start: Input should be a valid number"),
        ({"start": 1.0, "width": 3}, {}, "training.width: Extra inputs are not permitted"),
        ({"start": 1.0}, {"rows": 0.5}, "data.rows: Input should be a valid integer"),
    ],
)
def test_a_wrong_setting_is_one_line(settings: dict[str, object], data: dict[str, object], says: str) -> None:
    with pytest.raises(UserError) as refused:
        try_job(fall, settings, data)
    assert str(refused.value) == says


def test_a_job_that_leaves_early_is_no_result(tmp_path: Path) -> None:
    with pytest.raises(MnistTuneError, match="the training ended before its first epoch"):
        try_job(fall, {"start": -1.0}, save=tmp_path / "out")
    assert not (tmp_path / "out").exists()
