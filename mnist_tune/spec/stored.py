"""A stored spec, which may be an older version's, or damaged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeAlias

from pydantic import PlainSerializer, PlainValidator

from mnist_tune.errors import Damaged, UserError
from mnist_tune.jobs.command.table import job_table
from mnist_tune.jobs.description import JobDescription
from mnist_tune.jobs.loading import built_in_description
from mnist_tune.jobs.reference import BUILT_IN, JobTable
from mnist_tune.spec.documents import Section, validate
from mnist_tune.spec.sections import FORMER_NAMES, LeaseSettings, Limits, Retry, Stop
from mnist_tune.spec.study_spec import Spec, spec_class

SETTINGS_TABLES: dict[str, type[Section]] = {
    "lease": LeaseSettings,
    "retry": Retry,
    "limits": Limits,
    "stop": Stop,
}


def as_stored_spec(document: Any) -> Spec:
    """The spec in stored plain data. Raises Damaged."""
    try:
        if not isinstance(document, dict):
            return validate(spec_class(built_in_description()), document, "")
        given = document.get("job", {"name": BUILT_IN})
        table = validate(job_table(given), given, "job")
        job = table.description or _description(table)
        bare = {**document, "job": table.document()}
        return validate(spec_class(job), _within_bounds(bare), "")
    except UserError as error:
        raise Damaged(str(error)) from None


def as_spec_of_study(document: Any) -> Spec:
    """The spec of a study in plain data, whatever others have called the study. Raises Damaged.

    By other programs a study can get a name that a new one must not have.
    """
    match document:
        case {"study": {"name": str(name)} as table} if len(table) == 1:
            spec = as_stored_spec({**document, "study": {"name": "a-study"}})
            return spec.model_copy(update={"study": spec.study.model_copy(update={"name": name})})
    return as_stored_spec(document)


def _description(table: JobTable) -> JobDescription:
    """The description of a job that was stored without one: before version 0.6 there was one job only."""
    if table.name != BUILT_IN:
        raise Damaged("job.description: missing")
    return built_in_description()


def _within_bounds(document: Any) -> Any:
    """The document with each setting that was in bounds for 0.5.0, and no longer is, set to its bound.

    That version had no upper bounds for times and counts, and no lower one for the heartbeat.
    """
    if not isinstance(document, dict):
        return document
    bounded = dict(document)
    for table, model in SETTINGS_TABLES.items():
        if isinstance(settings := document.get(table), dict):
            named = {_name(table, key): value for key, value in settings.items()}
            bounded[table] = {key: _bounded(model, key, value) for key, value in named.items()}
    match document.get("lease"):
        case {"heartbeat_interval": float(beat), "grace_period": float(grace)} if grace >= 3 * beat > 0:
            lease = bounded["lease"]
            lease["grace_period"] = max(lease["grace_period"], 3 * lease["heartbeat_interval"])
            lease["grace_period"] = _bounded(LeaseSettings, "grace_period", lease["grace_period"])
            lease["heartbeat_interval"] = min(lease["heartbeat_interval"], lease["grace_period"] / 3)
    return bounded


def _name(table: str, key: str) -> str:
    return FORMER_NAMES.get(key, key) if table == "lease" else key


def _bounded(model: type[Section], key: str, value: Any) -> Any:
    field = model.model_fields.get(key)
    if field is None or type(value) not in (int, field.annotation) or not value > 0:  # damaged, or in bounds
        return value
    for bound in field.metadata:
        value = min(value, getattr(bound, "le", value))
        value = max(value, getattr(bound, "ge", value))
    return value


def _unless_it_is_one(read: Callable[[Any], Spec]) -> PlainValidator:
    return PlainValidator(lambda value: value if isinstance(value, Spec) else read(value))


_WRITTEN = PlainSerializer(Spec.stored, return_type=dict[str, Any])
StoredSpec: TypeAlias = Annotated[Spec, _WRITTEN, _unless_it_is_one(as_stored_spec)]
"""A spec of any job, which pydantic writes and reads as it is stored."""
SpecOfStudy: TypeAlias = Annotated[Spec, _WRITTEN, _unless_it_is_one(as_spec_of_study)]
"""The spec of a study that is there, which may have any name."""
