"""Changes [lease], [retry], [limits] and [stop] of a study while it runs; results do not depend on them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy
from sqlalchemy import orm, select

from mnist_tune.errors import Damaged, MnistTuneError, UserError
from mnist_tune.queue.account import count_anew
from mnist_tune.queue.cells import lock_study
from mnist_tune.queue.worker_registry import WorkerState, registry_in
from mnist_tune.records.stored_spec import stored_spec
from mnist_tune.records.values import Text, load
from mnist_tune.spec.documents import validate
from mnist_tune.spec.sections import FORMER_NAMES, LeaseSettings, current_name
from mnist_tune.spec.stored import SETTINGS_TABLES
from mnist_tune.spec.study_spec import SETTINGS, Spec
from mnist_tune.storage.keys import FORMER_RETRY, SPEC
from mnist_tune.storage.optuna_internals import study_attributes
from mnist_tune.storage.statements import put_in_study
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.text.wording import counted

HERE = {WorkerState.WORKING, WorkerState.IDLE, WorkerState.DRAINING}
"""The states of workers that use the lease with which they began."""
NO_CONDITION = "none"
"""What to write for a condition of [stop] that is to hold no more."""
TAKEN_UP = {
    "limits": "running workers take [limits] up with their next trial",
    "retry": "[retry] holds from the next failure on; 'mnist-tune retry' puts back what has failed for good",
    "stop": "[stop] holds from the next claim on; a study that has stopped goes on with 'mnist-tune resume'",
    "lease": "[lease] holds for workers that start from now on",
}
"""When a change of each table takes effect."""


def parse_changes(assignments: Sequence[str]) -> dict[str, Any]:
    """Turn `TABLE.FIELD=VALUE` texts into values by dotted key.

    Raises:
        UserError: a text has another form, or names no field that may be changed.
    """
    changes: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = (part.strip() for part in assignment.partition("="))
        if not equals or not text:
            raise UserError(f"set: '{assignment}' is no change; write limits.timeout=3600")
        table, _, field = key.partition(".")
        if table in SETTINGS and not field:
            fields = [f"{table}.{one}" for one in SETTINGS_TABLES[table].model_fields]
            raise UserError(f"set: {table} is a table; name a field of it: {', '.join(fields)}")
        if table not in SETTINGS:
            raise UserError(
                f"set: {key} cannot be changed: the study's numbers depend on it; make another study. "
                "Only fields of [lease], [retry], [limits] and [stop] can"
            )
        if table == "lease" and field in FORMER_NAMES:
            key = f"{table}.{current_name(field)}"
        if table == "stop" and text == NO_CONDITION:
            changes[key] = None
            continue
        try:
            changes[key] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            changes[key] = text  # no field takes a text, and the error names the field
    return changes


def change_settings(study: OpenStudy, changes: Mapping[str, Any]) -> Spec:
    """Change fields of the stored spec, all in one transaction; returns the new spec.

    Raises:
        UserError: a field is unknown or does not take its value, or a new lease would have running workers
            fail each other.
    """
    with study.storage.transaction() as session:
        lock_study(session, study.study_id)
        before = _stored(session, study)
        document = before.grown_document()
        for key, value in changes.items():
            table, _, field = key.partition(".")
            document[table] = {**document.get(table, {}), field: value}
        spec = validate(type(before), document, "set")
        if spec.lease != before.lease:
            # A worker that registers from now on waits for the lock, and then reads the new lease.
            registry = registry_in(session, study.storage, study.study_id, before.lease.grace_period)
            here = [worker for worker in registry.workers if worker.state in HERE]
            _check_lease(study.name, len(here), before.lease, spec.lease)
        if spec.stop != before.stop:
            count_anew(session, study.study_id)  # meanwhile nobody may have counted
        rows: dict[str, Any] = {SPEC: spec.stored()}
        if spec.retry != before.retry:
            rows[FORMER_RETRY] = [*former_retry(session, study.study_id), before.retry.model_dump()]
        put_in_study(session, study.study_id, rows)
    return spec


def taken_up(changes: Mapping[str, Any]) -> list[str]:
    """When the changes take effect, one sentence for each table."""
    tables = {key.partition(".")[0] for key in changes}
    return [sentence for table, sentence in TAKEN_UP.items() if table in tables]


def former_retry(session: orm.Session, study_id: int) -> list[Any]:
    """The tables [retry] that held before, oldest first: cells were put back according to them."""
    found = _value(session, study_id, FORMER_RETRY)
    try:
        former = load(found or "[]")
    except Damaged:  # `verify` reports what then is missing
        return []
    return former if isinstance(former, list) else []


def _stored(session: orm.Session, study: OpenStudy) -> Spec:
    text = _value(session, study.study_id, SPEC)
    if text is None:
        raise UserError(f"study '{study.name}' has been deleted meanwhile")
    try:
        return stored_spec(text)
    except Damaged as problem:
        raise MnistTuneError(
            f"the spec of study '{study.name}' has been damaged meanwhile: {problem}"
        ) from None


def _value(session: orm.Session, study_id: int, key: str) -> Text:
    which = sqlalchemy.and_(study_attributes.c.study_id == study_id, study_attributes.c.key == key)
    found: Text = session.execute(select(study_attributes.c.value_json).where(which)).scalar()
    return found


def _check_lease(name: str, n_workers: int, before: LeaseSettings, after: LeaseSettings) -> None:
    """Refuse a lease with which old and new workers would take each other for dead.

    Raises:
        UserError: workers are on the study, and a heartbeat is too slow for the other lease.
    """
    slowest = max(before.heartbeat_interval, after.heartbeat_interval)
    shortest = min(before.grace_period, after.grace_period)
    if n_workers and 3 * slowest > shortest + 1e-9:
        raise UserError(
            f"set: {counted(n_workers, 'worker')} on this study would be taken for dead, or take others for "
            f"dead: heartbeats every {slowest:g} s, a grace period of {shortest:g} s; have them leave first "
            f"with 'mnist-tune cancel {name}', and let new ones in with 'mnist-tune resume {name}'"
        )
