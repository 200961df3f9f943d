"""Trials that were extended are told as what they are: they were complete, and go on."""

from __future__ import annotations

from datetime import UTC, datetime

from mnist_tune.report.failures import failures
from mnist_tune.report.timeline import timeline
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.terminal.events import events
from tests.support.longer_studies import extend, results_of


def test_who_follows_the_study_is_told_what_each_trial_had(ended: OpenStudy) -> None:
    before = results_of(ended)
    extend(ended)
    now = results_of(ended)
    told = [line for line in events(before, now) if line.startswith("trial")]
    values = [now.job.text(attempt.final_value) for attempt in before.complete]
    assert told == [
        f"trial {number} is extended: it had validation accuracy {value} after its 2 epochs; goes on to 6"
        for number, value in enumerate(values)
    ]
    assert [line for line in events(now, now) if line.startswith("trial")] == []


def test_the_report_draws_them_as_no_failures(ended: OpenStudy) -> None:
    extend(ended)
    results = results_of(ended)
    picture = timeline(results, datetime.now(UTC))
    assert "No attempt failed." in picture.answer
    assert picture.figure is not None
    assert [trace.name for trace in picture.figure.data] == ["extended, 3"]
    (shown,) = picture.tables
    assert [row[3] for row in shown.rows] == ["extended"] * 3
    assert failures(results) is None
