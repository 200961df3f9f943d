"""The report's pictures of the search space: heat map, parallel coordinates, slices, importances."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

import pytest

from mnist_tune.results.reading import read_results
from mnist_tune.study.open_study import OpenStudy
from tests.support.made_studies.cells import complete_cell
from tests.support.report_contents import picture_of, report_of, traces_of
from tests.support.specs import SAMPLED_SPEC, SEEDS_SPEC
from tests.support.studies import new_study


def test_a_heat_map_shows_the_mean_over_seeds_and_what_is_missing(tmp_path: Path) -> None:
    study = new_study(tmp_path, SEEDS_SPEC)
    done = [(complete_cell(study, accuracy), accuracy) for accuracy in (90.0, 92.0, 80.0, 84.0, 70.0)]
    heat = next(
        trace for trace in traces_of(picture_of(report_of(study), "grid")) if trace["type"] == "heatmap"
    )
    by_place: dict[tuple[str, str], list[float]] = {}
    for cell, accuracy in done:
        by_place.setdefault((f"{cell['learning_rate']:g}", str(cell["batch_size"])), []).append(accuracy)
    means = {place: fmean(accuracies) for place, accuracies in by_place.items()}
    for j, batch in enumerate(heat["y"]):
        for i, rate in enumerate(heat["x"]):
            assert heat["z"][j][i] == means.get((rate, batch))
    assert "1 of 4 configurations have no result yet" in picture_of(report_of(study), "grid").answer
    assert "n=2" in str(heat["text"])


def test_a_sampled_search_has_no_heat_map(tmp_path: Path) -> None:
    study = new_study(tmp_path, SAMPLED_SPEC.format(n_trials=3))
    complete_cell(study, 90.0)
    assert "grid" not in [picture.key for picture in report_of(study).pictures]


def test_parallel_coordinates_hold_every_cell_and_the_winner(study: OpenStudy) -> None:
    for accuracy in (90.0, 95.0, 93.0, 91.0, 92.0, 94.0):
        complete_cell(study, accuracy)
    drawn = traces_of(picture_of(report_of(study), "parallel"))
    bands = [trace for trace in drawn if not trace["name"].startswith("best")]
    words = [each for trace in bands for each in trace["customdata"] if each]
    accuracies = [float(value) for name, value in words if name == "validation accuracy"]
    assert sorted(accuracies) == [90.0, 91.0, 92.0, 93.0, 94.0, 95.0]
    assert drawn[-1]["customdata"][0] == ["validation accuracy", "95"]


def test_the_line_of_a_cell_that_is_as_good_as_one_of_the_winners_is_not_the_winners(tmp_path: Path) -> None:
    study = new_study(tmp_path, SEEDS_SPEC)
    accuracies = {(0.001, 64): (96.65, 96.55), (0.001, 128): (95.0, 96.65)}
    for _ in range(study.spec.n_cells):
        cell = next(one for one in read_results(study).latest if one.state == "waiting").parameters
        of_seeds = accuracies.get((cell["learning_rate"], cell["batch_size"]), (94.0, 94.5))
        complete_cell(study, of_seeds[cell["seed"]])
    winner = traces_of(picture_of(report_of(study), "parallel"))[-1]
    lines = [dict(winner["customdata"][at : at + 4]) for at in (0, 5)]
    assert {(line["batch_size"], line["learning_rate"], line["seed"]) for line in lines} == {
        ("64", "0.001", "0"),
        ("64", "0.001", "1"),
    }
    assert len(winner["customdata"]) == 9


def test_the_winner_of_a_sampled_search_is_found_among_its_lines(tmp_path: Path) -> None:
    study = new_study(tmp_path, SAMPLED_SPEC.format(n_trials=30))
    cells = [complete_cell(study, 90.0 + number % 7) for number in range(30)]
    best = read_results(study).best
    assert best is not None
    winner = dict(traces_of(picture_of(report_of(study), "parallel"))[-1]["customdata"])
    assert winner["optimizer"] == best.parameters["optimizer"]
    assert float(winner["learning_rate"]) == pytest.approx(best.parameters["learning_rate"], rel=0.01)
    assert len(winner) == 4
    assert len({cell["learning_rate"] for cell in cells}) == 30


def test_values_that_differ_in_the_eighth_digit_stay_apart(tmp_path: Path) -> None:
    grid = "[search.grid]\nlearning_rate = [0.00100001, 0.00100002, 0.01]\n"
    study = new_study(tmp_path, f'[study]\nname = "tiny"\n{grid}')
    for accuracy in (90.0, 91.0, 92.0):
        complete_cell(study, accuracy)
    report = report_of(study)
    (heat,) = traces_of(picture_of(report, "grid"))
    assert heat["x"] == ["0.00100001", "0.00100002", "0.01"]
    sliced = {place for trace in traces_of(picture_of(report, "slices")) for place in trace["x"]}
    named = {trace["name"].removeprefix("best: ") for trace in traces_of(picture_of(report, "curves"))}
    assert sliced == named == {"0.00100001", "0.00100002", "0.01"}


def test_slices_show_every_cell_for_every_field(study: OpenStudy) -> None:
    for accuracy in (90.0, 95.0, 93.0):
        complete_cell(study, accuracy)
    drawn = traces_of(picture_of(report_of(study), "slices"))
    for axis in ("y", "y2", "y3"):
        values = [value for trace in drawn if trace["yaxis"] == axis for value in trace["y"]]
        assert sorted(values) == [90, 93, 95]


def test_importances_find_the_field_that_matters(study: OpenStudy) -> None:
    for _ in range(8):
        waiting = [one for one in read_results(study).latest if one.state == "waiting"]
        adam = waiting[0].parameters["optimizer"] == "Adam"
        complete_cell(study, (97.0 if adam else 50.0) + len(waiting) / 10)
    picture = picture_of(report_of(study), "importance")
    for trace in traces_of(picture):
        assert trace["y"][max(range(3), key=lambda index: trace["x"][index])] == "optimizer"
    assert "8 cells are few" in picture.answer
    share = max(traces_of(picture)[0]["x"])
    assert f"optimizer has the largest share ({share:.0%})" in picture.answer


def test_importances_of_too_few_or_equal_cells_are_a_sentence(study: OpenStudy) -> None:
    complete_cell(study, 90.0)
    assert picture_of(report_of(study), "importance").figure is None
    for _ in range(7):
        complete_cell(study, 90.0)
    picture = picture_of(report_of(study), "importance")
    assert picture.figure is None
    assert "same accuracy" in picture.answer
