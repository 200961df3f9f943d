"""What is relied on in private parts of optuna-dashboard: where one has moved, a test here says which."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import optuna
import optuna_dashboard._storage as dashboard_storage
import pytest
from optuna.visualization import plot_timeline
from optuna_dashboard import wsgi
from optuna_dashboard._importance import param_importance_cache

from mnist_tune.dashboard import internals
from mnist_tune.dashboard.clock import Clock


class Asked(Clock):
    """Says how often it was asked for the time."""

    times = 0

    @classmethod
    def now(cls, tz: Any = UTC) -> Any:
        Asked.times += 1
        return super().now(tz)


@pytest.fixture
def clock() -> Iterator[type[Asked]]:
    internals.use_clock(Asked)
    Asked.times = 0
    yield Asked
    internals.use_clock(Clock)


def test_the_timeline_asks_the_clock_that_it_is_given(clock: type[Asked]) -> None:
    study = optuna.create_study()
    study.add_trial(optuna.trial.create_trial(state=optuna.trial.TrialState.RUNNING))
    study._storage._studies[0].trials[0].datetime_start = datetime.now(UTC)  # type: ignore[attr-defined]
    plot_timeline(study)
    assert clock.times > 0


def test_the_memory_of_the_dashboard_asks_the_clock_that_it_is_given(clock: type[Asked]) -> None:
    storage = optuna.storages.InMemoryStorage()
    optuna.create_study(storage=storage)
    app: Any = wsgi(storage)
    assert dashboard_storage.get_trials(app._inmemory_cache, storage, 0) == []
    assert clock.times > 0


def test_what_the_application_keeps_of_studies_is_forgotten(clock: type[Asked]) -> None:
    storage = optuna.storages.InMemoryStorage()
    optuna.create_study(storage=storage)
    app: Any = wsgi(storage)
    dashboard_storage.get_trials(app._inmemory_cache, storage, 0)
    param_importance_cache["0:0"] = (1, [])
    internals.forget_studies(app)
    assert len(param_importance_cache) == 0
    optuna.load_study(study_name=None, storage=storage).ask()
    assert len(dashboard_storage.get_trials(app._inmemory_cache, storage, 0)) == 1
    assert clock.times > 0
