"""The report's contents: what each picture shows, and in which words."""

from __future__ import annotations

import base64
import io
import json
import math
import os
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from PIL import Image

from mnist_tune.errors import UserError
from mnist_tune.failures import Failure
from mnist_tune.jobs.model_folder import EVALUATION_FILE
from mnist_tune.models.evaluation_file import Evaluated, read_evaluated
from mnist_tune.report.contents import Report, contents
from mnist_tune.report.page import page
from mnist_tune.report.section import Picture
from mnist_tune.report.theme import DARK, LIGHT, colour
from mnist_tune.results.intervals import read
from mnist_tune.results.reading import read_results
from mnist_tune.storage.keys import HISTORY, RESUMED
from mnist_tune.storage.optuna_internals import trials
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.reuse import finished_cells
from mnist_tune.study.store import create_study, open_study
from tests.support.commands import STORED, Command, run_python
from tests.support.report_studies import (
    SAMPLED,
    SEEDS,
    complete,
    complete_all,
    evaluated,
    fail,
    history,
    picture,
)
from tests.support.specs import ONE_CELL, TINY_SPEC, TWO_CELLS, tiny_spec
from tests.support.studies import new_study
from tests.support.waiting import wait_until

HOSTILE = "</script><img src=x onerror=alert(1)><b>bold</b>"


@pytest.fixture
def study(tmp_path: Path) -> OpenStudy:
    """A grid of eight cells."""
    return new_study(tmp_path)


def report_of(study: OpenStudy, *models: Evaluated, now: datetime | None = None) -> Report:
    return contents(read_results(study), models, "sqlite:///studies.db", now or datetime.now(UTC))


def picture_of(report: Report, key: str) -> Picture:
    (found,) = (one for one in report.pictures if one.key == key)
    return found


def traces_of(picture: Picture) -> list[dict[str, Any]]:
    assert picture.figure is not None
    data: list[dict[str, Any]] = json.loads(picture.figure.to_json())["data"]
    return data


def test_the_headline_is_the_winner_with_an_interval_and_the_reference(study: OpenStudy) -> None:
    complete(study, 90.0)
    winner = complete(study, 94.0)
    head = report_of(study).headline
    assert all(f"{name}={value}" in head.winner for name, value in winner.items())
    validation, reference = head.numbers
    assert validation.value == "94.00 %"
    # Wilson's interval of 94 right answers of 100.
    assert validation.interval == "95 % interval 87.52 to 97.22 %"
    assert "not the luck of the seed" in validation.words
    assert "a little optimistic" in validation.words
    assert (reference.value, reference.interval) == ("98.94 %", "one run")
    assert 'study = "tiny"' in head.configuration
    assert head.standing == "Not finished: 2 of 8 cells complete, 6 waiting."


def test_the_interval_over_seeds_is_students(tmp_path: Path) -> None:
    two = read([98.0, 99.0], 10_000)
    assert (two.value, two.high) == (98.5, 100.0)
    assert two.low == pytest.approx(98.5 - 12.706 * 0.5, abs=0.001)
    three = read([98.0, 98.5, 99.0], 10_000)
    assert three.high - three.value == pytest.approx(4.303 * 0.5 / 3**0.5, abs=0.001)


def test_seeds_that_agree_to_the_image_are_not_certain() -> None:
    reading = read([98.5, 98.5], 1_000)
    assert reading.high - reading.low == pytest.approx(2 * 12.706 * 0.1 / 2**0.5, abs=0.001)


def test_without_a_model_the_report_says_how_to_measure_the_test_accuracy(study: OpenStudy) -> None:
    complete(study, 90.0)
    steps = report_of(study).headline.next_step.splitlines()
    assert [step.split()[1] for step in steps] == ["export", "train", "evaluate", "report"]


def test_each_cell_has_its_own_curve_and_the_winners_is_on_top(study: OpenStudy) -> None:
    complete(study, 80.0, 85.0)
    complete(study, 90.0, 95.0)
    complete(study, 70.0, 75.0)
    drawn = [trace for trace in traces_of(picture_of(report_of(study), "curves")) if trace["yaxis"] == "y3"]
    assert [trace["y"] for trace in drawn] == [[80.0, 85.0], [70.0, 75.0], [90.0, 95.0]]
    assert drawn[-1]["name"].startswith("best so far: ")
    assert drawn[-1]["line"]["width"] > 2 * drawn[0]["line"]["width"]
    looks = {(trace["line"].get("dash"), trace["marker"]["symbol"]) for trace in drawn}
    assert len(looks) == len(drawn)


def test_a_close_up_says_how_much_of_it_is_noise(study: OpenStudy) -> None:
    complete(study, 10.0, 11.0)
    complete(study, 89.0, 90.0)
    picture = picture_of(report_of(study), "curves")
    assert "one reading of 100 validation images is uncertain by ± 6.14 points" in picture.answer
    assert max(trace["yaxis"] for trace in traces_of(picture)) == "y4"


def test_curves_of_many_cells_are_few_traces(tmp_path: Path) -> None:
    study = new_study(tmp_path, SAMPLED.format(n_trials=40))
    for number in range(40):
        complete(study, 50.0, 50.0 + number)
    drawn = traces_of(picture_of(report_of(study), "curves"))
    assert len(drawn) <= 4 * 4
    read = [trace for trace in drawn if trace.get("hoverinfo") != "skip"]
    accuracies = [value for trace in read if trace["yaxis"] == "y3" for value in trace["y"]]
    assert sorted(filter(None, accuracies)) == sorted([50.0] * 40 + [50.0 + number for number in range(40)])


def test_among_many_curves_the_winners_has_a_border_of_the_papers_colour(tmp_path: Path) -> None:
    study = new_study(tmp_path, SAMPLED.format(n_trials=20))
    for number in range(20):
        complete(study, 50.0, 50.0 + number)
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


def test_a_heat_map_shows_the_mean_over_seeds_and_what_is_missing(tmp_path: Path) -> None:
    study = new_study(tmp_path, SEEDS)
    done = [(complete(study, accuracy), accuracy) for accuracy in (90.0, 92.0, 80.0, 84.0, 70.0)]
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
    study = new_study(tmp_path, SAMPLED.format(n_trials=3))
    complete(study, 90.0)
    assert "grid" not in [picture.key for picture in report_of(study).pictures]


def test_parallel_coordinates_hold_every_cell_and_the_winner(study: OpenStudy) -> None:
    for accuracy in (90.0, 95.0, 93.0, 91.0, 92.0, 94.0):
        complete(study, accuracy)
    drawn = traces_of(picture_of(report_of(study), "parallel"))
    bands = [trace for trace in drawn if not trace["name"].startswith("best")]
    words = [each for trace in bands for each in trace["customdata"] if each]
    accuracies = [float(value) for name, value in words if name == "validation accuracy"]
    assert sorted(accuracies) == [90.0, 91.0, 92.0, 93.0, 94.0, 95.0]
    assert drawn[-1]["customdata"][0] == ["validation accuracy", "95"]


def test_the_line_of_a_cell_that_is_as_good_as_one_of_the_winners_is_not_the_winners(tmp_path: Path) -> None:
    study = new_study(tmp_path, SEEDS)
    accuracies = {(0.001, 64): (96.65, 96.55), (0.001, 128): (95.0, 96.65)}
    for _ in range(study.spec.n_cells):
        cell = next(one for one in read_results(study).latest if one.state == "waiting").parameters
        of_seeds = accuracies.get((cell["learning_rate"], cell["batch_size"]), (94.0, 94.5))
        complete(study, of_seeds[cell["seed"]])
    winner = traces_of(picture_of(report_of(study), "parallel"))[-1]
    lines = [dict(winner["customdata"][at : at + 4]) for at in (0, 5)]
    assert {(line["batch_size"], line["learning_rate"], line["seed"]) for line in lines} == {
        ("64", "0.001", "0"),
        ("64", "0.001", "1"),
    }
    assert len(winner["customdata"]) == 9


def test_the_winner_of_a_sampled_search_is_found_among_its_lines(tmp_path: Path) -> None:
    study = new_study(tmp_path, SAMPLED.format(n_trials=30))
    cells = [complete(study, 90.0 + number % 7) for number in range(30)]
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
        complete(study, accuracy)
    report = report_of(study)
    (heat,) = traces_of(picture_of(report, "grid"))
    assert heat["x"] == ["0.00100001", "0.00100002", "0.01"]
    sliced = {place for trace in traces_of(picture_of(report, "slices")) for place in trace["x"]}
    named = {trace["name"].removeprefix("best: ") for trace in traces_of(picture_of(report, "curves"))}
    assert sliced == named == {"0.00100001", "0.00100002", "0.01"}


def test_slices_show_every_cell_for_every_field(study: OpenStudy) -> None:
    for accuracy in (90.0, 95.0, 93.0):
        complete(study, accuracy)
    drawn = traces_of(picture_of(report_of(study), "slices"))
    for axis in ("y", "y2", "y3"):
        values = [value for trace in drawn if trace["yaxis"] == axis for value in trace["y"]]
        assert sorted(values) == [90, 93, 95]


def test_importances_find_the_field_that_matters(study: OpenStudy) -> None:
    for _ in range(8):
        waiting = [one for one in read_results(study).latest if one.state == "waiting"]
        adam = waiting[0].parameters["optimizer"] == "Adam"
        complete(study, (97.0 if adam else 50.0) + len(waiting) / 10)
    picture = picture_of(report_of(study), "importance")
    for trace in traces_of(picture):
        assert trace["y"][max(range(3), key=lambda index: trace["x"][index])] == "optimizer"
    assert "8 cells are few" in picture.answer
    share = max(traces_of(picture)[0]["x"])
    assert f"optimizer has the largest share ({share:.0%})" in picture.answer


def test_importances_of_too_few_or_equal_cells_are_a_sentence(study: OpenStudy) -> None:
    complete(study, 90.0)
    assert picture_of(report_of(study), "importance").figure is None
    for _ in range(7):
        complete(study, 90.0)
    picture = picture_of(report_of(study), "importance")
    assert picture.figure is None
    assert "same accuracy" in picture.answer


def test_the_timeline_has_a_bar_an_attempt_and_names_the_class_of_failures(study: OpenStudy) -> None:
    complete(study, 90.0, worker="one:1")
    fail(study, Failure("out_of_memory", "no memory\nmore"), worker="two:2")
    study.queue().claim("two:2")
    now = datetime.now(UTC) + timedelta(seconds=30)
    report = report_of(study, now=now)
    bars = {
        trace["name"]: trace for trace in traces_of(picture_of(report, "timeline")) if trace["type"] == "bar"
    }
    assert {name: trace["y"] for name, trace in bars.items()} == {
        "complete, 1": [0],
        "failed, 1": [1],
        "running, 1": [1],
    }
    assert len({(trace["marker"]["pattern"]["shape"]) for trace in bars.values()}) == 3
    assert bars["running, 1"]["x"][0] > 25_000  # milliseconds, until now
    marks = [trace for trace in traces_of(picture_of(report, "timeline")) if trace["type"] == "scatter"]
    assert [trace["name"] for trace in marks] == ["failed: out_of_memory, 1"]
    assert picture_of(report, "failures").tables[0].rows[0][3:5] == ["out_of_memory", "no memory"]


def test_the_times_of_cells_that_were_taken_over_are_not_the_studys(study: OpenStudy, tmp_path: Path) -> None:
    for accuracy in (90.0, 91.0):
        complete(study, accuracy - 1, accuracy, worker="old:1")
    long_ago = datetime(2026, 1, 1)  # as Optuna stores times
    with study.storage.transaction() as session:
        session.execute(trials.update().values(datetime_start=long_ago, datetime_complete=long_ago))
    spec = tiny_spec(tmp_path, TINY_SPEC.replace('"tiny"', '"new"'))
    create_study(study.storage, spec, finished_cells(study, spec))
    new = open_study(study.storage, "new")
    report = report_of(new)
    assert (
        picture_of(report, "timeline").answer == "No worker has begun yet. 2 cells were taken over from tiny."
    )
    assert picture_of(report, "throughput").figure is None
    complete(new, 88.0, 89.0, worker="new:1")
    report = report_of(new)
    answer = picture_of(report, "timeline").answer
    assert answer.startswith("1 attempts by 1 worker in 0 s;")
    assert answer.endswith(" No attempt failed. 2 cells were taken over from tiny.")
    assert [row[2] for row in picture_of(report, "timeline").tables[0].rows] == ["new:1"]
    assert picture_of(report, "throughput").answer.startswith("20 training images in 0 s")
    assert [row[0] for row in picture_of(report, "throughput").tables[0].rows] == ["new:1"]
    facts = {row[0]: row[1] for row in report.provenance.facts.rows}
    assert (facts["workers"], facts["attempts"], facts["wall-clock"]) == ("1", "1", "0 s")
    assert facts["not run anew"] == "2 cells were taken over from tiny."


def test_a_hole_is_told_from_a_cell_that_is_tried_again(study: OpenStudy) -> None:
    fail(study, Failure("non_finite", "loss is nan"))
    fail(study, Failure("exception", "broken"))
    picture = picture_of(report_of(study), "failures")
    assert [row[-1] for row in picture.tables[0].rows] == ["given up", "tried again"]
    assert "1 cell is missing: no retry is left." in picture.answer


def test_the_area_under_the_throughput_is_the_images_trained_on(study: OpenStudy) -> None:
    complete(study, 90.0, 91.0, 92.0)
    complete(study, 90.0, 91.0)
    (line,) = traces_of(picture_of(report_of(study), "throughput"))
    times = [datetime.fromisoformat(time) for time in line["x"]]
    width = (times[-1] - times[0]).total_seconds() / (len(times) - 1)
    # Five epochs of 0.01 seconds with 1,000 images a second.
    assert sum(line["y"][:-1]) * width == pytest.approx(50, rel=0.05)


def test_epochs_of_an_earlier_attempt_count_once(tmp_path: Path) -> None:
    study = new_study(tmp_path, ONE_CELL)
    fail(study, Failure("preempted", "stopped"), 90.0, 91.0)
    queue = study.queue()
    claim = queue.claim("machine:1")
    assert claim is not None
    notes = {HISTORY: history([90.0, 91.0, 92.0]), RESUMED: {"epoch": 2, "checkpoint": "1-2"}}
    queue.complete(claim, 92.0, user=notes)
    assert picture_of(report_of(study), "throughput").answer.startswith("30 training images")


def test_models_are_averaged_over_seeds_beside_the_reference(study: OpenStudy, tmp_path: Path) -> None:
    complete(study, 90.0)
    models = [
        evaluated(study, tmp_path / f"seed-{seed}", seed=seed, accuracy=accuracy)
        for seed, accuracy in enumerate((98.0, 98.5, 99.0))
    ]
    report = report_of(study, *models)
    test = report.headline.numbers[1]
    assert (test.label, test.value) == ("test accuracy, mean of 3 seeds", "98.50 %")
    assert test.interval == "95 % interval 97.26 to 99.74 %"
    assert "Standard deviation 0.50 points, n = 3." in test.words
    assert "reference" not in test.words  # another recipe
    assert report.headline.next_step == ""
    assert "the first of 3 models" in picture_of(report, "confusion").answer


def test_the_reference_is_compared_with_one_more_run_of_its_recipe(tmp_path: Path) -> None:
    study = new_study(tmp_path, ONE_CELL)
    complete(study, 90.0)
    models = [
        evaluated(study, tmp_path / f"seed-{seed}", seed=seed, accuracy=accuracy)
        for seed, accuracy in enumerate((98.4, 98.5, 98.6))
    ]
    test = report_of(study, *models).headline.numbers[1]
    # The mean is known better than that: 4.303 * 0.1 * sqrt(1 / 3), against 4.303 * 0.1 * sqrt(1 + 1 / 3).
    assert test.interval == "95 % interval 98.25 to 98.75 %"
    assert test.words.endswith(
        " One more run of this configuration would fall between 98.00 and 99.00 % (95 %); the reference, one "
        "run, is within that."
    )
    assert "reference" not in report_of(study, models[0]).headline.numbers[1].words


def test_the_confusion_matrix_and_the_digits_are_those_of_the_first_model(
    study: OpenStudy, tmp_path: Path
) -> None:
    complete(study, 90.0)
    report = report_of(study, evaluated(study, tmp_path / "model", accuracy=98.0))
    wrong, right = traces_of(picture_of(report, "confusion"))
    assert wrong["z"][4][9] == 20
    assert right["z"][4][4] == 80
    (points,) = traces_of(picture_of(report, "digits"))
    assert points["x"][points["y"].index("4")] == 80.0
    # Wilson's interval of 80 right answers of 100.
    assert points["error_x"]["arrayminus"][points["y"].index("4")] == pytest.approx(80 - 71.11, abs=0.01)


def test_the_gallery_shows_the_very_images_the_most_confident_first(study: OpenStudy, tmp_path: Path) -> None:
    complete(study, 90.0)
    gallery = report_of(study, evaluated(study, tmp_path / "model", accuracy=99.0)).gallery
    assert gallery is not None
    assert gallery.digits[0].alt == "test image 9: a 4 read as 9 with 59 %"
    for digit, index in zip(gallery.digits, reversed(range(10)), strict=True):
        file = io.BytesIO(base64.b64decode(digit.source.removeprefix("data:image/png;base64,")))
        with Image.open(file) as image:
            assert (image.size, image.mode, image.tobytes()) == ((28, 28), "L", picture(index))


@pytest.mark.parametrize(
    ("training", "complaint"),
    [
        (
            {"learning_rate": 0.5},
            "learning_rate=0.5, and the winner has learning_rate=0.0001",
        ),
        ({"epochs": 7}, "was trained with epochs=7, and the winner has epochs=2"),
    ],
)
def test_a_model_of_another_configuration_is_refused(
    study: OpenStudy, tmp_path: Path, training: dict[str, Any], complaint: str
) -> None:
    complete(study, 90.0)
    with pytest.raises(UserError, match=complaint):
        report_of(study, evaluated(study, tmp_path / "model", **training))


def test_a_model_in_another_precision_is_the_winners(study: OpenStudy, tmp_path: Path) -> None:
    complete(study, 90.0)
    assert report_of(study, evaluated(study, tmp_path / "model", precision="bf16")).gallery is not None


def test_models_that_are_no_replicates_are_refused(study: OpenStudy, tmp_path: Path) -> None:
    complete(study, 90.0)
    first = evaluated(study, tmp_path / "first")
    with pytest.raises(UserError, match=r"has the same seed as .*first, 0"):
        report_of(study, first, evaluated(study, tmp_path / "again"))
    with pytest.raises(UserError, match=r"was trained on 50,000 images and .*first on 60,000"):
        report_of(study, first, evaluated(study, tmp_path / "split", seed=1, images=50_000))


def test_a_model_of_another_study_is_refused(study: OpenStudy, tmp_path: Path) -> None:
    complete(study, 90.0)
    model = evaluated(study, tmp_path / "model")
    (tmp_path / "other").mkdir()
    other = new_study(tmp_path / "other", TWO_CELLS.replace('"tiny"', '"other"'))
    complete(other, 90.0)
    with pytest.raises(UserError, match="was exported from study 'tiny', not from 'other'"):
        report_of(other, model)


def test_a_damaged_image_is_one_line(study: OpenStudy, tmp_path: Path) -> None:
    complete(study, 90.0)
    folder = evaluated(study, tmp_path / "model").folder
    stored = json.loads((folder / EVALUATION_FILE).read_text(encoding="utf-8"))
    stored["evaluation"]["misclassified"][0]["pixels"] = "AAAA"
    (folder / EVALUATION_FILE).write_text(json.dumps(stored), encoding="utf-8")
    with pytest.raises(UserError, match="is damaged; run: mnist-tune evaluate"):
        report_of(study, read_evaluated(folder))


@pytest.mark.parametrize(
    "spec", [ONE_CELL, SEEDS, SAMPLED.format(n_trials=3)], ids=["one cell", "seeds", "sampled"]
)
@pytest.mark.parametrize("done", ["nothing", "one running", "one failed", "one", "all"])
def test_every_study_at_every_stage_has_a_page(tmp_path: Path, spec: str, done: str) -> None:
    study = new_study(tmp_path, spec)
    if done == "one running":
        study.queue().claim("machine:1")
    elif done == "one failed":
        fail(study, Failure("non_finite", "loss is nan"))
    elif done != "nothing":
        for number in range(1 if done == "one" else study.spec.n_cells):
            complete(study, 50.0, 90.0 + number)
    text = page(report_of(study))
    assert "<h1>Study tiny</h1>" in text
    words = text.split("</header>")[1].split("</main>")[0].replace("loss is nan", "")
    assert not re.search(r"\b(nan|None)\b", words)


def test_what_is_stored_cannot_become_markup(study: OpenStudy) -> None:
    complete(study, 90.0, worker=HOSTILE, device_name=HOSTILE)
    fail(study, Failure("exception", HOSTILE), worker=HOSTILE)
    text = page(report_of(study))
    assert "<img src=x" not in text
    assert "<b>bold" not in text
    assert text.count("</script>") == text.count("<script")
    # Plotly reads tags in a figure's text: there it must be escaped twice.
    timeline = traces_of(picture_of(report_of(study), "timeline"))
    assert "<img" not in json.dumps(timeline)
    assert "&lt;img" in json.dumps(timeline)


def test_differing_environments_are_warned_of_and_counted(study: OpenStudy) -> None:
    complete(study, 90.0)
    complete(study, 90.0, precision="bf16")
    report = report_of(study)
    assert report.provenance.warnings == ["cells differ in precision (bf16, fp32): not like for like"]
    assert ["precision", "fp32 (1 attempts); bf16 (1 attempts)"] in report.provenance.facts.rows


@pytest.mark.slow
def test_tables_of_large_studies_end_and_say_so(tmp_path: Path) -> None:
    study = new_study(tmp_path, SAMPLED.format(n_trials=120))
    complete_all(study, epochs=1)
    (table,) = picture_of(report_of(study), "parallel").tables
    assert len(table.rows) == 100
    assert table.note == "The best 100 of 120 rows."


def luminance(hexadecimal: str) -> float:
    """Relative luminance as WCAG has it, but for its straight piece near black."""
    parts = [int(hexadecimal[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (math.pow((part + 0.055) / 1.055, 2.4) for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_text_and_lines_stand_out_from_the_paper(palette: dict[str, str]) -> None:
    for paper in ("paper", "raised"):
        for text in ("ink", "muted", "link"):
            assert contrast(palette[text], palette[paper]) >= 4.5, text
    for line in ("winner", "tied", "others", *(f"series{number}" for number in range(1, 7))):
        assert contrast(palette[line], palette["paper"]) >= 3, line
    levels = [contrast(palette[f"level{number}"], palette["paper"]) for number in range(1, 6)]
    assert levels == sorted(levels)


def test_the_command_writes_one_file_and_says_how_large(
    study: OpenStudy, tmp_path: Path, command: Command
) -> None:
    complete(study, 90.0)
    before = set(tmp_path.iterdir())
    said = command("report", "tiny")
    size = (tmp_path / "report.html").stat().st_size
    assert said.out == f"wrote report.html ({size / 1e6:.1f} MB); open it in a browser\n"
    new = {path.name for path in set(tmp_path.iterdir()) - before}
    assert {name for name in new if not name.startswith(STORED)} == {"report.html"}


def test_a_file_that_cannot_be_written_is_one_line(
    study: OpenStudy, tmp_path: Path, command: Command
) -> None:
    said = command("report", "tiny", "--output", str(tmp_path))
    assert said.code == 2
    problem = "cannot be written: Is a directory; name another with --output"
    assert said.err == f"mnist-tune: {tmp_path}: {problem}\n"


def test_without_kaleido_the_page_is_written_and_the_remedy_told(
    study: OpenStudy, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "kaleido", None)
    said = command("report", "tiny", "--png", "figures")
    assert said.code == 1
    assert (tmp_path / "report.html").exists()
    assert said.err == "mnist-tune: no PNGs without Kaleido; run: pip install 'mnist-tune[png]'\n"


def test_without_a_browser_the_page_is_written_and_the_remedy_told(
    study: OpenStudy, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete(study, 90.0)
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "none"))
    said = command("report", "tiny", "--png", "figures")
    assert said.code == 1
    assert (tmp_path / "report.html").exists()
    assert "found no Chrome or Chromium; install one, or set BROWSER_PATH" in said.err


def test_a_report_needs_no_torch(study: OpenStudy, tmp_path: Path) -> None:
    complete(study, 90.0)
    script = """
import sys
from mnist_tune.__main__ import main
sys.argv = ["mnist-tune", "report", "tiny"]
main()
assert "torch" not in sys.modules
"""
    done = run_python(script, tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere another program opens files")
def test_open_shows_the_report_to_whoever_made_it(
    tmp_path: Path, study: OpenStudy, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete(study, 90.0)
    opener = tmp_path / "bin" / "xdg-open"
    opener.parent.mkdir()
    opener.write_text(
        f'#!/bin/sh\necho "$1" > {tmp_path}/opened.part\nmv {tmp_path}/opened.part {tmp_path}/opened\n'
    )
    opener.chmod(0o755)
    monkeypatch.setenv("PATH", f"{opener.parent}:{os.environ['PATH']}")
    answer = command("report", "tiny", "--open")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("wrote report.html (4.")
    wait_until((tmp_path / "opened").exists)
    assert (tmp_path / "opened").read_text(encoding="utf-8").strip().endswith(f"{tmp_path}/report.html")
