"""The contract's calls as JSON: its own signatures say what is sent, and what comes back."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple, NewType, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model

from mnist_tune.contract.study import (
    NO_NUL,
    LeaseLost,
    SamplerFailed,
    StorageAway,
    StorageFailed,
    StudyForWorkers,
)
from mnist_tune.errors import Damaged, FileElsewhere, FileUnavailable, MnistTuneError, UserError

API = 1
"""The version of what is sent. It changes when an older program could misunderstand it."""
CALLS = (
    *("standing", "stopped", "register", "beat", "leave", "claim", "parameters", "renew", "record", "decide"),
    *("complete", "prune", "give_back", "delete_state", "sweep"),
)
"""The calls that are sent as they are. Files have their own requests, and a head puts cells back itself."""


StudyName = Annotated[str, Field(max_length=512, pattern=NO_NUL)]
EXACT = ConfigDict(ser_json_inf_nan="constants")
"""NaN and Infinity are written as such, so that they are numbers again even where any value may stand."""


@functools.cache
def wire_adapter(kind: Any) -> TypeAdapter[Any]:
    """What writes values of this type as JSON and reads them again. It is made at its first use."""
    # pydantic takes no configuration for a dataclass itself, but it does for another name of one.
    another_name = NewType("another_name", kind)  # type: ignore[valid-newtype]
    return TypeAdapter(another_name, config=EXACT)


class Message(BaseModel):
    """The arguments of a call, by name."""

    model_config = ConfigDict(extra="forbid", **EXACT)


class OfStudy(Message):
    """What every call of a worker says first: the study, and which one of this name."""

    study: StudyName
    uid: Annotated[str, Field(max_length=100, pattern=NO_NUL)]


class OpenedStudy(OfStudy):
    """What a worker is told of a study before all else."""

    spec: dict[str, Any]
    """The spec as it is stored."""


class Call(NamedTuple):
    """How one call is sent and answered."""

    arguments: type[Message]
    names: tuple[str, ...]
    """The names of the call's own arguments."""
    answer: TypeAdapter[Any]

    def sent(self, arguments: Mapping[str, Any]) -> bytes:
        """The body of a request with these arguments."""
        return self.arguments(**arguments).model_dump_json().encode()


def call_of(method: Any, base: type[Message], types: Mapping[str, Any] | None = None) -> Call:
    """How a method of a protocol is sent; its message begins as `base` does.

    `types`: those that its annotations name and that its module has not loaded.
    """
    hints = get_type_hints(method, localns=dict(types or {}), include_extras=True)
    parameters = [each for each in inspect.signature(method).parameters.values() if each.name != "self"]
    fields: dict[str, Any] = {
        each.name: (hints[each.name], ... if each.default is each.empty else each.default)
        for each in parameters
    }
    arguments = create_model(f"Arguments of {method.__name__}", __base__=base, **fields)
    return Call(arguments, tuple(fields), wire_adapter(hints["return"]))


@functools.cache
def call(name: str) -> Call:
    """How a worker's call of this name is sent. Raises KeyError if it is not one of `CALLS`."""
    if name not in CALLS:
        raise KeyError(name)
    return call_of(getattr(StudyForWorkers, name), OfStudy)


class Failure(NamedTuple):
    """How a failure of a call is told: by a word, and by a status of HTTP."""

    error: type[Exception]
    kind: str
    status: int


FAILURES = (
    Failure(LeaseLost, "lease_lost", 409),
    Failure(SamplerFailed, "sampler", 422),
    Failure(StorageAway, "away", 503),
    Failure(StorageFailed, "failed", 500),
    Failure(FileElsewhere, "file_elsewhere", 404),
    Failure(FileUnavailable, "file_unavailable", 500),
    Failure(UserError, "user_error", 400),
    Failure(MnistTuneError, "error", 500),
    Failure(Damaged, "damaged", 422),
    Failure(FileNotFoundError, "no_file", 404),
    Failure(OSError, "file", 507),
)
"""The errors that the contract names. A class stands before those from which it is derived."""


class Told(BaseModel):
    """The body of an answer that is a failure."""

    kind: str
    message: str


def told(error: Exception) -> tuple[int, Told] | None:
    """The status and the body that tell of an error; None for one that the contract does not name."""
    for failure in FAILURES:
        if isinstance(error, failure.error):
            return failure.status, Told(kind=failure.kind, message=_words(error))
    return None


def _words(error: Exception) -> str:
    """From which the error can be made again."""
    if isinstance(error, FileElsewhere):
        return error.folder
    return (isinstance(error, OSError) and error.strerror) or str(error)


def message(body: bytes) -> str | None:
    """What an answer says in words; None if it says nothing in our form."""
    try:
        return Told.model_validate_json(body).message
    except ValidationError:
        return None


def untold(body: bytes) -> Exception | None:
    """The error of which an answer tells; None if it tells of none that the contract names."""
    try:
        answer = Told.model_validate_json(body)
    except ValidationError:
        return None
    for failure in FAILURES:
        if failure.kind == answer.kind:
            return failure.error(answer.message) if answer.message else failure.error()
    return None
