"""[pruner]: which trials end early, by which of Optuna's rules, with Optuna's names and defaults.

Steps are epochs, counted from 1. A trial is judged after each of its epochs except the last.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from mnist_tune.jobs.hyperparameters import Count
from mnist_tune.spec.documents import KeyedError, Section, describe, did_you_mean, short_value
from mnist_tune.spec.sections import AtLeast1

AtLeast2 = Annotated[Count, Field(ge=2)]


class Pruner(Section):
    """The fields of all pruners; with `patience` a trial may have so many epochs without progress."""

    patience: Count | None = None
    min_delta: Annotated[float, Field(ge=0)] | None = None
    """By how much those epochs must be worse than its best one; None stands for 0."""

    @model_validator(mode="after")
    def _tolerance_is_of_patience(self) -> Self:
        if self.min_delta is not None and self.patience is None:
            raise KeyedError("min_delta", "belongs to patience; write patience = 2 as well, or remove it")
        return self


class AtSomeEpochs(Pruner):
    """The fields of pruners that look at a trial after some of its epochs."""

    n_warmup_steps: Count = 0
    """No trial is ended before it has done so many epochs: with 2, first after its second."""
    interval_steps: AtLeast1 = 1


class AmongComplete(AtSomeEpochs):
    """The fields of pruners that compare a trial with those that are complete, at the same epoch."""

    n_startup_trials: Count = 5
    """No trial is ended before so many trials are complete."""
    n_min_trials: AtLeast1 = 1


class Median(AmongComplete):
    """Ends a trial whose best epoch is worse than the median of the complete trials at the same epoch."""

    name: Literal["median"]


class Percentile(AmongComplete):
    """Ends a trial whose best epoch is not among the best `percentile` percent of the complete trials."""

    name: Literal["percentile"]
    percentile: Annotated[float, Field(ge=0, le=100)] | None = None

    @model_validator(mode="after")
    def _has_a_percentile(self) -> Self:
        if self.percentile is None:
            raise KeyedError("percentile", "missing; write how many percent of the trials go on, e.g. 25.0")
        return self


class Threshold(AtSomeEpochs):
    """Ends a trial when the objective is below `lower` or above `upper`, whatever the other trials do."""

    name: Literal["threshold"]
    lower: float | None = None
    upper: float | None = None

    @model_validator(mode="after")
    def _has_a_threshold(self) -> Self:
        if self.lower is None and self.upper is None:
            raise KeyedError("lower", "missing; write lower or upper, in the unit of the objective")
        if self.lower is not None and self.upper is not None and self.lower > self.upper:
            raise KeyedError("lower", f"must be at most upper ({self.upper:g})")
        return self


class SuccessiveHalving(Pruner):
    """ASHA: the best 1 / `reduction_factor` of the trials at a rung go on at once, without waiting."""

    name: Literal["successive_halving"]
    min_resource: AtLeast1 | None = None
    """Epochs up to the first rung. None is Optuna's "auto": a hundredth of a complete trial, at least 1."""
    reduction_factor: AtLeast2 = 4
    min_early_stopping_rate: Annotated[int, Field(ge=0, le=100)] = 0
    bootstrap_count: Count = 0

    @field_validator("min_resource", mode="before")
    @classmethod
    def _may_be_auto(cls, value: Any) -> Any:
        return None if value == "auto" else value

    @model_validator(mode="after")
    def _bootstrap_knows_its_rungs(self) -> Self:
        if self.bootstrap_count and self.min_resource is None:
            raise KeyedError("bootstrap_count", 'needs a number for min_resource, e.g. 1, instead of "auto"')
        return self


class Hyperband(Pruner):
    """Several ASHA pruners side by side, which begin to end trials at different epochs."""

    name: Literal["hyperband"]
    min_resource: AtLeast1 = 1
    reduction_factor: AtLeast2 = 3
    bootstrap_count: Count = 0


class Patient(Pruner):
    """Ends a trial that has not improved for `patience` epochs, whatever the other trials do."""

    name: Literal["patient"]

    @model_validator(mode="after")
    def _has_patience(self) -> Self:
        if self.patience is None:
            raise KeyedError("patience", "missing; write after how many epochs, e.g. 2")
        return self


PRUNERS: dict[str, type[Pruner]] = {
    "median": Median,
    "successive_halving": SuccessiveHalving,
    "hyperband": Hyperband,
    "patient": Patient,
    "percentile": Percentile,
    "threshold": Threshold,
}
WILCOXON = (
    '"wilcoxon" tests the seeds of a configuration again and again at one level, which then does not hold; '
    "a table [replicates] compares seeds at a level that does"
)


def as_pruner(table: Any) -> Any:
    """A [pruner] table as the pruner that it names.

    Raises:
        KeyedError: the key that is wrong, and the remedy.
    """
    if not isinstance(table, dict):
        return table
    if "name" not in table:
        raise KeyedError("name", f"missing; write one of {', '.join(PRUNERS)}")
    name = table["name"]
    if name == "wilcoxon":  # Optuna's steps are its seeds, and ours are epochs
        raise KeyedError("name", WILCOXON)
    if not isinstance(name, str) or name not in PRUNERS:
        raise KeyedError("name", f"{short_value(name)} is not known; {did_you_mean(str(name), PRUNERS)}")
    model = PRUNERS[name]
    for key in table:
        knowing = [other for other, pruner in PRUNERS.items() if key in pruner.model_fields]
        if knowing and name not in knowing:
            raise KeyedError(key, f'name = "{name}" does not know it, but {" and ".join(knowing)}; remove it')
    try:
        return model.model_validate(table)
    except ValidationError as error:
        key, problem = describe(error.errors()[0], model)
        raise KeyedError(key, problem) from None
