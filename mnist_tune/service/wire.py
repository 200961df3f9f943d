"""The calls of people as JSON, as `contract.wire` derives them from their signatures."""

from __future__ import annotations

import functools

from mnist_tune.contract.wire import Call, Message, call_of
from mnist_tune.service.calls import StudiesForPeople

LOOKING = ("study_names", "overview", "find", "spec", "results", "verify")
CHANGING = ("create", "set_control", "drain", "retry", "change_settings", "delete")
"""The calls that are sent as they are; `where` is no call, and a file is fetched in another way."""


@functools.cache
def call(name: str) -> Call:
    """How the call of this name is sent. Raises KeyError if it is none."""
    from mnist_tune.results.study_results import Results
    from mnist_tune.verification import Verification

    if name not in (*LOOKING, *CHANGING):
        raise KeyError(name)
    types = {"Results": Results, "Verification": Verification}
    return call_of(getattr(StudiesForPeople, name), Message, types)
