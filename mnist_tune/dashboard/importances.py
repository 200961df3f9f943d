"""Shows the importances of the report in the dashboard, instead of the dashboard's own."""

from __future__ import annotations

import threading
import time
from typing import Any

from bottle import Route
from optuna.trial import TrialState

from mnist_tune.dashboard.plugins import STUDY, Plugin, View, is_ours
from mnist_tune.dashboard.snapshots import READING_SHARE, SnapshotStorage
from mnist_tune.errors import MnistTuneError
from mnist_tune.records.distributions import distributions
from mnist_tune.results.importances import importances
from mnist_tune.results.optuna_view import stand_in
from mnist_tune.results.reading import read_results
from mnist_tune.study.store import open_study


class OneMeasure(Plugin):
    """Answers requests for importances of our studies with the measure of the report.

    optuna-dashboard has another measure, and two that disagree would only confuse.
    """

    def __init__(self, storage: SnapshotStorage) -> None:
        self._storage = storage
        self._computing = threading.Lock()
        self._computed: dict[int, tuple[int, float, list[dict[str, Any]]]] = {}
        """By study id: how many trials were complete, when to compute again, and the answer."""

    def forget(self) -> None:
        """Forget all answers, since deleted studies' ids may be used again."""
        self._computed.clear()

    def apply(self, view: View, route: Route) -> View:
        if (route.method, route.rule) != ("GET", f"{STUDY}/param_importances"):
            return view

        def ours(study_id: int) -> Any:
            if not is_ours(self._storage, study_id):
                return view(study_id=study_id)
            try:
                return {"param_importances": [self._of(study_id)]}
            except MnistTuneError:  # the study is damaged, or was deleted meanwhile
                return view(study_id=study_id)

        return ours

    def _of(self, study_id: int) -> list[dict[str, Any]]:
        trials = self._storage.get_all_trials(study_id, deepcopy=False, states=(TrialState.COMPLETE,))
        # Pages ask after each trial that ends, and a forest takes time: workers must not be slowed down.
        with self._computing:
            began = time.monotonic()
            known, not_before, answer = self._computed.get(study_id, (-1, began, []))
            if known != len(trials) and began >= not_before:
                answer = self._measured(study_id)
                ended = time.monotonic()
                self._computed[study_id] = len(trials), ended + (ended - began) / READING_SHARE, answer
            return answer

    def _measured(self, study_id: int) -> list[dict[str, Any]]:
        study = open_study(self._storage.guarded, self._storage.get_study_name_from_id(study_id))
        results = read_results(study)
        axes = distributions(results.spec)
        return [
            {"name": name, "importance": share, "distribution": type(axes[name]).__name__}
            for name, share in importances(results, stand_in(results)).shares.items()
        ]
