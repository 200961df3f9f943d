"""The types of all values that are stored under our names; no other module parses them.

Whoever can write to the database may have put anything there. A value of another type raises `Damaged`, with
one line, and never another kind of error.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple, TypeAlias, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Json,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import ErrorDetails

from mnist_tune.errors import Damaged
from mnist_tune.failures import FailureClass
from mnist_tune.files import stored_names
from mnist_tune.files.checkpoints import Checkpoint
from mnist_tune.jobs.description import JobDescription
from mnist_tune.jobs.evaluation import Evaluation
from mnist_tune.jobs.hyperparameters import MOST, Count
from mnist_tune.jobs.loading import built_in_description
from mnist_tune.jobs.metric import words
from mnist_tune.jobs.metrics import EpochMetrics, epoch_from
from mnist_tune.records.version_0_5_0 import EpochOf050
from mnist_tune.spec.documents import complaint
from mnist_tune.spec.imports import LONGEST_SOURCE
from mnist_tune.storage import keys
from mnist_tune.storage.optuna_internals import ARTIFACTS_ATTR_PREFIX

T = TypeVar("T")

MOST_SECONDS = 1e9
"""The most seconds that an epoch can take."""
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""All times of a study lie between these two."""

Scalar: TypeAlias = str | bool | int | Annotated[float, Field(allow_inf_nan=False)] | None
Text: TypeAlias = str | bytes | None
"""A JSON text as a column holds it; SQLite lets a column hold values of any type."""


class StoredModel(BaseModel):
    """A JSON object. Keys that a later version adds are ignored."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


class Reason(StoredModel):
    """Why an attempt failed; `kind` is the class whose retry budget it counts against."""

    kind: str = Field(alias="class")
    reason: str


class Resumed(StoredModel):
    """The epoch from which an attempt went on, or why it began at the first one."""

    epoch: Count
    checkpoint: str | None = None
    problem: str | None = None


class Reused(StoredModel):
    """The study and the trial from which a result was taken over."""

    study: str
    trial: Count


class Origin(StoredModel):
    """Where a result comes from that no worker of the study obtained, and when it was imported."""

    id: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
    """Of the import: who asks a second time, since no answer came, is known by it."""
    source: Annotated[str, Field(max_length=LONGEST_SOURCE)]
    when: Annotated[str, Field(max_length=40)]
    version: Annotated[str, Field(max_length=100)]


class NotKept(StoredModel):
    """Why files of an attempt could not be written."""

    weights: str | None = None
    state: str | None = None


class Result(NamedTuple):
    """A worker's result: the value and number of its trial, which a copy in another study need not share."""

    number: Count
    value: float


class Artifact(StoredModel):
    """A file that was kept for a trial, as Optuna stores it."""

    artifact_id: Annotated[str, AfterValidator(stored_names.artifact_id)]
    filename: str


def possible(history: list[EpochMetrics], job: JobDescription) -> list[EpochMetrics]:
    """Return the epochs if their numbers are possible ones. Raises ValueError if they are not."""
    # A metric without limits may be infinite or nan: training can go on from it. Speeds are measured.
    for epoch in history:
        if not 1 <= epoch.epoch <= MOST:
            raise ValueError(f"there is no epoch {epoch.epoch}")
        for name, value in epoch.numbers.items():
            if value is not None and not job.metric(name).holds(value):
                raise ValueError(f"epoch {epoch.epoch} has a {words(name)} of {job.metric(name).text(value)}")
        seconds, rate = epoch.seconds or 0.0, (epoch[job.rate] if job.rate else None) or 0.0
        if not (0 <= seconds <= MOST_SECONDS and 0 <= rate < math.inf):
            speed = f", {rate} {job.unit}/s" if job.rate else ""
            raise ValueError(f"epoch {epoch.epoch} cannot have taken {epoch.seconds} s{speed}")
    return history


def _of_0_5_0(epochs: list[EpochOf050]) -> list[EpochMetrics]:
    """The epochs of a trial that version 0.5.0 ran."""
    return possible([epoch_from(asdict(epoch)) for epoch in epochs], built_in_description())


def _with_a_key_of_ours(pointer: Checkpoint) -> Checkpoint:
    stored_names.checkpoint_key(pointer.key)
    return pointer


Pointer: TypeAlias = Annotated[Checkpoint, AfterValidator(_with_a_key_of_ours)]
Uid: TypeAlias = Annotated[str, AfterValidator(stored_names.study_uid)]
History: TypeAlias = Annotated[list[EpochOf050], AfterValidator(_of_0_5_0)]
TYPES: dict[str, TypeAdapter[Any]] = {
    key: TypeAdapter(kind)
    for key, kind in {
        keys.UID: Uid,
        keys.CELL: Count,
        keys.IMPORTED: Origin,
        keys.CLAIM: str,
        keys.RESULT: Result,
        keys.EVALUATION: Evaluation,
        keys.FAILURES: dict[FailureClass, Count],
        keys.CHECKPOINT: Pointer,
        keys.LAST_CHECKPOINT: Pointer,
        keys.REMARK: Count,
        keys.LOG: str,
        keys.WORKER: str,
        keys.ENVIRONMENT: dict[str, Scalar],
        keys.HISTORY: History,
        keys.RESUMED: Resumed,
        keys.REUSED: Reused,
        keys.NOT_KEPT: NotKept,
        keys.FAILURE: Reason,
    }.items()
}
"""The type of each of our attributes."""
ARTIFACT: TypeAdapter[Artifact | None] = TypeAdapter(Json[Artifact | None])
"""The type of an artifact's attribute; it is `null` after the file was removed."""


def parse(key: str, text: Text) -> Any:
    """The value of one of our attributes, or of one of Optuna's artifacts.

    Raises:
        Damaged: the text has not the attribute's type.
    """
    return parse_as(ARTIFACT if key.startswith(ARTIFACTS_ATTR_PREFIX) else TYPES[key], text)


def parse_as(kind: TypeAdapter[Any], text: Text) -> Any:
    """Parse a JSON text as this type. Raises Damaged."""
    if not isinstance(text, str | bytes):
        raise Damaged(f"should be JSON, not {text!r}")
    try:
        return kind.validate_json(text, strict=True)
    except ValidationError as error:
        details = error.errors(include_url=False)[0]
    if details["type"] == "json_invalid":
        # Python writes and reads single halves of surrogate pairs, which stand for the bytes of broken names.
        return _with_half_pairs(kind, text, details["msg"])
    raise _damage(details)


def fit(kind: TypeAdapter[T], content: Any) -> T:
    """Plain data as a value of this type. Raises Damaged."""
    try:
        return kind.validate_python(content, strict=True)
    except ValidationError as error:
        raise _damage(error.errors(include_url=False)[0]) from None


def _damage(details: ErrorDetails) -> Damaged:
    if details["type"] == "missing":
        problem = "missing"
    else:
        problem = details["ctx"]["error"] if details["type"] == "value_error" else complaint(details)
    return Damaged(": ".join([*map(str, details["loc"]), str(problem)]))


def _with_half_pairs(kind: TypeAdapter[Any], text: str | bytes, problem: str) -> Any:
    try:
        whole = json.dumps(load(text), ensure_ascii=False).encode("utf-8", "replace")
        return kind.validate_json(whole, strict=True)
    except (ValueError, RecursionError):
        raise Damaged(f"is {problem[0].lower()}{problem[1:]}") from None


def load(text: Text) -> Any:
    """The plain data in a JSON text of any type. Raises Damaged."""
    if not isinstance(text, str | bytes):
        raise Damaged(f"should be JSON, not {text!r}")
    try:
        return json.loads(text)
    except RecursionError:
        raise Damaged("is nested too deeply") from None
    except ValueError as error:  # ValueError also stands for numbers with thousands of digits
        raise Damaged(f"is no JSON: {error}") from None


def moment(stored: Any) -> datetime | None:
    """A stored time, which has no zone and is in UTC; None for None. Raises Damaged."""
    if stored is None:
        return None
    try:
        time = stored if isinstance(stored, datetime) else datetime.fromisoformat(stored)
        if EARLIEST < (aware := time.replace(tzinfo=UTC)) < LATEST:
            return aware
    except (TypeError, ValueError):
        pass
    raise Damaged(f"should be a time, not {stored!r}")


Moment: TypeAlias = Annotated[datetime, BeforeValidator(moment)]
"""A time from a column of type DateTime."""


def objective(values: Mapping[Any, Any], job: JobDescription) -> float:
    """The value of a finished trial, from its values by the number of their objective. Raises Damaged."""
    value, metric = values.get(0), job.of_objective
    if len(values) == 1 and isinstance(value, int | float) and math.isfinite(value) and metric.holds(value):
        return float(value)
    ends = "" if metric.low is None or metric.high is None else f" from {metric.low:g} to {metric.high:g}"
    raise Damaged(f"should be one number{ends}, not {', '.join(map(repr, values.values())) or None}")
