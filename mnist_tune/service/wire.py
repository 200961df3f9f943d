"""Turns the arguments and answers of the calls into JSON and back, exactly: also nan and infinities."""

from __future__ import annotations

import functools
from typing import Any, NewType

from pydantic import ConfigDict, TypeAdapter

EXACT = ConfigDict(ser_json_inf_nan="constants")
"""NaN and Infinity are written as such, so that they are numbers again even where any value may stand."""


@functools.cache
def wire_adapter(kind: Any) -> TypeAdapter[Any]:
    """What writes values of this type as JSON and reads them again. It is made at its first use."""
    # pydantic takes no configuration for a dataclass itself, but it does for another name of one.
    another_name = NewType("another_name", kind)  # type: ignore[valid-newtype]
    return TypeAdapter(another_name, config=EXACT)
