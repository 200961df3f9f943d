"""What may be stored of an attempt, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict  # pydantic reads no other before Python 3.12

Number = Annotated[int, Field(ge=0, lt=2**31)]


class Notes(TypedDict, total=False):
    """User and system attributes by name, intermediate values by step, the metrics of epochs by number."""

    user: Mapping[str, Any]
    system: Mapping[str, Any]
    reports: Mapping[Number, float]
    epochs: Mapping[Number, Mapping[str, float | None]]
