"""A study's specification: TOML to a typed, checked spec. Knows no storage and no Optuna."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from pydantic import SerializeAsAny, field_validator, model_validator

from mnist_tune.jobs.mnist.hyperparameters import DataConfig, TrainingConfig
from mnist_tune.spec.documents import KeyedError, Section, load, validate
from mnist_tune.spec.pruner_options import Hyperband, Pruner, as_pruner
from mnist_tune.spec.search_space import Search
from mnist_tune.spec.sections import LeaseSettings, Limits, Retry, Study
from mnist_tune.text.wording import counted

SETTINGS = ("lease", "retry", "limits")
"""The tables that do not affect results: they may be changed while a study runs."""
OF_SGD = ("momentum", "nesterov")
"""Fields that Adam does not use."""


class Spec(Section):
    """A whole study, as its TOML file describes it."""

    study: Study
    search: Search
    pruner: SerializeAsAny[Pruner] | None = None
    training: TrainingConfig = TrainingConfig()
    data: DataConfig = DataConfig()
    lease: LeaseSettings = LeaseSettings()
    retry: Retry = Retry()
    limits: Limits = Limits()

    @field_validator("pruner", mode="before")
    @classmethod
    def _is_the_pruner_it_names(cls, pruner: Any) -> Any:
        return as_pruner(pruner)

    @model_validator(mode="after")
    def _axes_are_not_also_fixed(self) -> Self:
        for name in self.search.axes:
            if name in self.training.model_fields_set:
                table = "grid" if self.search.grid else "space"
                raise KeyedError(
                    f"training.{name}", f"is also searched in [search.{table}]; remove one of the two"
                )
        return self

    @model_validator(mode="after")
    def _adam_has_no_field_of_sgd(self) -> Self:
        if "optimizer" in self.search.axes or self.training.optimizer == "SGD":
            return self
        table = "grid" if self.search.grid else "space"
        # A stored spec has its defaults written out, so only values that are not 0 count.
        fixed = [f"training.{name}" for name in OF_SGD if getattr(self.training, name)]
        searched = [f"search.{table}.{name}" for name in OF_SGD if name in self.search.axes]
        for key in fixed + searched:
            raise KeyedError(
                key, 'is a field of SGD and the optimizer is Adam; remove it, or write optimizer = "SGD"'
            )
        return self

    @model_validator(mode="after")
    def _brackets_fit_into_a_trial(self) -> Self:
        if isinstance(self.pruner, Hyperband) and self.pruner.min_resource > self.most_epochs:
            raise KeyedError(
                "pruner.min_resource",
                f"is {self.pruner.min_resource}, but a trial has {counted(self.most_epochs, 'epoch')}; "
                "make it smaller",
            )
        return self

    @property
    def most_epochs(self) -> int:
        """How many epochs a complete trial has, or at most has if epochs are searched."""
        axis = self.search.axes.get("epochs", [self.training.epochs])
        return int(max(axis) if isinstance(axis, list) else axis.high)

    @property
    def n_cells(self) -> int:
        """How many cells the study has; each must end exactly once."""
        if self.search.grid is not None:
            return math.prod(len(values) for values in self.search.grid.values())
        assert self.search.n_trials is not None
        return self.search.n_trials

    def named(self, name: str | None) -> Spec:
        """This spec under another study name; None keeps its name."""
        if name is None:
            return self
        study = validate(Study, {"name": name}, "--name")
        return self.model_copy(update={"study": study})

    def document(self) -> dict[str, Any]:
        """This spec with its defaults written out, as plain data that reads back as the same spec."""
        # A searched field has no value of its own in [training].
        exclude = {"training": set(self.search.axes)}
        if self.search.grid is not None:
            exclude["search"] = {"seed"}  # a grid has no seed
        return self.model_dump(mode="json", exclude=exclude, exclude_none=True)

    def training_config(self, parameters: dict[str, Any]) -> TrainingConfig:
        """The training configuration of the cell with these parameters."""
        return TrainingConfig(**(self.training.model_dump() | parameters))


def load_spec(path: Path) -> Spec:
    """Read a study's TOML file.

    Raises:
        UserError: one line that names the file, the key and the remedy.
    """
    return load(path, Spec)


def changed_settings(spec: Spec) -> str:
    """The fields of [lease], [retry] and [limits] that differ from their default; empty if none do."""
    return ", ".join(
        f"{table}.{key}={value:g}"
        for table in SETTINGS
        for key, value in getattr(spec, table).model_dump().items()
        if value != type(getattr(spec, table)).model_fields[key].default
    )


def differences(stored: Spec, given: Spec, *, in_settings: bool = False) -> list[str]:
    """What differs between two specs, one phrase for each key: in settings, or in what affects results."""
    ours, theirs = (dict(_leaves(spec.document())) for spec in (given, stored))
    return [
        f"{key} is {_shown(theirs.get(key))} there and {_shown(ours.get(key))} here"
        for key in dict.fromkeys([*theirs, *ours])
        if theirs.get(key) != ours.get(key) and in_settings == (key.partition(".")[0] in SETTINGS)
    ]


def _leaves(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _shown(value: Any) -> str:
    return "absent" if value is None else str(value)
