"""What a study plans to do with a job, for the job to look at before the study is made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

EXACT = ConfigDict(extra="forbid", strict=True, frozen=True)


class Range(BaseModel):
    """The ends of a range that is searched."""

    model_config = EXACT

    low: int | float
    high: int | float


class Plan(BaseModel):
    """The tables of a spec that concern its job."""

    model_config = EXACT

    table: str
    """The table that has the searched fields, search.grid or search.space."""
    searched: dict[str, list[Any] | Range]
    """The values or the range of each searched field."""
    conditions: dict[str, dict[str, list[Any]]] = Field(default_factory=dict)
    """For fields that only some trials have: the values that other fields must have."""
    training: dict[str, Any] = Field(default_factory=dict)
    """The fixed fields that the spec gives."""
    data: dict[str, Any] = Field(default_factory=dict)

    def key(self, name: str) -> str:
        """Where a hyperparameter stands in the spec."""
        return f"{self.table}.{name}" if name in self.searched else f"training.{name}"

    def values(self, name: str, fixed: Any) -> list[Any]:
        """All values that a hyperparameter takes, of a range its ends; `fixed` if it is not searched."""
        match self.searched.get(name):
            case None:
                return [fixed]
            case Range(low=low, high=high):
                return [low, high]
            case values:
                return values


class Remark(BaseModel):
    """Something about a plan: a mistake, or a setting without effect."""

    model_config = EXACT

    key: str
    text: str
    """What is wrong and what to write instead, or why the setting has no effect."""
    is_mistake: bool = False


def mistakes_in(model: type[BaseModel], table: str, given: dict[str, Any]) -> Iterator[Remark]:
    """The mistakes in a table that only the job's own class can see: those of its validators."""
    try:
        model.model_validate(given)
    except ValidationError as error:
        for one in error.errors():
            if one["type"] == "missing":  # it may be searched
                continue
            problem = one.get("ctx", {}).get("error")
            text = str(problem) if one["type"] == "value_error" else one["msg"]
            yield Remark(key=".".join([table, *map(str, one["loc"])]), text=text, is_mistake=True)
