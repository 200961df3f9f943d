"""The base of a job's hyperparameters: typed fields, each with its default and its range."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

STRICT = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
"""Unknown keys, values of another type, inf and nan are errors, never guesses."""
MOST = 2**31 - 1
"""The largest count: every database and library can hold it."""
Count = Annotated[int, Field(ge=0, le=MOST)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]


class Hyperparameters(BaseModel):
    """The fields of a job. Each default and each range is written here and nowhere else."""

    model_config = STRICT
