"""Each broken promise is found by its own check, and a study that keeps them all has no finding."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_tune.verification import CHECKS
from tests.support.damage_to_control import DAMAGE_TO_CONTROL
from tests.support.damage_to_draws import DAMAGE_TO_DRAWS
from tests.support.damage_to_imports import DAMAGE_TO_IMPORTS
from tests.support.damaging_sql import change_database, set_in_spec, set_system_attribute, set_user_attribute
from tests.support.verified_studies import findings_by_check, verify_folder


def test_a_study_that_keeps_every_promise_has_no_findings(grid: Path, sampled: Path) -> None:
    verification = verify_folder(grid)
    assert findings_by_check(verification) == {}
    assert verification.verdict == (
        "study 'tiny' keeps every promise: 8 cells (5 complete, 1 failed, 1 waiting, 1 running), "
        "10 attempts (1 lost, 1 non_finite, 1 preempted), 1 imported result"
    )
    # Each check had something to look at: none is clean for want of it.
    assert [outcome.check for outcome in verification.outcomes if not outcome.checked] == ["pruning"]
    assert findings_by_check(verify_folder(sampled)) == {}


LONG_TEXT = "hex(zeroblob(33000))"
IN_THE_GRID = [
    *DAMAGE_TO_CONTROL,
    *DAMAGE_TO_IMPORTS,
    ("spec", set_in_spec("training.epoch", "3"), "the stored spec: training.epoch: unknown key"),
    ("spec", set_in_spec("study", "'{'"), "the stored spec: study: should be a"),
    ("trials", set_user_attribute(3, "environment", "'[{'"), "trial 3: cannot be read: JSONDecodeError"),
    ("trials", "UPDATE trials SET state = 'LOST' WHERE number = 3", "trial 3: cannot be read: LookupError"),
    (
        "growth",
        set_in_spec(
            "search.revisions",
            """json('[{"id": "00000000000000000000000000000000", "when": "", "version": "", "cells": 3}]')""",
        ),
        "step 1 says that it added 3 cells; it has added 0",
    ),
    ("numbers", "UPDATE trials SET number = 20 WHERE number = 9", "trial 20, cell 6: a trial before it"),
    (
        "parameters",
        "UPDATE trial_params SET param_value = 1 - param_value "
        "WHERE trial_id = 4 AND param_name = 'optimizer'",
        "trial 3, cell 3: optimizer is",
    ),
    (
        "parameters",
        "UPDATE trial_system_attributes SET value_json = '7' WHERE trial_id = 4 AND key = 'grid_id'",
        "trial 3, cell 3: grid_id is 7; it should be 3",
    ),
    (
        "parameters",
        """UPDATE trial_params SET distribution_json = replace(distribution_json, '64', '32')
        WHERE trial_id = 4 AND param_name = 'batch_size' AND param_value = 1""",
        "trial 3, cell 3: the values to choose from are not the spec's",
    ),
    (
        "order",
        "UPDATE trials SET state = 'RUNNING', datetime_complete = NULL WHERE number = 0",
        "trial 8, cell 0: the attempt before it, trial 0, is RUNNING",
    ),
    (
        "budgets",
        set_user_attribute(1, "failure", """'{"class": "preempted", "reason": "stopped"}'"""),
        "trial 1, cell 1: nobody will try the cell again, though the budget of retry.preempted = -1",
    ),
    (
        "budgets",
        set_in_spec("retry.lost", "0"),
        "trial 0, cell 0: the cell was tried again, though the budget of retry.lost = 0 is spent",
    ),
    (
        "failure counts",
        set_system_attribute(8, "failures", "'{}'"),
        "trial 8, cell 0: has {} for failures so far, but there were {'lost': 1}",
    ),
    (
        "failure counts",
        set_system_attribute(8, "failures", """'{"lost": 2}'"""),
        "trial 8, cell 0: has {'lost': 2} for failures so far, but there were {'lost': 1}",
    ),
    (
        "pruning",
        "UPDATE trials SET state = 'PRUNED' WHERE number = 3",
        "trial 3, cell 3: was pruned, but the spec has no [pruner]",
    ),
    (
        "states",
        "UPDATE trials SET datetime_complete = NULL WHERE number = 3",
        "trial 3, cell 3: `datetime_complete` is supposed to be set",
    ),
    (
        "states",
        "UPDATE trials SET datetime_start = NULL WHERE number = 7",
        "trial 7, cell 7: `datetime_start`",
    ),
    ("states", "DELETE FROM trial_values WHERE trial_id = 4", "trial 3, cell 3: values should be set"),
    (
        "reasons",
        "DELETE FROM trial_user_attributes WHERE trial_id = 1 AND key = 'failure'",
        "trial 0, cell 0: failed without a reason",
    ),
    (
        "reasons",
        set_user_attribute(0, "failure", """'{"class": "laziness", "reason": "too warm"}'"""),
        "trial 0, cell 0: failed for a reason of an unknown class",
    ),
    (
        "reasons",
        set_user_attribute(0, "failure", """'{"class": "lost"}'"""),
        "trial 0, cell 0: failed as 'lost' without a",
    ),
    (
        "claims",
        "DELETE FROM trial_user_attributes WHERE trial_id = 4 AND key = 'worker'",
        "trial 3, cell 3: is COMPLETE, but has no worker",
    ),
    (
        "claims",
        "DELETE FROM trial_system_attributes WHERE trial_id = 8 AND key = 'mnist_tune:claim'",
        "trial 7, cell 7: is RUNNING, but has no claim",
    ),
    (
        "claims",
        "INSERT INTO trial_system_attributes VALUES (999, 10, 'mnist_tune:claim', '\"ab\"')",
        "trial 9, cell 6: waits, but has a claim",
    ),
    (
        "claim tokens",
        "UPDATE trial_system_attributes SET value_json = '\"ab\"' "
        "WHERE key = 'mnist_tune:claim' AND trial_id IN (4, 5)",
        "trial 3, cell 3: another trial has the same claim",
    ),
    ("heartbeats", "DELETE FROM trial_heartbeats WHERE trial_id = 8", "trial 7, cell 7: runs without a"),
    (
        "values",
        "UPDATE trial_values SET value = 92.5 WHERE trial_id = 4",
        "trial 3, cell 3: its value is 92.5, but its last epoch had 92.0",
    ),
    (
        "values",
        "UPDATE trial_values SET value = NULL, value_type = 'INF_POS' WHERE trial_id = 4",
        "trial 3, cell 3: its value is [inf]",
    ),
    (
        "histories",
        "INSERT INTO mnist_tune_epochs SELECT 8, 3, metrics FROM mnist_tune_epochs WHERE trial_id = 8",
        "trial 7, cell 7: its history has the epochs [1, 3]",
    ),
    ("histories", set_in_spec("training.epochs", "3"), "trial 8, cell 0: its history has 2 epochs of 3"),
    (
        "histories",
        "DELETE FROM mnist_tune_epochs WHERE trial_id = 4",
        "trial 3, cell 3: its history has 0 epochs of 2",
    ),
    (
        "reports",
        "DELETE FROM trial_intermediate_values WHERE trial_id = 4 AND step = 1",
        "trial 3, cell 3: its reports are {2: 92.0}, but its history has {1: 91.0, 2: 92.0}",
    ),
    (
        "reports",
        "UPDATE trial_intermediate_values SET intermediate_value = 17 WHERE trial_id = 8",
        "trial 7, cell 7: its reports are {1: 17.0}, but",
    ),
    (
        "attribute sizes",
        set_user_attribute(0, "failure", f"json_set(value_json, '$.reason', {LONG_TEXT})"),
        "trial 0, cell 0: 'failure' has 66,0",
    ),
    (
        "passwords",
        set_user_attribute(3, "worker", "'\"postgresql://tuner:pass%word@host/studies\"'"),
        "trial 3, cell 3: 'worker' holds a URL with a password",
    ),
    (
        "passwords",
        set_user_attribute(3, "worker", "'\"see postgresql://host/studies?user=a&password=pass%word\"'"),
        "trial 3, cell 3: 'worker' holds a URL with a password",
    ),
]
IN_THE_SAMPLED_SEARCH = [
    *DAMAGE_TO_DRAWS,
    (
        "known points",
        set_in_spec("search.enqueue", """json('[{"learning_rate": 0.005}]')"""),
        "no cell has the point {'learning_rate': 0.005}",
    ),
    ("cells", set_system_attribute(2, "cell", "'9'"), "cell 2: no trial is for this cell"),
    (
        "parameters",
        "UPDATE trial_params SET distribution_json = replace(distribution_json, '1e-05', '1e-06') "
        "WHERE trial_id = 2 AND param_name = 'learning_rate'",
        "trial 1, cell 1: learning_rate was not sampled from what the spec says",
    ),
    (
        "parameters",
        "DELETE FROM trial_params WHERE trial_id = 2 AND param_name = 'learning_rate'",
        "trial 1, cell 1: learning_rate was never sampled",
    ),
    (
        "retried parameters",
        "UPDATE trial_params SET param_value = 0.005 WHERE trial_id = 4 AND param_name = 'learning_rate'",
        "trial 3, cell 0: learning_rate is 0.005; it should be",
    ),
    (
        "retried parameters",
        "UPDATE trial_system_attributes SET value_json = '{}' WHERE trial_id = 4 AND key = 'fixed_params'",
        "trial 3, cell 0: fixed_params is {}; it should be",
    ),
    (
        "states",
        "UPDATE trial_params SET param_value = 5 WHERE trial_id = 2 AND param_name = 'learning_rate'",
        "trial 1, cell 1: The value 5.0 of parameter 'learning_rate' isn't contained",
    ),
]


@pytest.mark.parametrize(("check", "statement", "says"), IN_THE_GRID)
def test_exactly_the_check_of_a_broken_promise_reports_it(
    grid: Path, check: str, statement: str, says: str
) -> None:
    change_database(grid, statement)
    findings = findings_by_check(verify_folder(grid))
    assert list(findings) == [check]
    assert findings[check][0].startswith(says)
    assert "pass%word" not in str(findings)


@pytest.mark.parametrize(("check", "statement", "says"), IN_THE_SAMPLED_SEARCH)
def test_exactly_the_check_of_a_promise_of_sampled_searches_reports_it(
    sampled: Path, check: str, statement: str, says: str
) -> None:
    change_database(sampled, statement)
    findings = findings_by_check(verify_folder(sampled))
    assert list(findings) == [check]
    assert findings[check][0].startswith(says)


def test_every_check_has_a_test_above() -> None:
    tested = {check for check, _, _ in [*IN_THE_GRID, *IN_THE_SAMPLED_SEARCH]}
    others = {"files", "kept files", "signs of life", "artifact folder", "checkpoints", "other trials"}
    others |= {"uid", "file names", "files elsewhere", "times", "copied epochs", "race"}
    others |= {"results on test data"}  # in test_confirmations.py
    others |= {"more epochs"}  # in tests/study/test_refused_more_epochs.py
    assert {check.name for check in CHECKS} == (tested | others) - {"spec", "trials"}
