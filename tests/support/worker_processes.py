"""The results that worker processes have stored in a folder's study."""

from __future__ import annotations

from pathlib import Path

from mnist_tune.errors import UserError
from mnist_tune.results.reading import read_results
from mnist_tune.results.study_results import Results
from mnist_tune.study.store import open_study
from tests.support.studies import open_file
from tests.support.waiting import wait_until


def results_of(folder: Path) -> Results:
    return read_results(open_study(open_file(folder), "tiny"))


def wait_for_an_epoch(folder: Path) -> None:
    wait_until(lambda: any(attempt.history for attempt in results_of(folder).attempts))


def can_read(folder: Path) -> bool:
    try:
        results_of(folder)
    except UserError:
        return False
    return True
