"""SQL that damages the only study of a database."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from tests.support.commands import STORED


def change_database(folder: Path, statement: str) -> None:
    with sqlite3.connect(folder / STORED) as connection:
        assert connection.execute(statement).rowcount > 0, "the statement changes nothing"
    connection.close()


def set_user_attribute(number: int, key: str, value: str) -> str:
    """SQL that gives trial `number` of the only study this user attribute; `value` is SQL."""
    return set_attribute("trial_user_attributes", number, key, value)


def set_system_attribute(number: int, key: str, value: str) -> str:
    """SQL that gives trial `number` of the only study this system attribute; `value` is SQL."""
    return set_attribute("trial_system_attributes", number, f"mnist_tune:{key}", value)


def set_attribute(table: str, number: int, key: str, value: str) -> str:
    return f"UPDATE {table} SET value_json = {value} WHERE trial_id = {number + 1} AND key = '{key}'"


def set_in_spec(key: str, value: str) -> str:
    """SQL that changes a value in the stored spec."""
    changed = f"json_set(value_json, '$.{key}', {value})"
    return f"UPDATE study_user_attributes SET value_json = {changed} WHERE key = 'mnist_tune:spec'"
