"""Conditions in [search.space]: a field is searched only where other fields have certain values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from mnist_tune.spec.documents import KeyedError, did_you_mean, short_value

SEED = "seed"
"""The field whose values make replicates of a configuration."""
Value = bool | int | float | str
Condition = dict[str, list[Value]]
"""Allowed values by the field that must have one of them; all fields must."""


def as_condition(when: Any) -> Any:
    """Read `when` as it is written, {optimizer = "SGD"}, and make a list of each single value."""
    if not isinstance(when, dict):
        return when
    if not when:
        raise ValueError('names no field; write e.g. when = {optimizer = "SGD"}, or remove it')
    condition = {field: value if isinstance(value, list) else [value] for field, value in when.items()}
    for field, values in condition.items():
        for value in values:
            if not isinstance(value, Value):
                raise KeyedError(field, f"should be a value or a list of values, not {short_value(value)}")
    return condition


def check_conditions(conditions: Mapping[str, Condition], choices: Mapping[str, list[Value] | None]) -> None:
    """Check that each condition can hold; `choices` has each searched field's values, None for a range.

    Raises:
        KeyedError: which condition cannot hold, why, and what to write instead.
    """
    for name, condition in conditions.items():
        for field, values in condition.items():
            key = f"{name}.when.{field}"
            if field == SEED:  # the replicates of a configuration would differ in more than the seed
                raise KeyedError(key, "a seed only repeats a configuration: no field can depend on it")
            if field not in choices:
                raise KeyedError(key, f"is not searched in [search.space]; {did_you_mean(field, choices)}")
            possible = choices[field]
            if possible is None:
                raise KeyedError(key, f"{field} is a range; a condition needs a field with a list of values")
            for value in values:
                if not any(value == one and type(value) is type(one) for one in possible):
                    raise KeyedError(key, f"{field} is never {value!r}; write one of {possible}")
            if not values:
                raise KeyedError(key, f"has no values; write some of {possible}")
    try:
        in_order(choices, conditions)
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        raise KeyedError(error.args[1][0], f"its conditions go round in a circle: {circle}") from None


def in_order(fields: Mapping[str, Any], conditions: Mapping[str, Condition]) -> list[str]:
    """The fields in an order in which each comes after those that its condition names."""
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for field in fields:
        sorter.add(field, *conditions.get(field, ()))
    return list(sorter.static_order())


def holds(condition: Condition | None, parameters: Mapping[str, Any]) -> bool:
    """Whether a field with this condition is searched in a trial with these parameters."""
    return all(
        field in parameters and parameters[field] in values for field, values in (condition or {}).items()
    )


def wanted(
    fields: Mapping[str, Any], conditions: Mapping[str, Condition], parameters: Mapping[str, Any]
) -> Iterator[str]:
    """The fields that a trial with these parameters has or must still get, in the order of drawing.

    The fields come one by one, and the caller may add each one's value to `parameters` before the next.
    """
    return (field for field in in_order(fields, conditions) if holds(conditions.get(field), parameters))


def is_whole(
    fields: Mapping[str, Any], conditions: Mapping[str, Condition], parameters: Mapping[str, Any]
) -> bool:
    """Whether a trial with these parameters has all of its fields, so that nothing is to be drawn for it."""
    return all(field in parameters for field in wanted(fields, conditions, parameters))
