"""A storage with two studies, and damage for its columns, chosen by a seed so that a case can be repeated."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnist_tune.contract.study import WorkerFacts, new_token
from mnist_tune.failures import Failure
from mnist_tune.files.checkpoints import checkpoint_key
from mnist_tune.queue.worker_registry import Registration
from mnist_tune.spec.imports import Import, ResultElsewhere
from mnist_tune.storage.artifacts import ArtifactFolder, upload
from mnist_tune.storage.keys import CHECKPOINT, ENVIRONMENT, LOG, RESUMED
from mnist_tune.study.imports import import_results
from mnist_tune.study.store import create_study, open_study
from tests.support.made_studies.epochs import made_epoch
from tests.support.specs import tiny_spec
from tests.support.stored_epochs import numbers
from tests.support.studies import new_study, open_file, take

SPEC = """
[study]
name = "tiny"

[search.grid]
learning_rate = [0.001, 0.0001, 0.01]
optimizer = ["Adam", "SGD"]

[training]
epochs = 2

[lease]
heartbeat_interval = 0.1
grace_period = 0.3
"""
DAMAGED, WHOLE = "tiny", "whole"
"""The names of the study to damage and of the other one."""
ENVIRONMENT_OF_ALL = {"device": "cpu", "precision": "fp32", "threads": 1, "torch": "2.0"}

Damage = Any
"""A damaged value: one that the driver takes, or a `Raw` piece of SQL."""


@dataclass(frozen=True)
class Raw:
    """A value that only SQL can express."""

    sql: str


@dataclass(frozen=True)
class Case:
    """Damage to one column of one row."""

    table: str
    column: str
    row: int
    key: str | None
    damage: Damage

    def apply(self, file: Path) -> bool:
        """Damage the file; False if the database does not allow it."""
        connection = sqlite3.connect(file)
        value, given = ("?", [self.damage]) if not isinstance(self.damage, Raw) else (self.damage.sql, [])
        try:
            with connection:
                statement = f"UPDATE {self.table} SET {self.column} = {value} WHERE rowid = ?"
                connection.execute(statement, [*given, self.row])
        except (sqlite3.IntegrityError, OverflowError):
            return False
        finally:
            connection.close()
        return True

    def __str__(self) -> str:
        shown = self.damage.sql if isinstance(self.damage, Raw) else repr(self.damage)
        return f"{self.table}.{self.column} of row {self.row} ({self.key}) = {shown[:60]}"


def damaged_storage(folder: Path) -> Path:
    """An SQLite file with a study in every state, and a second study that stays sound."""
    study = new_study(folder, SPEC)
    create_study(study.storage, tiny_spec(folder, SPEC.replace('"tiny"', f'"{WHOLE}"')))
    for name in (DAMAGED, WHOLE):
        _work_on(folder, name)
    study.storage.remove_session()
    study.storage.engine.dispose()
    _import_into(folder, DAMAGED)
    return folder / "studies.db"


def _import_into(folder: Path, name: str) -> None:
    """Give a study a result that was obtained elsewhere."""
    study = open_study(open_file(folder), name)
    one = ResultElsewhere(parameters={"learning_rate": 0.001, "optimizer": "Adam"}, value=85.0)
    assert import_results(study, Import(source="known.csv", results=[one]), new_token()) == (1, 0)
    study.storage.remove_session()
    study.storage.engine.dispose()


def _work_on(folder: Path, name: str) -> None:
    """Make two complete cells, one failed and tried again, one with a checkpoint, and one that runs."""
    study = open_study(open_file(folder), name)
    queue = study.queue()
    registration = Registration(study.storage, study.study_id, WorkerFacts.of_this_process("cpu (a CPU)"))
    registration.register()
    registration.beat(3, 1000.0)
    for number in range(5):
        claim = take(queue)
        history = [made_epoch(1, 80.0 + number), made_epoch(2, 90.0 + number)]
        notes = {ENVIRONMENT: ENVIRONMENT_OF_ALL, RESUMED: {"epoch": 1, "checkpoint": "x"}}
        reports = {1: 80.0 + number, 2: 90.0 + number}
        queue.record(claim, user=notes, reports=reports, epochs=numbers(history))
        key = checkpoint_key(claim.trial_id, claim.token, 1)
        pointer = {CHECKPOINT: {"key": key, "sha256": "0" * 64, "epoch": 1}}
        if number in (0, 1):
            files = upload(ArtifactFolder(folder / "artifacts"), claim.token, {"log.txt": b"said\n"})
            queue.complete(claim, 90.0 + number, system=files | {LOG: "said\n"})
        elif number == 2:
            queue.give_back(claim, Failure("exception", "ValueError: no\nTraceback"), {LOG: "said\n"})
        elif number == 3:
            queue.give_back(claim, Failure("preempted", "drained"), pointer)
        else:
            queue.record(claim, system=pointer)
    study.storage.remove_session()
    study.storage.engine.dispose()


NUMBERS: list[Damage] = [
    None, "x", "", "[1]", -1, 5, 0.5, 1e300, float("inf"), float("-inf"), 2**62, -(2**63), b"\xff\xfe",
    Raw("CAST(x'ff22' AS TEXT)"), "9" * 400,
]  # fmt: skip
TIMES: list[Damage] = [
    None, "yesterday", "", 5, -1, 1e300, b"\xff", "0001-01-01 00:00:00.000000", "9999-12-31 23:59:59.999999",
    "2026-02-30 00:00:00.000000", "2026-01-01", "2026-01-01 00:00:00+05:00", Raw("CAST(x'ff' AS TEXT)"),
]  # fmt: skip
TEXTS: list[Damage] = [
    None, "", "x", "RUNNING", "WAITING", "FAIL", "INF_POS", 5, 0.5, b"\xff\xfe", "\x1b]52;c;eA==\x07",
    "\u202e", "a\nb", "../../etc", "/tmp/x", "x" * 100_000, Raw("CAST(x'ff' AS TEXT)"),
]  # fmt: skip
JSONS: list[Damage] = [
    None, "", "x", "{", "null", "true", "5", "-1", "0.5", "1e999", "NaN", "-Infinity", "9" * 5_000, '"text"',
    '"paused"', '""', "[]", "[[]]", "[1, 2]", "{}", '{"a": 1}', '{"class": 5, "reason": null}',
    '{"key": "/etc/passwd", "sha256": "x", "epoch": 1}', '[{"epoch": 1}]', '{"epoch": -1}', '{"epoch": 1e99}',
    '"\\ud800"', '["\\udfff", {"a": "\\ud800"}]', '"\\u0000"', '"\\u001b]52;c;eA==\\u0007"', "[" * 100_000,
    "[" * 150 + "]" * 150, "[" * 900 + "]" * 900, '"' + "x" * 300_000 + '"', 5, 0.5, b"\xff\xfe", b'"text"',
    Raw("CAST(x'22ff22' AS TEXT)"),
    '{"name": "CategoricalDistribution", "attributes": {"choices": [[1], {}]}}',
    '{"name": "CategoricalDistribution", "attributes": {"choices": []}}',
    '{"name": "FloatDistribution", "attributes": {"low": NaN, "high": 1, "step": null, "log": false}}',
    '{"name": "IntDistribution", "attributes": {"low": 0, "high": 1e300, "step": 1, "log": false}}',
]  # fmt: skip
COLUMNS: dict[str, dict[str, list[Damage]]] = {
    "studies": {"study_name": TEXTS},
    "study_directions": {"direction": TEXTS, "objective": NUMBERS},
    "study_user_attributes": {"key": TEXTS, "value_json": JSONS},
    "study_system_attributes": {"key": TEXTS, "value_json": JSONS},
    "trials": {"number": NUMBERS, "state": TEXTS, "datetime_start": TIMES, "datetime_complete": TIMES},
    "trial_params": {"param_name": TEXTS, "param_value": NUMBERS, "distribution_json": JSONS},
    "trial_values": {"objective": NUMBERS, "value": NUMBERS, "value_type": TEXTS},
    "trial_user_attributes": {"key": TEXTS, "value_json": JSONS},
    "trial_system_attributes": {"key": TEXTS, "value_json": JSONS},
    "trial_intermediate_values": {
        "step": NUMBERS,
        "intermediate_value": NUMBERS,
        "intermediate_value_type": TEXTS,
    },
    "trial_heartbeats": {"heartbeat": TIMES},
    "mnist_tune_epochs": {"epoch": NUMBERS, "metrics": JSONS},
    "mnist_tune_workers": {
        "name": TEXTS, "host": TEXTS, "pid": NUMBERS, "device": TEXTS, "started": TIMES, "last_beat": TIMES,
        "trial": NUMBERS, "images_per_second": NUMBERS, "drain": NUMBERS, "departure": TEXTS,
    },
}  # fmt: skip
"""Every column of every table that is read, with the damage to try in it."""
OF_DAMAGED = {
    "study_id": "study_id = 1",
    "trial_id": "trial_id IN (SELECT trial_id FROM trials WHERE study_id = 1)",
}


def cases(file: Path, seed: int, each: int | None = None) -> Iterator[Case]:
    """Damage to the first study: `each` values for every attribute and column, or all values.

    JSON texts are also damaged inside: one of their leaves or keys becomes another.
    """
    chance = random.Random(seed)
    connection = sqlite3.connect(file)
    connection.row_factory = sqlite3.Row
    for table, columns in COLUMNS.items():
        names = {row["name"] for row in connection.execute(f"PRAGMA table_info({table})")}
        assert columns.keys() <= names, f"{table} has other columns"
        owner = "trial_id" if "trial_id" in names and table != "trials" else "study_id"
        rows = connection.execute(f"SELECT rowid AS row, * FROM {table} WHERE {OF_DAMAGED[owner]}").fetchall()
        by_key: dict[str | None, list[sqlite3.Row]] = {}
        for row in rows:
            by_key.setdefault(row["key"].split(":0")[0] if "key" in names else None, []).append(row)
        for key, same in by_key.items():
            for column, damages in columns.items():
                possible = list(damages)
                for _ in range(3):
                    possible += _inside(chance.choice(same)[column], chance)
                some = possible if each is None else chance.sample(possible, min(each, len(possible)))
                for damage in some:
                    yield Case(table, column, chance.choice(same)["row"], key, damage)
    connection.close()


def _inside(text: Any, chance: random.Random) -> list[str]:
    """The document with one of its values replaced, and with one key or value added."""
    try:
        document = json.loads(text)
    except (TypeError, ValueError):
        return []
    places = list(_places(document))
    if not places:
        return []
    container, key = chance.choice(places)
    container[key] = chance.choice(
        [None, "x", -1, 1e300, [], {}, [[1]], True, float("nan"), float("inf"), ""]
    )
    changed = json.dumps(document)
    if isinstance(container, dict):
        container["unknown"] = container.pop(key)
    else:
        container.append(container[key])
    return [changed, json.dumps(document)]


def _places(document: Any) -> Iterator[tuple[Any, Any]]:
    if not isinstance(document, dict | list):
        return
    for key, value in list(document.items() if isinstance(document, dict) else enumerate(document)):
        yield document, key
        yield from _places(value)
