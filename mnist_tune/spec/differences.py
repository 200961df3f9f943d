"""Says in which keys two specs differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mnist_tune.spec.documents import LONGEST
from mnist_tune.spec.study_spec import SETTINGS, Spec

DUPLICATES = "search.duplicates"


def differences(stored: Spec, given: Spec, *, in_settings: bool = False) -> list[str]:
    """What differs between two specs, one phrase for each key: in settings, or in what affects results."""
    ours, theirs = (dict(_leaves(spec.document())) for spec in (given, stored))
    return [
        f"{key} is {_shown(theirs.get(key))} there and {_shown(ours.get(key))} here"
        for key in dict.fromkeys([*theirs, *ours])
        if theirs.get(key) != ours.get(key)
        and in_settings == (key.partition(".")[0] in SETTINGS)
        and not (key == DUPLICATES and key not in theirs)  # it was made before there was the key
    ]


def _leaves(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _shown(value: Any) -> str:
    if isinstance(value, list) and len(str(value)) > LONGEST:
        return f"{str(value)[: LONGEST - 3]}... ({len(value):,} values)"
    return "absent" if value is None else str(value)
