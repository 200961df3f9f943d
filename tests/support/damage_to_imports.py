"""Damage to the result that the grid of tests/verification has imported, and what `verify` says of it."""

from __future__ import annotations

from tests.support.damaging_sql import set_system_attribute

CHECK = "imported results"
OF_IT = "trial 10: "


def _mark(key: str) -> str:
    """SQL that gives it an attribute that only a trial has that ran."""
    values = f"(11, 'mnist_tune:{key}', '1')"
    return f"INSERT INTO trial_system_attributes (trial_id, key, value_json) VALUES {values}"


DAMAGE_TO_IMPORTS = [
    (CHECK, set_system_attribute(10, "imported", "'5'"), f"{OF_IT}from where it was imported should be "),
    (CHECK, set_system_attribute(10, "imported", "'{}'"), f"{OF_IT}from where it was imported id: missing"),
    (
        CHECK,
        "UPDATE trial_values SET value = 101 WHERE trial_id = 11",
        f"{OF_IT}its result: validation_accuracy: is 101, which no validation accuracy can have",
    ),
    (
        CHECK,
        "DELETE FROM trial_params WHERE trial_id = 11 AND param_name = 'optimizer'",
        f"{OF_IT}its result: optimizer: missing",
    ),
    (
        CHECK,
        """UPDATE trial_params SET distribution_json = replace(distribution_json, '64', '32')
        WHERE trial_id = 11 AND param_name = 'batch_size'""",
        f"{OF_IT}the values to choose from for batch_size are not the spec's",
    ),
    (CHECK, "DELETE FROM trial_values WHERE trial_id = 11", OF_IT),
    (CHECK, "UPDATE trials SET state = 'WAITING' WHERE number = 10", f"{OF_IT}was imported, but is WAITING"),
    (CHECK, _mark("claim"), f"{OF_IT}was imported, but has a claim"),
    (CHECK, _mark("result"), f"{OF_IT}was imported, but has a worker's result"),
]
