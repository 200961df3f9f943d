"""The queue's promises under random kills and stalls; `python -m tests.system.chaos` runs any number."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.forked_processes import run_each
from tests.support.postgres_server import postgres_server
from tests.system.chaos import HARSH, campaigns, run_campaign
from tests.system.process_pool import Treatment

CELLS = 24
AT_ONCE = 3
MANY_WORKERS = Treatment(workers=32)


def run_campaigns(folder: Path, seeds: range, url: str | None = None, cells: int = CELLS) -> None:
    """Run a campaign with each seed. Each must have many kills and stalls, and no broken promise."""
    reports = run_each(run_campaign, campaigns(url, folder, seeds, cells=cells, **HARSH), AT_ONCE)
    print(*reports, f"{sum(report.kills for report in reports)} kills survived", sep="\n")
    assert [report.problems for report in reports] == [[]] * len(seeds)
    assert min(report.kills for report in reports) >= 10
    assert min(report.stalls for report in reports) >= 1
    assert min(report.attempts for report in reports) > cells


def run_sampled_campaign(folder: Path, url: str | None = None) -> None:
    """Run TPE and ASHA with 32 workers and 200 trials: exactly so many are complete or pruned at the end."""
    cells = 200  # with half of them, a campaign may be over before its twentieth kill
    (report,) = run_each(
        run_campaign, campaigns(url, folder, range(1), cells=cells, sampled=True, treatment=MANY_WORKERS), 1
    )
    print(report)
    assert report.problems == []
    assert report.kills >= 20
    assert report.stalls >= 1
    assert 0 < report.pruned < cells
    assert report.attempts > cells


@pytest.mark.slow
def test_a_study_survives_workers_killed_and_stalled_at_random_moments(tmp_path: Path) -> None:
    run_campaigns(tmp_path, range(1))


@pytest.mark.slow
def test_a_sampled_search_with_a_pruner_has_exactly_its_trials_in_spite_of_kills(tmp_path: Path) -> None:
    run_sampled_campaign(tmp_path)


@pytest.mark.slow
@pytest.mark.postgres
def test_a_sampled_search_with_a_pruner_has_exactly_its_trials_on_a_server_too(tmp_path: Path) -> None:
    with postgres_server(tmp_path) as url:
        run_sampled_campaign(tmp_path, url)


@pytest.mark.slow
def test_more_studies_in_files_survive_as_much(tmp_path: Path) -> None:
    run_campaigns(tmp_path, range(1, 7))


@pytest.mark.slow
@pytest.mark.postgres
def test_studies_on_a_server_survive_as_much(tmp_path: Path) -> None:
    with postgres_server(tmp_path) as url:
        # Fewer but longer ones: on a busy machine a server works off its cells while who kills waits.
        run_campaigns(tmp_path, range(3), url, 2 * CELLS)
