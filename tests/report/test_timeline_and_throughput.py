"""The report's pictures of a study's course: timeline, failures, throughput."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mnist_tune.failures import Failure
from mnist_tune.storage.keys import RESUMED
from mnist_tune.storage.optuna_internals import trials
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.reuse import finished_cells
from mnist_tune.study.store import create_study, open_study
from tests.support.made_studies.cells import complete_cell, fail_cell
from tests.support.made_studies.epochs import made_epochs
from tests.support.report_contents import picture_of, report_of, traces_of
from tests.support.specs import ONE_CELL, TINY_SPEC, tiny_spec
from tests.support.studies import new_study


def test_the_timeline_has_a_bar_an_attempt_and_names_the_class_of_failures(study: OpenStudy) -> None:
    complete_cell(study, 90.0, worker="one:1")
    fail_cell(study, Failure("out_of_memory", "no memory\nmore"), worker="two:2")
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
        complete_cell(study, accuracy - 1, accuracy, worker="old:1")
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
    complete_cell(new, 88.0, 89.0, worker="new:1")
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
    fail_cell(study, Failure("non_finite", "loss is nan"))
    fail_cell(study, Failure("exception", "broken"))
    picture = picture_of(report_of(study), "failures")
    assert [row[-1] for row in picture.tables[0].rows] == ["given up", "tried again"]
    assert "1 cell is missing: no retry is left." in picture.answer


def test_the_area_under_the_throughput_is_the_images_trained_on(study: OpenStudy) -> None:
    complete_cell(study, 90.0, 91.0, 92.0)
    complete_cell(study, 90.0, 91.0)
    (line,) = traces_of(picture_of(report_of(study), "throughput"))
    times = [datetime.fromisoformat(time) for time in line["x"]]
    width = (times[-1] - times[0]).total_seconds() / (len(times) - 1)
    # Five epochs of 0.01 seconds with 1,000 images a second.
    assert sum(line["y"][:-1]) * width == pytest.approx(50, rel=0.05)


def test_epochs_of_an_earlier_attempt_count_once(tmp_path: Path) -> None:
    study = new_study(tmp_path, ONE_CELL)
    fail_cell(study, Failure("preempted", "stopped"), 90.0, 91.0)
    queue = study.queue()
    claim = queue.claim("machine:1")
    assert claim is not None
    notes = {RESUMED: {"epoch": 2, "checkpoint": "1-2"}}
    queue.complete(claim, 92.0, user=notes, epochs=made_epochs([90.0, 91.0, 92.0]))
    assert picture_of(report_of(study), "throughput").answer.startswith("30 training images")
