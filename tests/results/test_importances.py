"""One measure of importance: the report, the dashboard and stock Optuna with the same seed agree."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.importance import FanovaImportanceEvaluator

from mnist_tune.report.contents import contents
from mnist_tune.results.importances import EVALUATOR
from mnist_tune.results.reading import read_results
from mnist_tune.study.open_study import OpenStudy
from tests.support.dashboard_client import Client, app_of
from tests.support.made_studies.cells import complete_cell
from tests.support.specs import SAMPLED_SPEC
from tests.support.studies import new_study


def value_of(parameters: dict[str, Any]) -> float:
    """An accuracy that the optimizer decides, mostly."""
    size: int = parameters["batch_size"]
    return (95.0 if parameters["optimizer"] == "Adam" else 40.0) + size / 100


def work_off(study: OpenStudy) -> None:
    """Complete every cell that waits."""
    while waiting := [one for one in read_results(study).latest if one.state == "waiting"]:
        if waiting[0].parameters:
            complete_cell(study, value_of(waiting[0].parameters))
        else:
            queue = study.queue()
            claim = queue.claim("worker")
            assert claim is not None
            queue.complete(claim, value_of(study.guide().parameters(claim)))


@pytest.fixture
def worked_off(tmp_path: Path) -> OpenStudy:
    """The grid of eight cells, in which the optimizer decides."""
    study = new_study(tmp_path)
    work_off(study)
    return study


def of_the_report(study: OpenStudy) -> dict[str, float]:
    """The share of each field in the report's figure, to four digits."""
    report = contents(read_results(study), [], "", datetime.now(UTC))
    (picture,) = [one for one in report.pictures if one.key == "importance"]
    assert picture.figure is not None
    (bars,) = json.loads(picture.figure.to_json())["data"]
    assert bars["name"] == EVALUATOR
    assert EVALUATOR in picture.answer
    return dict(zip(bars["y"], bars["x"], strict=True))


def of_the_dashboard(study: OpenStudy, folder: Path) -> dict[str, float]:
    """The share of each field in the dashboard's answer to its page."""
    answer = Client(app_of(study, folder))("GET", f"/api/studies/{study.study_id}/param_importances").json
    (fields,) = answer["param_importances"]
    return {one["name"]: one["importance"] for one in fields}


def of_stock(study: OpenStudy) -> dict[str, float]:
    """The share of each field in a program that knows only Optuna."""
    stock = optuna.load_study(study_name=study.name, storage=str(study.storage.engine.url))
    evaluator = FanovaImportanceEvaluator(max_depth=6, seed=0)
    return optuna.importance.get_param_importances(stock, evaluator=evaluator)


def rounded(shares: dict[str, float]) -> dict[str, float]:
    return {name: round(share, 4) for name, share in shares.items()}


def test_the_report_the_dashboard_and_stock_optuna_agree_on_what_matters(
    worked_off: OpenStudy, tmp_path: Path
) -> None:
    reported = of_the_report(worked_off)
    assert reported["optimizer"] > 0.9
    assert rounded(of_the_dashboard(worked_off, tmp_path)) == reported
    assert rounded(of_stock(worked_off)) == reported


@pytest.mark.slow
def test_they_agree_on_a_sampled_study_too(tmp_path: Path) -> None:
    study = new_study(tmp_path, SAMPLED_SPEC.format(n_trials=20))
    work_off(study)
    assert rounded(of_the_dashboard(study, tmp_path)) == rounded(of_stock(study)) == of_the_report(study)


def test_the_dashboard_says_nothing_where_the_report_says_that_cells_are_too_few(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    complete_cell(study, 90.0)
    complete_cell(study, 91.0)
    assert of_the_dashboard(study, tmp_path) == {}
    complete_cell(study, 93.0)
    report = contents(read_results(study), [], "", datetime.now(UTC))
    (picture,) = [one for one in report.pictures if one.key == "importance"]
    assert picture.answer == "3 complete cells are too few to tell: it takes 8."


def test_the_note_on_the_study_says_which_measure_it_is(worked_off: OpenStudy, tmp_path: Path) -> None:
    client = Client(app_of(worked_off, tmp_path))
    assert EVALUATOR in client.detail(worked_off)["note"]["body"]


def test_another_programs_study_keeps_the_dashboards_own_measure(
    worked_off: OpenStudy, tmp_path: Path
) -> None:
    other = optuna.create_study(study_name="other", storage=str(worked_off.storage.engine.url))
    other.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    client = Client(app_of(worked_off, tmp_path))
    (fields,) = client("GET", f"/api/studies/{other._study_id}/param_importances").json["param_importances"]
    assert [one["name"] for one in fields] == ["x"]
