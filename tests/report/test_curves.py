"""The report's learning curves."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_tune.report.theme import colour
from mnist_tune.study.open_study import OpenStudy
from tests.support.made_studies.cells import complete_cell
from tests.support.report_contents import picture_of, report_of, traces_of
from tests.support.specs import SAMPLED_SPEC
from tests.support.studies import new_study


def test_each_cell_has_its_own_curve_and_the_winners_is_on_top(study: OpenStudy) -> None:
    complete_cell(study, 80.0, 85.0)
    complete_cell(study, 90.0, 95.0)
    complete_cell(study, 70.0, 75.0)
    drawn = [trace for trace in traces_of(picture_of(report_of(study), "curves")) if trace["yaxis"] == "y3"]
    assert [trace["y"] for trace in drawn] == [[80.0, 85.0], [70.0, 75.0], [90.0, 95.0]]
    assert drawn[-1]["name"].startswith("best so far: ")
    assert drawn[-1]["line"]["width"] > 2 * drawn[0]["line"]["width"]
    looks = {(trace["line"].get("dash"), trace["marker"]["symbol"]) for trace in drawn}
    assert len(looks) == len(drawn)


def test_a_close_up_says_how_much_of_it_is_noise(study: OpenStudy) -> None:
    complete_cell(study, 10.0, 11.0)
    complete_cell(study, 89.0, 90.0)
    picture = picture_of(report_of(study), "curves")
    assert "one reading of 100 validation images is uncertain by ± 6.14 points" in picture.answer
    assert max(trace["yaxis"] for trace in traces_of(picture)) == "y4"


@pytest.mark.slow
def test_curves_of_many_cells_are_few_traces(tmp_path: Path) -> None:
    study = new_study(tmp_path, SAMPLED_SPEC.format(n_trials=40))
    for number in range(40):
        complete_cell(study, 50.0, 50.0 + number)
    drawn = traces_of(picture_of(report_of(study), "curves"))
    assert len(drawn) <= 4 * 4
    read = [trace for trace in drawn if trace.get("hoverinfo") != "skip"]
    accuracies = [value for trace in read if trace["yaxis"] == "y3" for value in trace["y"]]
    assert sorted(filter(None, accuracies)) == sorted([50.0] * 40 + [50.0 + number for number in range(40)])


@pytest.mark.slow
def test_among_many_curves_the_winners_has_a_border_of_the_papers_colour(tmp_path: Path) -> None:
    study = new_study(tmp_path, SAMPLED_SPEC.format(n_trials=20))
    for number in range(20):
        complete_cell(study, 50.0, 50.0 + number)
    for axis in ("y", "y2", "y3"):
        drawn = [
            trace for trace in traces_of(picture_of(report_of(study), "curves")) if trace["yaxis"] == axis
        ]
        border, winner = drawn[-2:]
        assert (border["x"], border["y"]) == (winner["x"], winner["y"])
        assert border["line"]["width"] > winner["line"]["width"]
        assert border["line"]["color"] == colour("paper")
        assert (border["hoverinfo"], border["showlegend"]) == ("skip", False)
        assert border["legendgroup"] == winner["legendgroup"]
