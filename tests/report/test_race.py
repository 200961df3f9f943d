"""The report's section on a race over seeds."""

from __future__ import annotations

from pathlib import Path

from tests.support.report_contents import picture_of, report_of, traces_of
from tests.support.settling_studies import CLEAR, alike_value, made_value, run_through, worker_of
from tests.support.studies import new_study, opened_again


def test_it_shows_who_is_still_in_with_the_interval_of_each_difference(tmp_path: Path) -> None:
    study = new_study(tmp_path, CLEAR)
    worker = worker_of(study, tmp_path)
    before = picture_of(report_of(study), "race")
    assert before.figure is None
    assert before.answer == "Race: 3 configurations with 2 seeds each are judged first."
    run_through(worker, made_value, most=7)
    picture = picture_of(report_of(opened_again(study)), "race")
    assert picture.answer.startswith("Race after 2 seeds: 2 of 3 configurations are still in. About ")
    still_in, out = traces_of(picture)
    assert (still_in["y"], out["y"]) == (["0.001"], ["0.1"])
    assert out["x"][0] > out["error_x"]["array"][0] > 0
    (table,) = picture.tables
    assert [row[-1] for row in table.rows] == ["yes", "yes", "out"]
    run_through(worker, made_value)
    over = picture_of(report_of(opened_again(study)), "race")
    assert over.answer.startswith("Race over after 3 seeds: learning_rate=0.01 is best (")


def test_the_headline_calls_tied_what_the_race_calls_tied(tmp_path: Path) -> None:
    study = new_study(tmp_path, CLEAR)
    run_through(worker_of(study, tmp_path), alike_value)
    report = report_of(opened_again(study))
    assert "race over after 6 seeds: 3 configurations are tied" in report.headline.evidence
