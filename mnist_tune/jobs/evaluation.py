"""What a job's `evaluate` says of a model on test data, as plain values that need no torch."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator

from mnist_tune.jobs.description import MOST_METRICS, WORD
from mnist_tune.jobs.fields import Described
from mnist_tune.jobs.hyperparameters import MOST, STRICT
from mnist_tune.jobs.metric import MetricName, fits_a_line, plain_number, words

MOST_CLASSES = 200


@dataclass(frozen=True)
class SavedModel:
    """A model to measure: where it lies, and what to measure it with."""

    path: Path
    """The folder with the files that the job has saved. One that is called config.toml, metrics.json or
    evaluation.json is job-config.toml there, and so on."""
    device: str
    """The device to compute on, such as `cpu` or `cuda:0`."""
    data: Any = None
    """The options of the table [data], if the job has any."""
    data_directory: Path | None = None
    """The folder that `--data-dir` names; None if nothing was named."""


def _as_number(value: Any, info: ValidationInfo) -> Any:
    return math.nan if value is None and info.mode == "json" else plain_number(value)  # JSON has no nan


def _as_list(matrix: Any) -> Any:
    return matrix.tolist() if hasattr(matrix, "tolist") else matrix


Name = Annotated[str, Field(min_length=1, max_length=60), AfterValidator(fits_a_line)]
Number = Annotated[float, Field(allow_inf_nan=True), BeforeValidator(_as_number)]
Count = Annotated[int, Field(ge=0, le=MOST), BeforeValidator(_as_number)]


class GreyImage(Described):
    """A small picture: its pixels, row by row, a byte each from 0 (black) to 255 (white)."""

    model_config = STRICT | ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    width: Annotated[int, Field(ge=1, le=256)]
    pixels: Annotated[bytes, Field(min_length=1, max_length=256 * 256)]

    @model_validator(mode="after")
    def _has_whole_rows(self) -> Self:
        if len(self.pixels) % self.width:
            raise ValueError(f"{len(self.pixels)} pixels are not whole rows of {self.width}")
        return self


class Mistake(Described):
    """A case whose class was predicted wrongly."""

    index: Count
    """Its place among the test data, from 0."""
    label: Count
    """The number of its class, from 0."""
    predicted: Count
    confidence: Number
    """In percent; nan for a model whose answers are no numbers."""
    image: GreyImage | None = None


class Classes(Described):
    """How well a model tells classes apart."""

    names: Annotated[Sequence[Name], Field(min_length=2, max_length=MOST_CLASSES)]
    one: Annotated[str, Field(pattern=WORD)] = "class"
    many: Annotated[str, Field(pattern=WORD)] = "classes"
    """What to call one of them, and all."""
    confusion_matrix: Annotated[Sequence[Sequence[Count]], BeforeValidator(_as_list)]
    """`confusion_matrix[true][predicted]` counts cases."""

    @model_validator(mode="after")
    def _is_square(self) -> Self:
        n = len(self.names)
        if len(set(self.names)) < n:
            raise ValueError("two classes have the same name")
        if [*map(len, self.confusion_matrix)] != [n] * n:
            raise ValueError(f"the confusion matrix should have {n} rows of {n} counts, one for each class")
        return self

    @property
    def accuracies(self) -> tuple[float, ...]:
        """The share of each class that was told rightly, in percent; nan for a class without cases."""
        rows = enumerate(self.confusion_matrix)
        return tuple(100 * row[number] / sum(row) if sum(row) else math.nan for number, row in rows)

    def label(self, number: int) -> str:
        """A class with its number, where there is room for its name."""
        name = self.names[number]
        return name if name == str(number) else f"{number} {name}"


class Evaluation(Described):
    """The results of a model on test data. A job's `evaluate` may also return the metrics alone."""

    metrics: Annotated[dict[MetricName, Number], Field(min_length=1, max_length=MOST_METRICS)]
    """By name, such as `error` for what is `validation_error` in training. The first one counts."""
    n_cases: Annotated[int, Field(ge=1, le=MOST)] | None = None
    """How many cases were measured. It gives the first metric its interval, if the objective is a percentage
    of cases as well (`Binomial`)."""
    cases: Annotated[str, Field(pattern=WORD)] = "cases"
    """What is counted, in the plural."""
    dataset: Name | None = None
    """The data's name, for a job whose [data] chooses them by a field `dataset`: the same as there."""
    classes: Classes | None = None
    mistakes: Sequence[Mistake] = ()
    """The cases whose class was predicted wrongly; those with an image are shown in reports."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        n = len(self.classes.names) if self.classes else 0
        if any(max(one.label, one.predicted) >= n for one in self.mistakes):
            raise ValueError(f"a mistake is of a class that is not among the {n} classes")
        return self

    @property
    def first(self) -> tuple[str, float]:
        """The metric that counts, and its value."""
        return next(iter(self.metrics.items()))

    @property
    def problems(self) -> list[str]:
        """Reasons why the results are worthless; empty if there are none."""
        found = ((words(name), value) for name, value in self.metrics.items())
        return [f"the {name} is {value}" for name, value in found if not math.isfinite(value)]

    def without_pictures(self, most_bytes: int) -> Evaluation:
        """The results without the single mistakes, and without the classes if they would take more bytes."""
        bare = self.model_copy(update={"mistakes": ()})
        if len(bare.model_dump_json(exclude_none=True)) <= most_bytes:
            return bare
        return bare.model_copy(update={"classes": None})

    def stored(self) -> dict[str, Any]:
        """The results as they are stored: plain data that JSON can hold."""
        return json.loads(self.model_dump_json(exclude_none=True))  # type: ignore[no-any-return]

    def as_json(self) -> dict[str, Any]:
        """The results as plain data, without pictures."""
        plain = self.model_dump(exclude_none=True, exclude={"mistakes": {"__all__": {"image"}}})
        if self.classes is not None:
            plain["classes"]["accuracies"] = self.classes.accuracies
        return plain | {"problems": self.problems}
