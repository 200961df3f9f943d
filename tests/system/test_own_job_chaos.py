"""Users' own jobs under random kills and stalls; `python -m tests.system.chaos --job ...` runs any number."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.evident_jobs import Kind
from tests.support.postgres_server import postgres_server
from tests.system.own_job_chaos import Campaign, run_campaign

KINDS = pytest.mark.parametrize("kind", ["function", "command"])


def run_small_campaign(kind: Kind, folder: Path, server: str | None = None) -> None:
    """Run a campaign with some kills of each victim, and no broken promise."""
    report = run_campaign(Campaign(kind, folder, seed=1, server=server, cells=40))
    print(report)
    assert report.problems == []
    assert report.kills >= 5
    assert report.stalls >= 1
    assert report.drains >= 1
    assert report.attempts > 40


@pytest.mark.slow
@KINDS
def test_a_users_job_survives_kills_and_stalls_of_all_its_processes(kind: Kind, tmp_path: Path) -> None:
    run_small_campaign(kind, tmp_path)


@pytest.mark.slow
@pytest.mark.campaign  # two minutes each, of all cores
@KINDS
def test_a_users_job_on_a_server_survives_as_much(kind: Kind, tmp_path: Path) -> None:
    with postgres_server(tmp_path) as server:
        run_small_campaign(kind, tmp_path / "study", server)
