"""Clocks that are wrong: a worker an hour ahead of the others, by libfaketime, and clients in other zones."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mnist_tune.results.reading import read_results
from tests.support.clocks import ZONES_DIFFER_BY, zone
from tests.support.commands import Command, finish, start_toy_worker
from tests.support.specs import TINY_SPEC, lease_lines
from tests.support.studies import new_study
from tests.support.waiting import wait_until

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
FOUR_CELLS = TINY_SPEC.replace('["Adam", "SGD"]', '["Adam"]') + lease_lines(1.0, 3.0)


@pytest.mark.slow
@pytest.mark.skipif(not LIBRARIES, reason="needs libfaketime: apt-get install faketime")
def test_a_worker_whose_clock_is_an_hour_off_takes_nothing_from_others_and_loses_nothing(
    tmp_path: Path,
) -> None:
    study = new_study(tmp_path, FOUR_CELLS)
    ahead = {
        "LD_PRELOAD": str(LIBRARIES[0]),
        "FAKETIME": "+3600",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    # It comes first: on a busy machine the others could be done before it has a cell.
    killed = start_toy_worker(tmp_path, seconds=600.0)
    wait_until(lambda: read_results(study).cells.running == 1)
    workers = [start_toy_worker(tmp_path, seconds=5.0, environment=ahead)]
    workers.append(start_toy_worker(tmp_path, seconds=5.0))
    wait_until(lambda: read_results(study).cells.running == 3)
    killed.kill()
    finish(killed)
    answers = [finish(worker) for worker in workers]
    assert [(answer.returncode, answer.stderr) for answer in answers] == [(0, "")] * 2
    results = read_results(study)
    assert results.cells.complete == 4
    failures = [attempt.failure["class"] for attempt in results.attempts if attempt.failure]
    assert failures == ["lost"]  # the killed worker's, and no other
    started = [attempt.started for attempt in results.attempts if attempt.started]
    assert max(started) - min(started) > timedelta(minutes=50)  # the clock was wrong indeed


def test_times_are_told_in_utc_wherever_one_looks_from(tmp_path: Path, command: Command) -> None:
    claim = new_study(tmp_path).queue().claim("worker")
    assert claim is not None
    with zone("Pacific/Kiritimati"):
        started = json.loads(command("status", "tiny", "--json").out)["trials"][0]["started"]
    assert abs(datetime.fromisoformat(started) - datetime.now(UTC)) < ZONES_DIFFER_BY
