"""The benchmark of scaling runs and has the right result types; no test compares its times."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_tune.storage.engine import storage_url
from tests.benchmarks.queue_figures import EXACTNESS
from tests.benchmarks.scaling import FIGURES, Servers, limits, measure, sleeping, table, turn
from tests.benchmarks.worker_pool import Call, Log
from tests.support.studies import new_study, work


def measured(servers: Servers) -> None:
    measurement = measure(servers, workers=4, cells=8, seconds=0.2, epochs=2, repeats=1)
    assert measurement.ideal == 0.4
    assert measurement.figures.keys() == servers.keys()
    for figures in measurement.figures.values():
        assert [figures[name].highest for name in EXACTNESS] == [0] * 5
        assert figures["wall_clock"].median > 0.4
        assert 0 < figures["efficiency"].median < 1
        assert figures["overhead_first"].median > 0
        assert 0 < figures["overhead_p50"].median <= figures["overhead_worst"].median
        assert figures["cpu_per_trial"].median > 0
    head, *lines = table([measurement], {}).splitlines()
    assert head.split()[-len(servers) :] == list(servers)
    assert head.startswith("4 workers, 8 cells, ideal 0.4 s")
    assert [line[:40].strip().replace(" ", "_") for line in lines[: len(FIGURES)]] == list(FIGURES)


@pytest.mark.slow
def test_a_crowd_of_sleeping_workers_is_measured_on_sqlite() -> None:
    measured({"SQLite": None})


@pytest.mark.postgres
def test_a_crowd_of_sleeping_workers_is_measured_on_both_databases_in_turns(server: str) -> None:
    measured({"SQLite": None, "PostgreSQL": storage_url(server)})


@pytest.mark.slow
def test_the_limits_are_measured_with_trials_that_take_no_time() -> None:
    found = limits({"SQLite": None}, 1, workers=2, cells=8)
    limit = found["SQLite"]
    assert limit.trials_per_second.lowest > 0
    assert limit.epochs_per_second.lowest > 0
    assert limit.cpu_per_trial.median > 0
    assert limit.cpu_per_epoch.median > 0
    head, *lines = table([], found).splitlines()
    assert head.split()[-2:] == ["time", "SQLite"]
    assert len(lines) == 4


def test_a_sleeping_trial_takes_its_time_and_stores_each_epoch(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    work(study, sleeping(0.3, 3), max_trials=1)
    trial = study.optuna_study().trials[0]
    assert list(trial.intermediate_values) == [1, 2, 3]
    assert trial.duration is not None
    assert trial.duration.total_seconds() > 0.29


def test_overhead_is_all_the_time_between_two_ends_that_a_trial_does_not_sleep() -> None:
    first = Log(started=10.0, tells=[_ended(12.5), _ended(14.6)], cpu_seconds=0.3)
    last = Log(started=10.1, tells=[_ended(12.4), _ended(15.0)], cpu_seconds=0.1)
    figures = turn([first, last], seconds=2.0, ideal=4.0)
    assert figures.wall_clock == pytest.approx(5.0)
    assert figures.efficiency == pytest.approx(0.8)
    assert figures.overhead_first == pytest.approx(400)
    assert figures.overhead_p50 == pytest.approx(350)
    assert figures.overhead_worst == pytest.approx(600)
    assert figures.cpu_per_trial == pytest.approx(100)


def _ended(moment: float) -> Call:
    return Call({}, moment, moment)
