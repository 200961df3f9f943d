"""Private parts of optuna-dashboard, and of Optuna's timeline, each with the reason for its use.

tests/dashboard/test_internals.py says what each part is relied on for, and fails first when one changes. All
other private parts of Optuna are in storage/optuna_internals.py and optuna_sampling.py.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import optuna_dashboard._storage as dashboard_storage
from optuna.visualization import _timeline as timeline
from optuna_dashboard._importance import param_importance_cache


def use_clock(clock: type[datetime]) -> None:
    """Have Optuna's timeline and the dashboard's cache ask the class `clock` for the time.

    Both ask for the local time without a zone: when clocks go back, the page would show nothing new for an
    hour.
    """
    modules: tuple[Any, Any] = dashboard_storage, timeline
    modules[0].datetime = clock
    modules[1].datetime = SimpleNamespace(datetime=clock, timedelta=timedelta)


def forget_studies(app: Any) -> None:
    """Have the application forget what it keeps of studies by id, since another study may have an id now."""
    app._inmemory_cache.clear()  # search spaces
    param_importance_cache.clear()
