"""A hyperparameter of a command, as the table [job] has it."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ValidationError, model_validator

from mnist_tune.jobs.fields import TYPES, JobField
from mnist_tune.jobs.hyperparameters import STRICT

JSON_NAMES = {kind.__name__: name for name, kind in TYPES.items()}
"""The names of types in a JSON schema, by Python's names."""


class CommandHyperparameter(BaseModel):
    """One hyperparameter of a command: its type, its range and its default."""

    model_config = STRICT

    type: Literal["float", "int", "bool", "str"]
    default: int | float | bool | str | None = None
    low: int | float | None = None
    """The lowest value."""
    high: int | float | None = None
    choices: list[int | float | bool | str] | None = None
    """All values, if there are only some."""

    @model_validator(mode="after")
    def _default_is_possible(self) -> Self:
        bounds = [bound for bound in (self.low, self.high) if bound is not None]
        if self.choices is not None and (not self.choices or bounds):
            raise ValueError("choices should be a list of values, without low and high")
        if bounds and self.type not in ("int", "float"):
            raise ValueError(f"low and high are for numbers, not for type = '{self.type}'")
        if self.type == "int" and any(bound != int(bound) for bound in bounds):
            raise ValueError("low and high of an int should be whole numbers")
        if bounds != sorted(bounds):
            raise ValueError(f"low = {self.low} is above high = {self.high}")
        self._check_choices()
        if self.default is None:
            return self
        try:
            JobField("default", self.schema_, is_required=False).check(self.default)
        except ValidationError as error:
            raise ValueError(f"default = {self.default!r}: {error.errors()[0]['msg']}") from None
        return self

    def _check_choices(self) -> None:
        of_type = JobField("choices", {"type": JSON_NAMES[self.type]}, is_required=False)
        for choice in self.choices or ():
            try:
                of_type.check(choice)
            except ValidationError:
                raise ValueError(f"choices: {choice!r} is no {self.type}") from None

    @property
    def schema_(self) -> dict[str, Any]:
        """The hyperparameter as JSON schema."""
        known = {
            "type": JSON_NAMES[self.type],
            "default": self.default,
            "minimum": self.low,
            "maximum": self.high,
            "enum": self.choices,
        }
        return {name: value for name, value in known.items() if value is not None}
