"""A user's own job: run, killed, resumed, ranked, reported."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import optuna
import pytest

from mnist_tune.results.reading import read_results
from mnist_tune.results.study_results import Results
from mnist_tune.study.store import open_study
from tests.papers.papers import OWN_JOBS, blocks
from tests.support.commands import Command, finish, start_command
from tests.support.own_jobs import FIT, FIT_SPEC, own_job
from tests.support.studies import open_file


def results_in(folder: Path, name: str = "fit") -> Results:
    return read_results(open_study(open_file(folder), name))


def run(spec: Path, folder: Path, *options: str) -> None:
    answer = finish(start_command("run", str(spec), "--workers", "2", *options, folder=folder))
    assert answer.returncode == 0, answer.stdout + answer.stderr


def metrics_of(results: Results) -> dict[int, list[dict[str, Any]]]:
    """The epochs of each cell, without times."""
    return {
        attempt.cell: [
            {name: value for name, value in epoch.numbers.items() if name in ("error", "luck")}
            for epoch in attempt.history
        ]
        for attempt in results.complete
    }


@pytest.mark.slow
def test_the_job_of_the_papers_runs_as_it_stands(tmp_path: Path) -> None:
    python = [block for block in blocks(OWN_JOBS, "python") if "@job" in block]
    toml = [block for block in blocks(OWN_JOBS, "toml") if "\nfile = " in block]
    assert (len(python), len(toml)) == (1, 1)
    run(own_job(tmp_path, python[0], toml[0]), tmp_path)
    results = results_in(tmp_path)
    assert (results.cells.complete, results.best is not None) == (4, True)
    assert results.best is not None
    assert results.best.parameters == {"learning_rate": 0.1}  # the lower error is the better one
    assert [epoch.epoch for epoch in results.complete[0].history] == list(range(1, 11))


@pytest.mark.slow
def test_a_minimised_objective_is_right_for_every_reader(tmp_path: Path, command: Command) -> None:
    run(own_job(tmp_path), tmp_path)
    results = results_in(tmp_path)
    first, second = results.ranking
    assert first.candidate.mean < second.candidate.mean
    assert second.verdict == "one seed"
    stock = optuna.load_study(study_name="fit", storage=f"sqlite:///{tmp_path / 'studies.db'}")
    assert stock.direction is optuna.study.StudyDirection.MINIMIZE
    assert stock.best_value == first.candidate.mean
    assert stock.metric_names == ["error"]
    status = command("status", "fit")
    assert "error" in status.out
    assert "rows/s" in status.out
    assert "accuracy" not in status.out
    assert command("verify", "fit").code == 0
    assert 'file = "fit.py:train"' in command("export", "fit").out
    assert command("report", "fit", "--output", str(tmp_path / "report.html")).code == 0
    page = re.sub(r"(?s)<(script|style).*?</\1>", "", (tmp_path / "report.html").read_text("utf-8"))
    assert "Where in the grid is error low?" in page
    for of_mnist in ("98.94", "digit", "accuracy"):
        assert of_mnist not in page, of_mnist


@pytest.mark.slow
def test_a_job_that_is_killed_twice_in_every_epoch_ends_with_the_same_bits(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run(own_job(whole), whole)
    spec = own_job(killed)
    (killed / "kill").touch()
    run(spec, killed)
    expected, found = results_in(whole), results_in(killed)
    assert metrics_of(found) == metrics_of(expected)
    failed = [attempt.failure for attempt in found.attempts if attempt.failure]
    assert {failure["class"] for failure in failed} == {"lost"}
    assert len(failed) == 2 * 3 * 2  # cells, epochs, places
    for attempt in found.attempts:
        assert len({epoch.epoch for epoch in attempt.history}) == len(attempt.history)


@pytest.mark.slow
def test_trials_that_ran_different_code_are_told_apart(tmp_path: Path) -> None:
    spec = own_job(tmp_path)
    assert finish(start_command("create-study", str(spec), folder=tmp_path)).returncode == 0
    worker = ["worker", "fit", "--job", "fit.py:train", "--max-trials", "1"]
    assert finish(start_command(*worker, folder=tmp_path)).returncode == 0
    own_job(tmp_path, FIT + "# changed\n")
    assert finish(start_command(*worker, folder=tmp_path)).returncode == 0
    assert any("cells differ in job_sha256" in warning for warning in results_in(tmp_path).warnings)


@pytest.mark.slow
def test_describing_a_job_imports_nothing_from_the_current_folder(tmp_path: Path) -> None:
    spec = own_job(tmp_path / "there", FIT)
    (tmp_path / "json.py").write_text("raise AssertionError\n", encoding="utf-8")
    answer = finish(start_command("create-study", str(spec), folder=tmp_path))
    assert (answer.returncode, answer.stderr) == (0, "")


@pytest.mark.slow
def test_a_job_that_keeps_nothing_begins_anew_and_says_so(tmp_path: Path) -> None:
    job = FIT.replace("    trial.keep(model=model, optimizer=optimizer)\n", "")
    spec = own_job(tmp_path, job, FIT_SPEC.replace("[0.1, 0.01]", "[0.1]"))
    (tmp_path / "kill").touch()
    run(spec, tmp_path)
    results = results_in(tmp_path)
    assert [len(epochs) for epochs in metrics_of(results).values()] == [3]
    logs = finish(start_command("logs", "fit", "--trial", str(results.complete[0].number), folder=tmp_path))
    assert "the job keeps no state (trial.keep): after a loss, a trial begins anew" in logs.stdout


@pytest.mark.parametrize(
    ("which", "expected"), [("last", 1.0), pytest.param("best", 5.0, marks=pytest.mark.slow)]
)
def test_the_last_or_the_best_epoch_counts(tmp_path: Path, which: str, expected: float) -> None:
    job = f'''
from mnist_tune import Hyperparameters, Trial, job

@job(objective="score", direction="maximize", objective_epoch="{which}")
def train(settings: Hyperparameters, trial: Trial) -> None:
    for epoch in trial.epochs():
        trial.report(score=[2.0, 5.0, 1.0][epoch - 1])
'''
    spec = FIT_SPEC.replace("learning_rate = [0.1, 0.01]", "seed = [0]")
    run(own_job(tmp_path, job, spec), tmp_path)
    assert [attempt.value for attempt in results_in(tmp_path).complete] == [expected]
    assert finish(start_command("verify", "fit", folder=tmp_path)).returncode == 0
