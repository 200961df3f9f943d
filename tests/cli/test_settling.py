"""A study that settles, as commands run it and tell of it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from mnist_tune.contract.claim import Standing
from mnist_tune.results.reading import read_results
from mnist_tune.terminal.live_view import live_view
from tests.support.commands import BY_EXEC, Command, run_command
from tests.support.own_jobs import own_job
from tests.support.settling_studies import CLEAR, alike_value, broken, made_value, run_through, worker_of
from tests.support.studies import new_study, open_file, opened_again, opened_file

JOB = """
import random
from mnist_tune import Hyperparameters, Trial, job

class Settings(Hyperparameters):
    width: int = 1

@job(objective="error", direction="minimize")
def train(settings: Settings, trial: Trial) -> None:
    noise = random.Random(1000 * settings.width + settings.seed)
    for epoch in trial.epochs():
        trial.report(error=10.0 * settings.width + settings.seed + noise.gauss(0, 0.1))
"""
SPEC = """
[study]
name = "fit"

[job]
file = "fit.py:train"

[search.grid]
width = [2, 1, 3]

[replicates]
max = 8

[training]
epochs = 1
"""


@pytest.mark.slow
def test_run_goes_on_until_a_race_of_a_users_job_is_over(tmp_path: Path) -> None:
    spec = own_job(tmp_path, JOB, SPEC)
    done = run_command("run", str(spec), "--workers", "2", folder=tmp_path, environment=BY_EXEC)
    assert (done.returncode, done.stderr) == (0, "")
    assert "seeds: width=1 is best" in done.stdout
    study = opened_file(tmp_path / "studies.db", "fit")
    results = read_results(study)
    assert [place.candidate.parameters["width"] for place in results.ranking] == [1, 2, 3]
    assert [place.verdict for place in results.ranking] == ["best", "behind", "behind"]
    assert broken(study, tmp_path) == []
    again = run_command("run", str(spec), "--workers", "1", folder=tmp_path, environment=BY_EXEC)
    assert again.returncode == 0
    assert read_results(study).cells == results.cells


def test_status_shows_the_race_while_it_goes_and_when_it_is_over(tmp_path: Path, command: Command) -> None:
    study = new_study(tmp_path, CLEAR.replace("indifference = 0.0", "indifference = 0.5"))
    worker = worker_of(study, tmp_path)
    begun = command("status", "tiny")
    assert "tiny: 0/6 cells, 6 waiting, race not judged yet" in begun.out
    run_through(worker, alike_value, most=6)
    waits = command("status", "tiny")
    assert "race: 3 configurations with 2 seeds each are judged first" in waits.out
    assert command("status", "tiny", "--json").json["finished"] is False
    run_through(worker, alike_value, most=1)
    goes_on = command("status", "tiny")
    assert "race after 2 seeds: 3 of 3 configurations are still in" in goes_on.out
    assert "about 3 more seeds each are expected, and 6 in all at most" in goes_on.out
    assert "still in the race" in goes_on.out
    screen = live_view(read_results(opened_again(study)), 100, 40).plain
    assert "race after 2 seeds: 3 of 3 configurations are still in" in screen
    assert "best so far" in screen
    assert run_through(worker, alike_value) is Standing.FINISHED
    over = command("status", "tiny")
    assert "race over after 6 seeds: 3 configurations are tied" in over.out
    assert "to tell a difference of 0.5 points takes about " in over.out
    race = command("status", "tiny", "--json").json["race"]
    assert (race["over"], race["ending"], race["rounds"], race["seeds"]) == (True, "tied", 5, 6)
    best, *others = race["configurations"]
    assert best["interval"] is None
    assert all(one["interval"][0] < one["difference"] < one["interval"][1] for one in others)


def test_what_is_exported_names_how_the_race_ended(tmp_path: Path, command: Command) -> None:
    run_through(worker_of(new_study(tmp_path, CLEAR), tmp_path), made_value)
    assert command("export", "tiny", "--output", "best.toml").code == 0
    origin = tomllib.loads((tmp_path / "best.toml").read_text("utf-8"))["origin"]
    assert origin["race"] == "one is best"
    assert origin["seeds"] == [0, 1, 2]
    assert any("learning_rate=0.01 is best" in line for line in origin["evidence"])


def test_the_same_spec_is_found_again_and_nobody_else_adds_seeds(tmp_path: Path, command: Command) -> None:
    (tmp_path / "spec.toml").write_text(CLEAR, encoding="utf-8")
    assert command("create-study", "spec.toml").code == 0
    run_through(worker_of(opened_file(tmp_path / "studies.db", "tiny"), tmp_path), made_value)
    assert command("create-study", "spec.toml").code == 0
    assert command("create-study", "spec.toml", "--extend").code == 0
    assert open_file(tmp_path) is not None
    refused = command("extend", "tiny", "--seeds", "+2", "--top", "2")
    assert refused.code == 2
    assert "[replicates] gives the seeds of this study" in refused.err
    assert command("verify", "tiny").code == 0
