"""A job's fields, read from their JSON schema: they check values as the job's own class does."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model
from pydantic.fields import FieldInfo

from mnist_tune.jobs.hyperparameters import STRICT
from mnist_tune.text.visible import visible

MOST_FIELDS = 200
LIMITS = {
    "minimum": "ge",
    "exclusiveMinimum": "gt",
    "maximum": "le",
    "exclusiveMaximum": "lt",
    "multipleOf": "multiple_of",
    "minLength": "min_length",
    "maxLength": "max_length",
    "pattern": "pattern",
}
"""JSON schema's keywords for limits, with pydantic's names."""
TYPES: dict[str, type] = {"integer": int, "number": float, "boolean": bool, "string": str}
KINDS = int | float | bool | str
EXACT = ConfigDict(strict=True, allow_inf_nan=False)


class _Property(BaseModel):
    """The part of a property's JSON schema that is understood; a property with more is checked by its job."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    type: str | None = None
    enum: list[KINDS] | None = None
    const: KINDS | None = None
    ref: str | None = Field(None, alias="$ref")
    anyOf: list[Any] | None = None  # noqa: N815 - JSON schema's name
    default: Any = None
    minimum: float | None = None
    exclusiveMinimum: float | None = None  # noqa: N815
    maximum: float | None = None
    exclusiveMaximum: float | None = None  # noqa: N815
    multipleOf: float | None = None  # noqa: N815
    minLength: int | None = None  # noqa: N815
    maxLength: int | None = None  # noqa: N815
    pattern: str | None = None
    added_later: bool = False
    """See `hyperparameters.ADDED_LATER`."""


class Described(BaseModel):
    """The base of what is described: strict, and the same whenever it is written as JSON."""

    model_config = STRICT


def first_mistake(error: ValidationError) -> str:
    """The first of pydantic's complaints on one line, with the place of what is wrong."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    return visible((f"{where}: " if where else "") + first["msg"].removeprefix("Value error, "))


class JobField:
    """One field: what it takes, and its default."""

    def __init__(self, name: str, schema: Mapping[str, Any], *, is_required: bool) -> None:
        self.name = name
        self.is_required = is_required
        """Whether the job has no default for it."""
        known = _Property.model_validate(schema)
        self.choices = known.enum if known.const is None else [known.const]
        simple = TYPES.get(known.type or "") if known.anyOf is None and known.ref is None else None
        self.is_searchable = self.choices is not None or simple is not None
        self.is_integer = self.choices is None and simple is int
        self.is_number = self.choices is None and simple in (int, float)
        self.is_text = self.choices is None and simple is str
        self.type_name = None if simple is None else simple.__name__
        """Python's name of the type; None for a type that the job alone checks."""
        self.default = known.default
        self.added_later = known.added_later
        limits = {ours: getattr(known, theirs) for theirs, ours in LIMITS.items()}
        limits = {name: limit for name, limit in limits.items() if limit is not None}
        if simple is int:
            limits = {name: int(limit) for name, limit in limits.items()}
        self.limits: dict[str, Any] = limits
        """The limits by pydantic's names."""
        kind: Any = Any
        if self.choices is not None:
            kind = Literal[tuple(self.choices)]
        elif simple is not None:
            kind = Annotated[simple, Field(**limits)]
        self.annotation = kind
        self._checks: TypeAdapter[Any] = TypeAdapter(kind, config=EXACT)

    def check(self, value: Any) -> Any:
        """The value in the field's type, such as 1.0 for 1. Raises pydantic's ValidationError."""
        return self._checks.validate_python(value)


class Fields(Mapping[str, JobField]):
    """The fields of a table by name, in the order in which the job has them."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        """Raises ValueError if the schema is not one of an object with named fields."""
        properties = schema.get("properties", {})
        required = schema.get("required", [])
        if not isinstance(properties, dict) or not isinstance(required, list):
            raise ValueError("is no JSON schema of a table")  # noqa: TRY004 - pydantic takes a ValueError
        if len(properties) > MOST_FIELDS:
            raise ValueError(f"has {len(properties):,} fields, more than {MOST_FIELDS}")
        shared = schema.get("$defs", {})
        self._fields = {}
        for name, one in properties.items():
            if not name.isidentifier() or name.startswith("_") or not isinstance(one, dict):
                raise ValueError(f"the field {name!r} has no name that a field can have")
            resolved = _resolved(one, shared)
            self._fields[name] = JobField(name, resolved, is_required=name in required)

    def __getitem__(self, name: str) -> JobField:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __hash__(self) -> int:
        return id(self)

    def __len__(self) -> int:
        return len(self._fields)

    @functools.cache  # noqa: B019 - `fields_of` keeps a few of these objects for ever
    def model(self, title: str) -> type[BaseModel]:
        """A pydantic model with these fields; fields without a default are None until they are given."""
        members: dict[str, tuple[Any, FieldInfo]] = {
            name: (field.annotation, Field(field.default, exclude_if=_leaves_out(field)))
            for name, field in self._fields.items()
        }
        made: type[BaseModel] = create_model(title, __base__=Described, **members)  # type: ignore[call-overload]
        return made


def _leaves_out(field: JobField) -> Callable[[Any], bool] | None:
    """Which values of a field are not written, so that it is as if there were no such field."""
    return (lambda value: value == field.default) if field.added_later else None


def fields_of(schema: Mapping[str, Any]) -> Fields:
    """The fields in a JSON schema, the same object for equal schemas. Raises ValueError."""
    return _fields_in(json.dumps(schema))


@functools.lru_cache(64)
def _fields_in(schema: str) -> Fields:
    return Fields(json.loads(schema))


def _resolved(schema: dict[str, Any], shared: Any) -> dict[str, Any]:
    """The schema of a field whose type is defined apart, as an enumeration is."""
    reference = schema.get("$ref")
    if not isinstance(reference, str) or not isinstance(shared, dict):
        return schema
    found = shared.get(reference.removeprefix("#/$defs/"))
    if not isinstance(found, dict):
        return schema
    rest = {key: value for key, value in schema.items() if key != "$ref"}
    return {**found, **rest}
