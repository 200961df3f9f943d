"""Every route of the installed optuna-dashboard, and content that all of them accept."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from optuna.trial import TrialState

from mnist_tune.study.open_study import OpenStudy
from tests.support.dashboard_client import app_of
from tests.support.studies import states


@dataclass(frozen=True)
class Route:
    """A route of the installed optuna-dashboard, with a study, a trial and a file filled in."""

    method: str
    path: str


def all_routes(study: OpenStudy, folder: Path) -> list[Route]:
    """All routes, about a study and its first waiting trial."""
    values = {
        "study_id": str(study.study_id),
        "trial_id": str(
            study.storage.get_all_trials(study.study_id)[states(study).index(TrialState.WAITING)]._trial_id
        ),
        "plot_type": "timeline",
        "history_id": "0",
        "artifact_id": "0",
        "filename": "bundle.js",
    }
    routes = [(route.method, route.rule) for route in app_of(study, folder).routes]
    return [
        Route(method, re.sub("<([a-z_]*)(:[^>]*)?>", lambda match: values.get(match[1], ""), rule))
        for method, rule in routes
    ]


CONTENT_OF_ANY_ROUTE = {
    "study_name": "renamed",
    "directions": ["maximize"],
    "version": 1,
    "body": "mine",
    "state": "Complete",
    "values": [99.9],
    "user_attrs": {"a": "b"},
    "file": "data:text/plain;base64,aGVsbG8=",
    "filename": "page.html",
    "mode": "ChooseWorst",
    "candidates": [0, 1],
    "clicked": 1,
    "output_type": "note",
    "user_query": "all",
}
"""Content with which each writing route has an effect."""
