"""A study's specification: TOML to a typed, checked spec. Knows no storage and no Optuna."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, ClassVar, Self

from pydantic import Field, SerializeAsAny, create_model, field_validator, model_validator

from mnist_tune.jobs.command.table import AnyJobTable
from mnist_tune.jobs.description import Binomial, JobDescription
from mnist_tune.jobs.metric import words
from mnist_tune.jobs.plan import Plan, Range
from mnist_tune.jobs.reference import BUILT_IN, JobTable
from mnist_tune.spec.conditions import SEED
from mnist_tune.spec.confirmations import check_confirmation
from mnist_tune.spec.documents import KeyedError, Section, validate
from mnist_tune.spec.pruner_options import Hyperband, Pruner, as_pruner
from mnist_tune.spec.replicates import check_race, with_seeds
from mnist_tune.spec.search_space import Search
from mnist_tune.spec.sections import (
    Confirm,
    LeaseSettings,
    Limits,
    Replicates,
    Retry,
    Stop,
    Study,
    with_keep_last,
)
from mnist_tune.text.wording import counted

SETTINGS = ("lease", "retry", "limits", "stop")
"""The tables that do not affect results: they may be changed while a study runs."""


class Spec(Section):
    """A whole study, as its TOML file describes it. Each job has a class of its own: see `spec_class`."""

    description: ClassVar[JobDescription]
    """What is known of the job."""

    study: Study
    job: AnyJobTable = JobTable(name=BUILT_IN)
    search: Search
    pruner: SerializeAsAny[Pruner] | None = None
    replicates: Replicates | None = None
    confirm: Confirm | None = None
    training: Any
    data: Any
    lease: LeaseSettings = LeaseSettings()
    retry: Retry = Retry()
    limits: Limits = Limits()
    stop: Stop = Stop()

    @model_validator(mode="before")
    @classmethod
    def _says_each_thing_in_its_place(cls, content: Any) -> Any:
        fields = cls.description.fields
        return with_seeds(with_keep_last(content, fields), fields)

    @field_validator("pruner", mode="before")
    @classmethod
    def _is_the_pruner_it_names(cls, pruner: Any) -> Any:
        return as_pruner(pruner)

    @model_validator(mode="after")
    def _axes_are_not_also_fixed(self) -> Self:
        for name in self.search.axes:
            if name in self.training.model_fields_set and name not in self._given_by_race:
                table = "grid" if self.search.grid else "space"
                raise KeyedError(
                    f"training.{name}", f"is also searched in [search.{table}]; remove one of the two"
                )
        return self

    @model_validator(mode="after")
    def _has_what_the_job_needs(self) -> Self:
        for name, field in self.description.fields.items():
            if field.is_required and name not in {*self.search.axes, *self.training.model_fields_set}:
                raise KeyedError(f"training.{name}", "missing: the job has no default for it")
        for name, field in self.description.options.items():
            if field.is_required and name not in self.data.model_fields_set:
                raise KeyedError(f"data.{name}", "missing: the job has no default for it")
        return self

    @model_validator(mode="after")
    def _can_settle(self) -> Self:
        if self.replicates is not None:
            bare = self.stored()
            for key in ("enqueue", "revisions"):
                bare["search"].pop(key, None)
            check_race(self.replicates, self.search, self.training.seed, bare)
        return self

    @model_validator(mode="after")
    def _can_confirm(self) -> Self:
        if self.confirm is not None or self.description.test_metric is not None:
            check_confirmation(self.confirm, self.search, self.description)
            for name in ("pruner", "replicates"):
                if getattr(self, name) is not None:
                    raise KeyedError(name, "a confirmation trains its one configuration whole; remove this")
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

    @model_validator(mode="after")
    def _target_is_possible(self) -> Self:
        metric = self.description.of_objective
        if self.stop.target is not None and not metric.holds(self.stop.target):
            what = words(self.description.objective)
            raise KeyedError(
                "stop.target", f"is {self.stop.target:g}, which no {what} can have; write another"
            )
        return self

    @property
    def most_epochs(self) -> int:
        """How many epochs a complete trial has, or at most has if epochs are searched."""
        axis = self.search.axes.get("epochs", [self.training.epochs])
        return int(max(axis) if isinstance(axis, list) else axis.high)

    @property
    def _given_by_race(self) -> set[str]:
        """The axis that is no author's: [replicates] stands for it, and training.seed is the first seed."""
        return set() if self.replicates is None else {SEED}

    @property
    def n_cells(self) -> int:
        """How many cells the study has; each must end exactly once."""
        return self.search.n_cells

    def named(self, name: str | None) -> Spec:
        """This spec under another study name; None keeps its name."""
        if name is None:
            return self
        study = validate(Study, {"name": name}, "--name")
        return self.model_copy(update={"study": study})

    def document(self) -> dict[str, Any]:
        """This spec with its defaults written out, as plain data that reads back as the same spec."""
        # A searched field has no value of its own in [training], and revisions are no author's.
        of_search: dict[str, Any] = {
            "revisions": True,
            "grid": self._given_by_race,
            "space": self._given_by_race,
        }
        exclude: dict[str, Any] = {
            "training": set(self.search.axes) - self._given_by_race,
            "job": True,
            "search": of_search,
        }
        if self.search.grid is not None:
            of_search["seed"] = True  # a grid has no seed
        if not self.description.options:
            exclude["data"] = True
        if not self.stop.conditions:
            exclude["stop"] = True
        tables = self.model_dump(mode="json", exclude=exclude, exclude_none=True)
        if self.job.name == BUILT_IN:
            return tables
        return {"study": tables.pop("study"), "job": self.job.document(), **tables}

    def stored(self) -> dict[str, Any]:
        """This spec as it is stored: with the job's description, so that no reader needs the job's code."""
        return self.grown_document() | {
            "job": self.job.document() | {"description": self.description.stored()}
        }

    def grown_document(self) -> dict[str, Any]:
        """This spec's document, and how it has grown: without that nobody knows which cells there are."""
        tables = self.document()
        if self.search.revisions:
            tables["search"]["revisions"] = self.revisions
        return tables

    @property
    def revisions(self) -> list[dict[str, Any]]:
        """How the study has grown since it was made, oldest first, as plain data."""
        return [
            revision.model_dump(mode="json", exclude_defaults=True)
            for revision in self.search.revisions or ()
        ]

    def configuration(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """The hyperparameters of the cell with these parameters, without those that nobody has set."""
        fields = self.training.model_dump() | parameters
        return {name: value for name, value in fields.items() if value is not None}

    def epochs(self, parameters: dict[str, Any]) -> int:
        """How many epochs a cell with these parameters has."""
        return int(parameters.get("epochs", self.training.epochs))

    @property
    def plan(self) -> Plan:
        """The part of this spec that its job may look at."""
        return Plan(
            table="search.space" if self.search.grid is None else "search.grid",
            searched={
                name: list(axis) if isinstance(axis, list) else Range(low=axis.low, high=axis.high)
                for name, axis in self.search.axes.items()
            },
            conditions=self.search.conditions,
            training=self.training.model_dump(include=self.training.model_fields_set),
            data=self.data.model_dump(include=self.data.model_fields_set),
        )

    @property
    def seeds_of_race(self) -> list[int]:
        """The seeds that a configuration starts with in a race; none without [replicates]."""
        if self.replicates is None:
            return []
        n = 1 if self.search.grid is None else self.replicates.start
        return list(range(self.training.seed, self.training.seed + n))

    @property
    def step(self) -> float:
        """The least difference that two values of the objective can have; 0 if there is none."""
        return 100 / self.n_cases if self.n_cases else 0.0

    @property
    def n_cases(self) -> int | None:
        """How many cases the objective is a percentage of; None if it is none, or if that is not known."""
        noise = self.description.noise
        if not isinstance(noise, Binomial):
            return None
        return noise.of if isinstance(noise.of, int) else getattr(self.data, noise.of)


@lru_cache(64)
def _class_of(description: str) -> type[Spec]:
    job = JobDescription.model_validate_json(description)
    training, data = job.fields.model("training"), job.options.model("data")
    search = create_model("Search", __base__=Search)
    search.fields = job.fields
    tables: dict[str, Any] = {
        "search": (search, ...),
        "training": (training, Field(default_factory=training)),
        "data": (data, Field(default_factory=data)),
    }
    made: type[Spec] = create_model("Spec", __base__=Spec, **tables)
    made.description = job
    return made


def spec_class(job: JobDescription) -> type[Spec]:
    """The class of the specs for a job, whose tables [training] and [data] have the job's fields."""
    return _class_of(job.model_dump_json(exclude_none=True))
