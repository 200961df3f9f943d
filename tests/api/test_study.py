"""Studies from Python: an example as in a notebook, and a study's own values."""

from __future__ import annotations

import os
import tomllib
from html import escape
from pathlib import Path
from typing import Any, assert_type

import pytest

import mnist_tune
from mnist_tune.contract.study import Control
from mnist_tune.failures import Failure
from mnist_tune.queue.control import set_control
from mnist_tune.results.exports import load_configuration
from mnist_tune.study.delete import delete_study
from mnist_tune.study.open_study import OpenStudy
from tests.support.commands import Command
from tests.support.made_studies.cells import complete_cell, fail_cell
from tests.support.settling_studies import CLEAR, made_value, run_through, worker_of
from tests.support.specs import SEEDS_SPEC, TWO_CELLS, tiny_spec, write_spec
from tests.support.studies import new_study

SPEC: dict[str, Any] = {
    "study": {"name": "tiny"},
    "search": {"grid": {"learning_rate": (0.001, 0.0001)}},
    "training": {"epochs": 2, "precision": "fp32"},
    "data": {"train_size": 200, "validation_size": 100},
}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MNIST_TUNE_STORAGE", raising=False)


@pytest.fixture
def opened(tmp_path: Path) -> OpenStudy:
    """Four configurations of which two have both seeds, one has one, and one has none."""
    study = new_study(tmp_path, SEEDS_SPEC)
    for accuracy in (98.0, 98.2, 96.0, 96.1, 97.0):
        complete_cell(study, 50.0, accuracy)
    fail_cell(study, Failure("exception", "RuntimeError: broken\nTraceback"), 50.0)
    return study


@pytest.fixture
def study(opened: OpenStudy) -> mnist_tune.Study:
    return mnist_tune.open_study("tiny", "studies.db")


@pytest.mark.slow
def test_a_notebook_makes_a_study_runs_it_and_looks_at_it(
    mnist_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    created = mnist_tune.create_study(SPEC, "studies.db")
    assert_type(created, mnist_tune.Study)
    assert (created.status.cells.waiting, created.status.finished, created.best) == (2, False, None)
    assert repr(created) == f"<Study 'tiny' in sqlite:///{tmp_path}/studies.db: 0/2 cells, 2 waiting>"

    study = mnist_tune.run(SPEC, workers=2, storage="studies.db")

    printed = capsys.readouterr()
    first, *_, last = printed.out.splitlines()
    assert first == f"study 'tiny' goes on in sqlite:///{tmp_path}/studies.db: 2 cells, 2 workers"
    assert last == "export it with: mnist-tune export tiny --output best.toml"
    assert all(f"trial {trial} begins: learning_rate=0.0" in printed.out for trial in (0, 1))
    assert (printed.err, "\x1b" in printed.out) == ("", False)
    status = study.status
    assert (status.cells.complete, status.finished, status.control, status.problems) == (
        2,
        True,
        "running",
        (),
    )
    assert [place.rank for place in study.ranking] == [1, 2]
    best = study.best
    assert_type(best, mnist_tune.RankedConfiguration | None)
    assert best == study.ranking[0]
    assert best is not None
    assert (best.verdict, best.seeds, best.standard_error) == ("best", (0,), None)
    trials, history = study.trials_dataframe(), study.history_dataframe()
    assert list(trials.number) == [0, 1]
    assert trials.value.max() == best.mean
    assert list(history.groupby("number").epoch.max()) == [2, 2]
    assert list(history[history.epoch == 2].validation_accuracy) == list(trials.value)
    assert f'<td style="text-align: right">{best.mean:.2f} %</td>' in study._repr_html_()
    assert study.export("best.toml")["training"]["learning_rate"] == best.parameters["learning_rate"]
    assert load_configuration(Path("best.toml")).document() == study.export()
    assert study.report("report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert capsys.readouterr() == ("", "")

    again = mnist_tune.open_study("tiny", tmp_path / "studies.db")
    assert (again.status, again.ranking) == (status, study.ranking)
    assert mnist_tune.study_names("studies.db") == ["tiny"]


def test_a_finished_study_is_run_by_saying_so(opened: OpenStudy, capsys: pytest.CaptureFixture[str]) -> None:
    for accuracy in (97.0, 97.1, 97.2):
        complete_cell(opened, accuracy)
    spec = opened.spec.document()
    assert mnist_tune.run(spec, storage="studies.db").status.finished
    assert capsys.readouterr().out.startswith("study 'tiny' is finished already in sqlite:////")
    assert mnist_tune.run(spec, storage="studies.db", progress=False).status.finished
    assert capsys.readouterr() == ("", "")


def test_the_status_and_the_ranking_are_what_the_command_says(
    command: Command, study: mnist_tune.Study
) -> None:
    said = command("status", "tiny", "--json").json
    status = study.status
    assert said["cells"] == vars(status.cells)
    for key in ("evidence", "warnings", "problems"):
        assert said[key] == list(getattr(status, key))
    assert (said["finished"], said["control"]) == (status.finished, status.control)
    assert [place["verdict"] for place in said["ranking"]] == ["best", "tied", "behind"]
    for place, ranked in zip(said["ranking"], study.ranking, strict=True):
        for key in ("rank", "parameters", "mean", "standard_error", "provisional", "p_value"):
            assert place[key] == getattr(ranked, key)
        assert (place["trials"], place["n"]) == (list(ranked.trials), len(ranked.seeds))
    assert study.ranking[0].verdict == "best so far"


def test_the_status_of_a_study_that_settles_has_its_race(tmp_path: Path) -> None:
    made = new_study(tmp_path, CLEAR)
    study = mnist_tune.open_study("tiny", storage=str(made.storage.engine.url))
    worker = worker_of(made, tmp_path)
    run_through(worker, made_value, most=3)
    race = study.status.race
    assert race is not None
    assert (race.seeds, race.over, race.ending, race.seeds_expected) == (0, False, None, None)
    assert {one["learning_rate"] for one in race.still_in} == {0.1, 0.01, 0.001}
    run_through(worker, made_value)
    race = study.status.race
    assert race is not None
    assert (race.over, race.ending) == (True, "one is best")
    assert race.still_in == ({"learning_rate": 0.01},)
    assert {one["learning_rate"] for one in race.out} == {0.1, 0.001}


def test_a_study_is_read_anew_at_each_look_and_not_before(opened: OpenStudy, study: mnist_tune.Study) -> None:
    before = study.status
    set_control(opened.storage, opened.study_id, Control.PAUSED)
    assert (before.control, study.status.control) == ("running", "paused")


def test_a_deleted_study_still_has_a_name_and_says_what_became_of_it(
    opened: OpenStudy, study: mnist_tune.Study
) -> None:
    delete_study(opened)
    assert study.name == "tiny"
    gone = "cannot be read: study 'tiny' has been deleted meanwhile"
    assert repr(study).endswith(f": {gone}>")
    assert study._repr_html_() == f"<div><p><strong>tiny</strong> {escape(gone)}</p></div>"
    with pytest.raises(mnist_tune.UserError, match=r"^study 'tiny' has been deleted meanwhile$"):
        study.status  # noqa: B018


@pytest.mark.parametrize("as_", ["a path", "a text", "the tables"])
def test_a_spec_is_a_file_or_its_tables(tmp_path: Path, as_: str) -> None:
    path = write_spec(tmp_path, TWO_CELLS)
    spec = tiny_spec(tmp_path, TWO_CELLS)
    given: Any = {"a path": path, "a text": str(path), "the tables": tomllib.loads(TWO_CELLS)}[as_]
    assert mnist_tune.create_study(given, name="other").spec == spec.named("other").document()


def test_the_default_storage_is_the_commands(command: Command, tmp_path: Path) -> None:
    created = mnist_tune.create_study("quickstart")  # where $MNIST_TUNE_STORAGE says
    assert created.storage == f"sqlite:///{tmp_path}/studies.db"
    assert command("studies").out == "quickstart: 0/8 cells, 8 waiting\n"


def test_a_study_stays_where_it_is_when_the_current_folder_changes(tmp_path: Path) -> None:
    study = mnist_tune.create_study("quickstart")
    (tmp_path / "elsewhere").mkdir()
    os.chdir(tmp_path / "elsewhere")
    assert study.storage == f"sqlite:///{tmp_path}/mnist-tune.db"
    assert study.status.cells.waiting == 8


def test_the_finished_cells_of_an_older_study_are_taken_over(opened: OpenStudy) -> None:
    wider = opened.spec.document()
    wider["search"]["grid"]["seed"] = [0, 1, 2]
    study = mnist_tune.create_study(wider, "studies.db", name="wider", reuse="tiny")
    assert study.status.cells.complete == 5


def test_what_the_author_of_a_spec_should_know_is_a_warning_at_his_line(tmp_path: Path) -> None:
    mnist_tune.create_study(SPEC, "studies.db")
    with pytest.warns(UserWarning, match=r"^the study keeps its own settings: retry.lost is 3") as caught:
        mnist_tune.create_study(SPEC | {"retry": {"lost": 5}}, "studies.db")
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize("as_", ["a file", "the tables"])
def test_the_former_name_of_a_field_is_a_warning_at_his_line_too(tmp_path: Path, as_: str) -> None:
    file = write_spec(tmp_path, TWO_CELLS + "\n[lease]\npatience = 30\n")
    given: Any = {"a file": file, "the tables": SPEC | {"lease": {"patience": 30}}}[as_]
    told = r"^lease\.patience is called lease\.storage_timeout now; write that$"
    with pytest.warns(FutureWarning, match=told) as caught:
        mnist_tune.create_study(given)
    assert [warning.filename for warning in caught] == [__file__]
