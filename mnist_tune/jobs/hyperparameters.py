"""The base of a job's hyperparameters: typed fields, each with its default and its range."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

STRICT = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
"""Unknown keys, values of another type, inf and nan are errors, never guesses."""
MOST = 2**31 - 1
"""The largest count: every database and library can hold it."""
Count = Annotated[int, Field(ge=0, le=MOST)]
Epochs = Annotated[int, Field(ge=1, le=MOST)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
ADDED_LATER = {"added_later": True}
"""The `json_schema_extra` of a field that came after studies had been stored.

Its default stands for what was done before there was the field, and is never written out: a study that does
not name the field, or gives it this value, is stored as it was before.
"""


class DataOptions(BaseModel):
    """The fields of a job's table [data]. Each default and each range is written here and nowhere else."""

    model_config = STRICT


class Hyperparameters(BaseModel):
    """The fields of a job's table [training], any of which a study may search.

    A subclass adds fields, each with its type, its range and its default:

        class Settings(Hyperparameters):
            learning_rate: Annotated[float, Field(gt=0)] = 1e-3
            optimizer: Literal["Adam", "SGD"] = "Adam"

    Fields of the types int, float, bool, str and Literal can be searched. Values of a wrong type, unknown
    fields, inf and nan are errors.
    """

    model_config = STRICT

    epochs: Epochs = 10
    seed: Seed = 0
