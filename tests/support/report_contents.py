"""The contents of a study's report, for inspection."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from mnist_tune.models.evaluation_file import Evaluated
from mnist_tune.report.contents import Report, contents
from mnist_tune.report.section import Picture
from mnist_tune.results.reading import read_results
from mnist_tune.study.open_study import OpenStudy


def report_of(study: OpenStudy, *models: Evaluated, now: datetime | None = None) -> Report:
    return contents(read_results(study), models, "sqlite:///studies.db", now or datetime.now(UTC))


def picture_of(report: Report, key: str) -> Picture:
    (found,) = (one for one in report.pictures if one.key == key)
    return found


def traces_of(picture: Picture) -> list[dict[str, Any]]:
    assert picture.figure is not None
    data: list[dict[str, Any]] = json.loads(picture.figure.to_json())["data"]
    return data
