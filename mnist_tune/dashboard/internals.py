"""Private parts of optuna-dashboard, and of Optuna's timeline, each with the reason why it is touched.

tests/dashboard/test_internals.py says what each is relied on for, and fails first where one has moved. What
else the package touches of Optuna stands in storage/optuna_internals.py.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import optuna_dashboard._storage as dashboard_storage
from optuna.visualization import _timeline as timeline
from optuna_dashboard._importance import param_importance_cache


def use_clock(clock: type[datetime]) -> None:
    """Have Optuna's timeline, and the dashboard's memory of what it has read, ask this class for the time.

    Both ask for the local time without a zone: where clocks are put back, the page would show nothing new
    for an hour.
    """
    modules: tuple[Any, Any] = dashboard_storage, timeline
    modules[0].datetime = clock
    modules[1].datetime = SimpleNamespace(datetime=clock, timedelta=timedelta)


def forget_studies(app: Any) -> None:
    """Have the application forget what it keeps of studies by their ids, which another study may have now."""
    app._inmemory_cache.clear()  # search spaces
    param_importance_cache.clear()
