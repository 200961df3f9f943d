"""What a job is, as plain data: all that a study, a reader and a report know of it without its code."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from mnist_tune.jobs.fields import KINDS, Described, Fields, fields_of
from mnist_tune.jobs.metric import MOST_OF_A_TITLE, SECONDS, Metric, MetricName, words
from mnist_tune.text.speeds import speed

Direction = Literal["minimize", "maximize"]
ObjectiveEpoch = Literal["last", "best"]
WORD = r"^[a-z][a-z0-9_]{0,29}$"
MOST_METRICS = 50


def as_more_epochs(said: bool | Mapping[str, Iterable[KINDS]]) -> dict[str, list[KINDS]] | None:
    """What an author has said of more epochs, as it is described."""
    if isinstance(said, bool):
        return {} if said else None
    return {name: list(values) for name, values in said.items()}


class Binomial(Described):
    """The noise of a percentage of `of` cases: their number, or the field of [data] that has it."""

    kind: Literal["binomial"] = "binomial"
    of: str | Annotated[int, Field(ge=1)]
    cases: Annotated[str, Field(pattern=WORD)] = "cases"
    """What is counted, in the plural."""


class Normal(Described):
    """The noise of an objective whose one measurement has this standard deviation, from whatever cause."""

    kind: Literal["normal"] = "normal"
    deviation: Annotated[float, Field(gt=0)]


Noise = Annotated[Binomial | Normal, Field(discriminator="kind")]


class Reference(Described):
    """A result that is known from elsewhere, to stand beside a study's winner in its report."""

    metric: MetricName
    """The name of the metric among those of the job's `evaluate`."""
    value: float
    """Of one run."""
    training: dict[str, int | float | str | bool]
    """The hyperparameters with which it was reached; all others have their defaults or are not known."""
    data: dict[str, int | float | str | bool] = Field(default_factory=dict)
    """The fields of [data] for which it holds."""
    words: Annotated[str, Field(max_length=300)]
    """How it was reached, as a sentence."""


class Source(Described):
    """The code of a job: whoever compares two of these learns whether two trials ran the same code."""

    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    """The hash of the file that defines the job; files that it imports are not part of it."""
    distribution: Annotated[str, Field(max_length=200)] | None = None
    """The installed distribution that brings the job, and its version."""
    git_commit: Annotated[str, Field(pattern="^[0-9a-f]{7,64}$")] | None = None
    is_modified: bool | None = None
    """Whether files differ from that commit; None without git."""


class JobDescription(Described):
    """A job without its code. It is made in a process of its own, and is stored with each study."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    objective: MetricName
    direction: Direction
    objective_epoch: ObjectiveEpoch = "last"
    """Whether the objective's value after the last epoch counts, or the best of all epochs."""
    test_metric: MetricName | None = None
    """The metric of the job's `evaluate` that is the objective of a confirmation: no epoch has it, and it is
    measured once, after the last. None in a search."""
    metrics: dict[MetricName, Metric] = Field(default_factory=dict, max_length=MOST_METRICS)
    """The metrics that were declared, in the order in which people see them; others may be reported."""
    only_declared: bool = False
    """Whether a job that reports a metric that was not declared is wrong."""
    unit: Annotated[str, Field(pattern=WORD)] | None = None
    """What an epoch goes through, in the plural, such as `rows`; None if the job does not count it."""
    hyperparameters: dict[str, Any]
    """The JSON schema of the table [training]."""
    data_options: dict[str, Any] = Field(default_factory=dict)
    """The JSON schema of the table [data]; empty if the job has none."""
    noise: Noise | None = None
    evaluates: bool = False
    """Whether the job can measure a model on test data."""
    holds_back: bool = False
    """Whether the job can also train on the data that it holds back for validation."""
    reference: Reference | None = None
    more_epochs: dict[str, list[KINDS]] | None = None
    """Whether a trial of few epochs is the beginning of one of more, so that it may be given more.

    None: it is not. Otherwise it is, except with these values of hyperparameters, such as a schedule's that
    runs over all epochs.
    """
    source: Source = Source()

    @field_validator("hyperparameters", "data_options")
    @classmethod
    def _can_be_read(cls, schema: dict[str, Any]) -> dict[str, Any]:
        fields_of(schema)
        return schema

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        missing = [name for name in ("epochs", "seed") if name not in self.fields]
        if missing:
            raise ValueError(f"its hyperparameters have no {missing[0]}; derive them from Hyperparameters")
        if isinstance(self.noise, Binomial) and isinstance(self.noise.of, str):
            field = self.options.get(self.noise.of)
            if field is None or not field.is_integer:
                raise ValueError(f"its noise is of '{self.noise.of}', which is no whole number in [data]")
        return self

    @functools.cached_property
    def fields(self) -> Fields:
        """The fields of [training], as they are described."""
        return fields_of(self.hyperparameters)

    @functools.cached_property
    def options(self) -> Fields:
        """The fields of [data]."""
        return fields_of(self.data_options)

    @property
    def field_that_is_missing(self) -> str | None:
        """A field that is named and that is not there, and by what; None if there is none."""
        for name in self.more_epochs or ():
            if name not in self.fields:
                return f"more_epochs names '{name}', which is no field of [training]"
        if self.reference is None:
            return None
        for table, fields in (("training", self.fields), ("data", self.options)):
            for name in getattr(self.reference, table):
                if name not in fields:
                    return f"reference names '{name}', which is no field of [{table}]"
        return None

    def measured_by(self, metric: str | None) -> JobDescription:
        """The job as a confirmation runs it, whose objective is this metric on test data.

        None is the one that is called as the objective is, without `validation_`.

        Raises:
            ValueError: the objective cannot be called so.
        """
        name = metric or self.objective.removeprefix("validation_")
        alike = self.metric(self.on_test_data(name))
        title = f"test {alike.title or words(name)}"
        of_test = alike.model_copy(update={"title": title if len(title) <= MOST_OF_A_TITLE else ""})
        others = {known: self.metrics[known] for known in self.metrics if known != self.objective}
        changes = {
            "objective": f"test_{name}",
            "objective_epoch": "last",
            "test_metric": name,
            "metrics": {**others, f"test_{name}": of_test},
            "noise": None,  # it is that of validation data
            "reference": None,
        }
        return JobDescription.model_validate(self.model_dump() | changes)

    def stored(self) -> dict[str, Any]:
        """The description as it is stored with a study."""
        return self.model_dump(mode="json", exclude_none=True)

    @property
    def sign(self) -> int:
        """1 if larger values of the objective are better, else -1."""
        return 1 if self.direction == "maximize" else -1

    @property
    def rate(self) -> str | None:
        """The name of the number that says how fast an epoch was, such as `rows_per_second`."""
        return None if self.unit is None else f"{self.unit}_per_second"

    @property
    def speed_unit(self) -> str:
        """The unit of a speed, such as `rows/s`; empty if the job does not count what it goes through."""
        return "" if self.unit is None else f"{self.unit}/s"

    def speed(self, value: float | None) -> str:
        """A speed as people read it, with its unit; empty for None."""
        return "" if value is None else f"{speed(value)} {self.speed_unit}"

    def shown(self, reported: Iterable[str] = ()) -> list[str]:
        """The names of the metrics in the order in which people see them; the objective comes last.

        Declared ones come first, then others that were reported.
        """
        names = dict.fromkeys([*self.metrics, *reported])
        return [
            *(name for name in names if name not in (self.objective, self.rate, SECONDS)),
            self.objective,
        ]

    def metric(self, name: str) -> Metric:
        """How a metric is read; one that was not declared has no unit and no limits."""
        return self.metrics.get(name, Metric())

    def on_test_data(self, name: str) -> str:
        """The metric in training that is as one on test data: error as validation_error, if there is one."""
        alike = f"validation_{name}"
        return alike if name not in self.metrics and alike in (self.objective, *self.metrics) else name

    @property
    def of_objective(self) -> Metric:
        """How the objective is read."""
        return self.metric(self.objective)

    @property
    def short_name(self) -> str:
        """What to call the objective where there is little room."""
        return self.of_objective.title or words(self.objective)

    def text(self, value: float | None) -> str:
        """A value of the objective as people read it; empty for None."""
        return self.of_objective.text(value)

    def best(self, values: list[float]) -> float:
        """The best of some values of the objective."""
        return max(values) if self.sign > 0 else min(values)

    def counted_value(self, values: list[float]) -> float:
        """The value with which a trial ends, from the objective's values after its epochs, at least one."""
        return values[-1] if self.objective_epoch == "last" else self.best(values)
