"""The choice of a study is trained on all data with new seeds, and measured once on test data."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import pytest
from scipy import stats

import mnist_tune
from mnist_tune.results.reading import read_results
from mnist_tune.results.study_results import Results
from mnist_tune.storage.guarded import GuardedStorage
from mnist_tune.study.store import open_study
from tests.support.commands import Command
from tests.support.confirmed_jobs import VOUCHING, choice, readings, searched
from tests.support.heads import running_head
from tests.support.studies import open_file


def confirmed(folder: Path, command: Command, seeds: int = 3) -> Results:
    """The finished confirmation of a finished study."""
    searched(folder, command)
    assert command("confirm", "own", "--seeds", str(seeds)).code == 0
    worked = command("worker", "own-confirm", *VOUCHING)
    assert worked.code == 0, worked.err
    return read_results(open_study(open_file(folder), "own-confirm"))


def test_the_choice_of_a_study_becomes_a_study_with_seeds_of_its_own(
    tmp_path: Path, command: Command
) -> None:
    searched(tmp_path, command)
    made = command("confirm", "own", "--seeds", "3")
    assert (made.code, made.err) == (0, "")
    where, number = f"sqlite:///{tmp_path}/studies.db", choice(tmp_path)
    whose = f"the configuration of trial {number} of 'own'"
    assert made.out.splitlines() == [
        f"created study 'own-confirm' with 3 seeds in {where}: {whose}",
        "start workers with: mnist-tune worker own-confirm --job own.py:train",
    ]
    spec = open_study(open_file(tmp_path), "own-confirm").spec
    assert spec.search.grid == {"seed": [2, 3, 4]}
    assert (spec.training.learning_rate, spec.training.epochs, spec.data.held_back) == (0.25, 3, 10)
    assert (spec.description.objective, spec.description.direction) == ("test_error", "minimize")
    assert (spec.lease.grace_period, spec.limits.checkpoint_interval) == (4.0, 0)
    again = command("confirm", "own", "--seeds", "3")
    assert (again.code, again.err) == (0, "")
    assert again.out == f"study 'own-confirm' is in {where} already, with 3 seeds: {whose}\n"
    told = command("confirm", "own", "--seeds", "2", "--json").json
    assert (told["created"], told["seeds"], told["metric"]) == (False, [2, 3, 4], "test_error")
    assert told["confirms"] == {"study": "own", "trial": number, "metric": "error"}
    assert told["training"] == {"epochs": 3, "learning_rate": 0.25}
    assert readings(tmp_path) == []


def test_each_seed_is_measured_once_and_its_value_is_that_of_train_and_evaluate(
    tmp_path: Path, command: Command
) -> None:
    found = confirmed(tmp_path, command)
    assert sorted(readings(tmp_path)) == [2, 3, 4]
    assert (found.cells.complete, found.cells.total) == (3, 3)
    assert {trial.environment["held_back"] for trial in found.complete} == {0}
    assert all("validation_error" not in epoch.numbers for one in found.complete for epoch in one.history)
    command("export", "own", "--output", "best.toml")
    for trial in found.complete:
        seed = str(trial.parameters["seed"])
        assert command("train", "best.toml", *VOUCHING, "--seed", seed, "--output", seed).code == 0
        measured = command("evaluate", seed, *VOUCHING, "--json").json
        assert trial.evaluation is not None
        assert trial.value == measured["metrics"]["error"] == trial.evaluation.metrics["error"]
        assert trial.evaluation.classes is not None
        matrix = [list(row) for row in trial.evaluation.classes.confusion_matrix]
        assert (matrix, trial.evaluation.n_cases) == (
            measured["classes"]["confusion_matrix"],
            measured["n_cases"],
        )
    assert len({trial.value for trial in found.complete}) == 3, "seeds differ"


def test_its_mean_deviation_and_interval_stand_in_status_report_and_export(
    tmp_path: Path, command: Command
) -> None:
    found = confirmed(tmp_path, command)
    values = [trial.final_value for trial in found.complete]
    mean, deviation = statistics.fmean(values), statistics.stdev(values)
    low, high = stats.t.interval(0.95, 2, loc=mean, scale=deviation / 3**0.5)
    numbers = (
        f"test error {mean:.4f}, standard deviation {deviation:.4f}, n = 3, "
        f"95 % interval {low:.4f} to {high:.4f}"
    )
    whose = f"trial {choice(tmp_path)} of 'own' trained anew on all data"
    assert f"{whose}: {numbers}\n" in command("status", "own-confirm").out
    of_choice = f"confirmed by 'own-confirm' with learning_rate=0.25: {numbers}"
    assert f"{of_choice}\n" in command("status", "own").out
    assert of_choice in command("export", "own", "--output", "best.toml").out
    assert of_choice in (tmp_path / "best.toml").read_text("utf-8")
    for name in ("own", "own-confirm"):
        (told,) = command("status", name, "--json").json["confirmations"]
        assert told["study"] == "own-confirm"
        assert (told["n"], told["n_wanted"]) == (3, 3)
        assert (told["mean"], told["deviation"]) == (mean, deviation)
        assert told["interval"] == pytest.approx([low, high])
        exported = json.loads(command("export", name, "--format", "json").out)
        assert exported["origin"]["confirmations"] == [told]
        assert command("report", name, "--output", f"{name}.html").code == 0
        page = (tmp_path / f"{name}.html").read_text("utf-8")
        assert "test error, mean of 3 seeds" in page
        assert f"Standard deviation {deviation:.4f}, n = 3." in page
        assert "a little optimistic" not in page or name == "own"
        assert "Not measured yet" not in page
        assert "&#39;own-confirm&#39;, seed 2, the first of 3 models" in page
    shown = command("status", "own-confirm").out
    assert all(f"{value:.4f}" in shown for value in values)


@pytest.mark.slow
def test_before_its_end_a_confirmation_says_how_many_seeds_it_has(tmp_path: Path, command: Command) -> None:
    searched(tmp_path, command)
    command("confirm", "own")
    said = "confirmed by 'own-confirm' with learning_rate=0.25: test error"
    assert f"{said} is not known yet: none of 5 seeds has ended\n" in command("status", "own").out
    assert command("report", "own").code == 0
    assert command("report", "own-confirm").code == 0
    command("worker", "own-confirm", *VOUCHING, "--max-trials", "1")
    line = next(line for line in command("status", "own").out.splitlines() if line.startswith(said))
    assert line.endswith(", n = 1 of 5")
    command("worker", "own-confirm", *VOUCHING, "--max-trials", "1")
    assert ", n = 2 of 5, 95 % interval " in command("status", "own").out


@pytest.mark.slow
def test_more_seeds_are_given_by_extend_and_nothing_else_is(tmp_path: Path, command: Command) -> None:
    confirmed(tmp_path, command)
    refused = command("confirm", "own", "--seeds", "4")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == (
        "mnist-tune: study 'own-confirm' exists with 3 seeds; give it more with: mnist-tune extend "
        "own-confirm --seeds 4\n"
    )
    assert command("extend", "own-confirm", "--seeds", "4").code == 0
    refused = command("extend", "own-confirm", "--epochs", "+1")
    assert refused.code == 2
    assert refused.err.startswith(
        "mnist-tune: extend: epochs: a confirmation has the epochs of the study whose"
    )
    assert command("confirm", "own", "--seeds", "4").code == 0
    assert command("worker", "own-confirm", *VOUCHING).code == 0
    assert sorted(readings(tmp_path)) == [2, 3, 4, 5]
    assert ", n = 4, 95 % interval " in command("status", "own").out
    refused = command("extend", "own-confirm", "--add", "learning_rate=0.1")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == (
        "mnist-tune: extend: search.grid: a confirmation has one configuration: write seed = [...] alone\n"
    )
    assert command("verify", "own-confirm").code == 0


def test_another_choice_is_confirmed_under_another_name(tmp_path: Path, command: Command) -> None:
    searched(tmp_path, command)
    command("confirm", "own")
    trials = read_results(open_study(open_file(tmp_path), "own")).complete
    numbers = {one.parameters["learning_rate"]: str(one.number) for one in trials}
    same = command("confirm", "own", "--trial", numbers[0.25])
    assert (same.code, same.out.split(" is in ")[0]) == (0, "study 'own-confirm'")
    refused = command("confirm", "own", "--trial", numbers[0.5])
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == (
        "mnist-tune: study 'own-confirm' exists with another spec: training.learning_rate is 0.25 there and "
        "0.5 here; give this one another name with --name\n"
    )
    assert command("confirm", "own", "--trial", numbers[0.5], "--name", "other", "--seeds", "2").code == 0
    assert command("worker", "other", *VOUCHING).code == 0
    said = command("status", "own").out
    assert "confirmed by 'own-confirm' with learning_rate=0.25: " in said
    assert "confirmed by 'other' with learning_rate=0.5: test error " in said
    refused = command("confirm", "own", "--name", "own")
    assert refused.err == "mnist-tune: study 'own' is there, and confirms nothing; name another with --name\n"
    refused = command("confirm", "other")
    assert refused.err == (
        "mnist-tune: study 'other' is a confirmation itself; more seeds tell more: mnist-tune extend other "
        "--seeds +5\n"
    )
    refused = command("confirm", "own", "--trial", "9")
    assert refused.err == "mnist-tune: --trial 9: is not there in study 'own'; name a complete trial of it\n"


@pytest.mark.slow
def test_a_study_of_the_same_name_with_other_trials_is_not_confirmed_by_it(
    tmp_path: Path, command: Command
) -> None:
    searched(tmp_path, command)
    command("confirm", "own")
    assert command("delete-study", "own", "--yes").code == 0
    other = (tmp_path / "own.toml").read_text("utf-8").replace("[0.5, 0.25]", "[0.5, 0.125]")
    (tmp_path / "own.toml").write_text(other, encoding="utf-8")
    assert command("run", "own.toml", "--workers", "1").code == 0
    assert "confirmed by" not in command("status", "own").out


def test_python_confirms_a_choice_through_a_head_too(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched(tmp_path, command)
    stored: GuardedStorage = open_file(tmp_path)
    monkeypatch.chdir(tmp_path)
    with running_head(stored, tmp_path) as address:
        study = mnist_tune.open_study("own", str(address))
        made = study.confirm(3)
        assert (made.name, made.status.cells.waiting) == ("own-confirm", 3)
        assert study.confirm(3).spec == made.spec
        with pytest.raises(mnist_tune.UserError, match="exists with 3 seeds"):
            study.confirm(5)
        worked = command("worker", "own-confirm", *VOUCHING, "--storage", str(address))
        assert worked.code == 0, worked.err
        (line,) = [line for line in study.status.evidence if line.startswith("confirmed by")]
        assert ", n = 3, 95 % interval " in line
        assert study.export()["origin"]["confirmations"][0]["n"] == 3
    assert sorted(readings(tmp_path)) == [2, 3, 4]
    assert line in mnist_tune.open_study("own", f"sqlite:///{tmp_path}/studies.db").status.evidence
