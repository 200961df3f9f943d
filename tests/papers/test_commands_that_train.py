"""The papers' commands that train MNIST work, as they stand or on a smaller study."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from mnist_tune.results.reading import read_results
from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.guarded import open_storage
from mnist_tune.study.store import open_study
from tests.papers.commands import BEYOND_IT, CONFIRMING, FROM_THE_SEARCH_TO_A_MODEL, THE_REFERENCE_GRID
from tests.support.commands import finish, start_command
from tests.support.specs import STUDIES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]

LONGEST = 3600.0
"""How long a command may take, in seconds: some train on 60,000 images, and the machine may be busy."""


def run_in(folder: Path, lines: list[str]) -> list[str]:
    """Run commands one after another in a folder with `studies/`; what each printed."""
    (folder / "studies").symlink_to(STUDIES)
    printed = []
    for line in lines:
        begun = start_command(*shlex.split(line)[1:], folder=folder, url="sqlite:///mnist-tune.db")
        answer = finish(begun, LONGEST)
        assert (answer.returncode, answer.stderr) == (0, ""), line
        printed.append(answer.stdout)
    return printed


def test_the_way_from_the_search_to_a_model_works_as_it_stands(tmp_path: Path, mnist_directory: Path) -> None:
    printed = dict(zip(FROM_THE_SEARCH_TO_A_MODEL, run_in(tmp_path, FROM_THE_SEARCH_TO_A_MODEL), strict=True))
    accuracy = re.search(r"test accuracy ([\d.]+) %", printed["mnist-tune evaluate models/best"])
    assert accuracy is not None
    assert float(accuracy[1]) > 97
    assert "the study is finished" in printed["mnist-tune worker quickstart"]
    metrics = json.loads((tmp_path / "models" / "best" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["images"] == 60_000
    assert str(mnist_directory) in printed["mnist-tune data check"]


def smaller(name: str, folder: Path, lines: list[str]) -> list[str]:
    """Run commands on a study with a hundredth of the images and few epochs; what each printed."""
    (folder / "mine").mkdir()
    text = (STUDIES / f"{name}.toml").read_text(encoding="utf-8")
    text = re.sub(r"^epochs = \d+", "epochs = 1" if name == "seed-grid" else "epochs = 2", text, flags=re.M)
    for longer, shorter in (("min_resource = 3", "min_resource = 1"), ("factor = 3", "factor = 2")):
        text = text.replace(longer, shorter)
    text = text.replace("= 50000", "= 500").replace("= 10000", "= 500")
    text = text.replace("n_trials = 18", "n_trials = 6\nn_startup_trials = 3")
    (folder / "mine" / f"{name}.toml").write_text(text, encoding="utf-8")
    return run_in(folder, [line.replace("studies/", "mine/") for line in lines])


def test_the_reference_grids_commands_work_on_a_smaller_study(tmp_path: Path) -> None:
    printed = smaller("seed-grid", tmp_path, THE_REFERENCE_GRID)
    assert json.loads(printed[-1])["metrics"]["accuracy"] > 90


def test_the_choice_of_a_smaller_study_is_confirmed_on_all_images_of_mnist(tmp_path: Path) -> None:
    fewer = [line.replace("--seeds 5", "--seeds 2") for line in CONFIRMING]  # an epoch of 60,000 images each
    smaller("seed-grid", tmp_path, ["mnist-tune run studies/seed-grid.toml", *fewer])
    storage = open_storage(storage_url(f"sqlite:///{tmp_path}/mnist-tune.db"))
    results = read_results(open_study(storage, "seed-grid-confirm"))
    assert sorted(trial.parameters["seed"] for trial in results.complete) == [1, 2]
    for trial in results.complete:
        evaluation = trial.evaluation
        assert evaluation is not None
        assert evaluation.classes is not None
        assert (evaluation.n_cases, evaluation.dataset) == (10_000, "MNIST")
        right = sum(row[digit] for digit, row in enumerate(evaluation.classes.confusion_matrix))
        assert trial.final_value == evaluation.metrics["accuracy"] == pytest.approx(right / 100)
        assert trial.final_value > 90
        rate, seconds = trial.history[-1]["images_per_second"], trial.history[-1].seconds
        assert round((rate or 0) * (seconds or 0)) == 60_000
        assert trial.history[-1]["validation_accuracy"] is None
    (line,) = results.evidence
    assert re.search(r"test accuracy [\d.]+ %, standard deviation [\d.]+ points, n = 2, 95 % interval", line)


def test_the_commands_beyond_the_grid_work_on_a_smaller_study(tmp_path: Path) -> None:
    printed = smaller("beyond", tmp_path, BEYOND_IT)
    assert json.loads(printed[3])["metrics"]["accuracy"] > 97
    assert "6/6 cells" in printed[0]
