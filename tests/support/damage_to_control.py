"""Damage to what says whether a study's cells may be claimed: check, SQL, and what the check says of it."""

from __future__ import annotations

STOPPED_LONG_AGO = '{"stopped": {"condition": "max_failures", "limit": 0, "when": "2020-01-01T00:00:00Z"}}'


def new_attributes(**values: str) -> str:
    """SQL that gives every study these attributes of ours, each a JSON text."""
    rows = [
        f"SELECT {99 - place}, study_id, 'mnist_tune:{key}', '{value}' FROM studies"
        for place, (key, value) in enumerate(values.items())
    ]
    return f"INSERT INTO study_user_attributes {' UNION '.join(rows)}"


DAMAGE_TO_CONTROL = [
    (
        "control",
        new_attributes(control='"off"'),
        "the study's control is 'off'; it should be one of running, paused, cancelled, stopped",
    ),
    (
        "stop",
        new_attributes(control='"stopped"'),
        "is stopped without a reason; 'mnist-tune resume tiny' goes on with it",
    ),
    (
        "stop",
        new_attributes(control='"stopped"', account='{"stopped": 1}'),
        "what [stop] has counted stopped: ",
    ),
    (
        "begun after the stop",
        new_attributes(control='"stopped"', account=STOPPED_LONG_AGO),
        "trial 0, cell 0: was begun at ",
    ),
]
