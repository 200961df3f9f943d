"""The calls of people as JSON, as `contract.wire` derives them from their signatures."""

from __future__ import annotations

import functools
from typing import Any

from mnist_tune.contract.wire import Call, Message, call_of
from mnist_tune.service.calls import StudiesForPeople

LOOKING = ("study_names", "overview", "find", "spec", "uid", "missing", "results", "verify")
CHANGING = ("create", "extend", "import_trials", "set_control", "drain", "retry", "change_settings", "delete")
"""The calls that are sent as they are; `where` is no call, and a file is fetched in another way."""


@functools.cache
def call(name: str) -> Call:
    """How the call of this name is sent. Raises KeyError if it is none."""
    if name not in (*LOOKING, *CHANGING):
        raise KeyError(name)
    return call_of(getattr(StudiesForPeople, name), Message, _types_for(name))


def _types_for(name: str) -> dict[str, Any]:
    """The types that load Optuna; a call that needs none of them is sent without it."""
    if name == "results":
        from mnist_tune.results.study_results import Results

        return {"Results": Results}
    if name == "verify":
        from mnist_tune.verification import Verification

        return {"Verification": Verification}
    return {}
