"""Damage to what a sampler has drawn for the cells of a study: check, SQL, and what the check says of it."""

from __future__ import annotations

from tests.support.damaging_sql import set_in_spec

REVISION = (
    """json('[{{"id": "00000000000000000000000000000000", "when": "", "version": "", "cells": 0, {}}}]')"""
)
OF_TRIAL_3 = "SELECT o.param_value FROM trial_params o WHERE o.trial_id = 4 AND o.param_name = "
DAMAGE_TO_DRAWS = [
    (
        "duplicates",
        f"UPDATE trial_params SET param_value = ({OF_TRIAL_3} trial_params.param_name) WHERE trial_id = 2",
        "cells 0 and 1 have the same parameters",
    ),
    (
        "results taken over",
        'INSERT INTO trial_user_attributes VALUES (99, 2, \'reused\', \'{"study": "tiny", "trial": 7}\')',
        "trial 1, cell 1: has the result of trial 7, which has none",
    ),
    (
        "closed cells",
        set_in_spec("search.n_trials", "4, '$.search.revisions', " + REVISION.format('"closed": [[3, 3]]')),
        "the spec has closed cell 3, but no trial says so",
    ),
    (
        "closed cells",
        set_in_spec("search.revisions", REVISION.format('"closed": [], "configurations": 4')),
        "the spec says that the space has 4 configurations; it has more than can be listed",
    ),
]
