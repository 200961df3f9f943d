"""[job] of a command: a program in any language, its hyperparameters, and how its metrics are read."""

from __future__ import annotations

import re
import warnings
from pathlib import PurePath
from typing import Annotated, Any, Self

from pydantic import (
    BeforeValidator,
    Field,
    SerializeAsAny,
    ValidationError,
    field_validator,
    model_validator,
)

from mnist_tune.jobs.command.arguments import ALL_ARGUMENTS, FOLDERS, placeholders
from mnist_tune.jobs.command.hyperparameter import CommandHyperparameter
from mnist_tune.jobs.description import (
    Binomial,
    Direction,
    JobDescription,
    Normal,
    ObjectiveEpoch,
    Source,
    as_more_epochs,
)
from mnist_tune.jobs.fields import KINDS, first_mistake
from mnist_tune.jobs.hyperparameters import Hyperparameters
from mnist_tune.jobs.metric import Metric, MetricName
from mnist_tune.jobs.plan import Plan, Remark
from mnist_tune.jobs.reference import JobTable

READ = (
    "objective",
    "direction",
    "objective_epoch",
    "metrics",
    "only_declared",
    "unit",
    "noise",
    "more_epochs",
)
"""What a table says of how a command's reports are read."""
Argument = Annotated[str, Field(max_length=2_000, pattern=r"^[^\x00]*$")]


class CommandTable(JobTable):
    """[job] of a study whose job is a command."""

    command: Annotated[list[Argument], Field(min_length=1, max_length=500)]
    """The program and its arguments, with {placeholders} for hyperparameters; no shell reads it."""
    objective: MetricName
    direction: Direction
    objective_epoch: ObjectiveEpoch = "last"
    pattern: list[Annotated[str, Field(max_length=500)]] = Field(default_factory=list, max_length=20)
    """Regular expressions for lines of the output; their named groups are metrics. None: JSON reports."""
    unit: str | None = None
    metrics: dict[MetricName, Metric] = Field(default_factory=dict)
    noise: Annotated[Binomial | Normal, Field(discriminator="kind")] | None = None
    more_epochs: bool | dict[str, list[KINDS]] = False
    hyperparameters: dict[str, CommandHyperparameter] = Field(default_factory=dict)

    @field_validator("pattern", mode="before")
    @classmethod
    def _may_be_one(cls, pattern: Any) -> Any:
        return [pattern] if isinstance(pattern, str) else pattern

    @field_validator("metrics", mode="before")
    @classmethod
    def _may_be_names(cls, metrics: Any) -> Any:
        if isinstance(metrics, list) and all(isinstance(name, str) for name in metrics):
            return {name: {} for name in metrics}
        return metrics

    @field_validator("hyperparameters", mode="before")
    @classmethod
    def _may_be_defaults(cls, fields: Any) -> Any:
        if not isinstance(fields, dict):
            return fields
        types = {float: "float", int: "int", bool: "bool", str: "str"}
        return {
            name: {"type": types[type(given)], "default": given} if type(given) in types else given
            for name, given in fields.items()
        }

    def check(self) -> None:
        if self.preload:
            raise ValueError("preload: is for jobs in Python that are functions; remove it")
        if (self.name, self.file) != (None, None):
            raise ValueError("write either command = [...], or name, or file")

    @model_validator(mode="after")
    def _patterns_find_the_objective(self) -> Self:
        found: set[str] = set()
        for pattern in self.pattern:
            try:
                found |= _compiled(pattern).groupindex.keys()
            except (re.error, OverflowError, RecursionError) as error:
                raise ValueError(f"pattern {pattern!r}: is no regular expression: {error}") from None
        if self.pattern and self.objective not in found:
            raise ValueError(f"pattern: has no group (?P<{self.objective}>...) for the objective")
        return self

    @model_validator(mode="after")
    def _placeholders_are_known(self) -> Self:
        known = {*self.hyperparameters, *Hyperparameters.model_fields, *FOLDERS, ALL_ARGUMENTS}
        for name in self.hyperparameters:
            if name in Hyperparameters.model_fields:
                raise ValueError(f"hyperparameters.{name}: comes with every job; set it in [training]")
            if name in (*FOLDERS, ALL_ARGUMENTS):
                raise ValueError(f"hyperparameters.{name}: {{{name}}} has another meaning; rename it")
        for name in placeholders(self.command):
            if name not in known:
                raise ValueError(
                    f"command: {{{name}}} is no hyperparameter; write '{name} = DEFAULT' under "
                    "[job.hyperparameters]"
                )
        return self

    @model_validator(mode="after")
    def _can_be_described(self) -> Self:
        try:
            described = self.describe()
        except ValidationError as error:
            raise ValueError(first_mistake(error)) from None
        if (wrong := described.field_that_is_missing) is not None:
            raise ValueError(wrong)
        return self

    @model_validator(mode="after")
    def _is_what_is_described(self) -> Self:
        """A stored description is what readers go by, and the table what a worker goes by."""
        if self.description is not None:
            ours, stored = (
                each.model_dump(include=set(READ)) for each in (self.describe(), self.description)
            )
            for key in READ:
                if ours[key] != stored[key]:
                    raise ValueError(f"description.{key}: differs from what the table says of the command")
        return self

    @property
    def label(self) -> str:
        return " ".join(self.command)

    @property
    def program(self) -> str:
        """The name of what is run: of the script, if an interpreter runs one."""
        words = [word for word in self.command if not word.startswith("-") and "{" not in word]
        scripts = [word for word in words[1:] if PurePath(word).suffix]
        name = PurePath((scripts or words or self.command)[0]).stem
        return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-_")[:100] or "command"

    def describe(self, source: Source | None = None) -> JobDescription:
        """The job as plain data. Raises pydantic's ValidationError."""
        own = {name: field.schema_ for name, field in self.hyperparameters.items()}
        required = [name for name, field in self.hyperparameters.items() if field.default is None]
        common = Hyperparameters.model_json_schema()["properties"]
        return JobDescription(
            name=self.program,
            objective=self.objective,
            direction=self.direction,
            objective_epoch=self.objective_epoch,
            metrics=self.metrics,
            only_declared=bool(self.metrics),
            unit=self.unit,
            hyperparameters={"properties": {**common, **own}, "required": required},
            noise=self.noise,
            more_epochs=as_more_epochs(self.more_epochs),
            source=source or Source(),
        )

    def remarks(self, plan: Plan) -> list[Remark]:
        """The searched hyperparameters that the command needs in trials without them, or has nowhere."""
        given = set(placeholders(self.command))
        lacking = "stands in the command, and some trials do not have it; give it a default"
        required = {name for name, field in self.hyperparameters.items() if field.default is None}
        if absent := [name for name in plan.conditions if name in given & required]:
            return [Remark(key=plan.key(name), text=lacking, is_mistake=True) for name in absent]
        if not given - {*FOLDERS} or ALL_ARGUMENTS in given:
            return []
        why = "is not in the command, which must read it from $MNIST_TUNE_PARAMETERS"
        return [Remark(key=plan.key(name), text=why) for name in plan.searched if name not in given]

    @property
    def patterns(self) -> list[re.Pattern[str]]:
        """The patterns, compiled."""
        return [_compiled(pattern) for pattern in self.pattern]

    def document(self) -> dict[str, Any]:
        """The table as a user writes it."""
        table = self.model_dump(mode="json", exclude={"description"}, exclude_defaults=True)
        if self.noise is not None:
            table["noise"] = self.noise.model_dump(mode="json")  # its kind, a default, tells which it is
        return table


def _compiled(pattern: str) -> re.Pattern[str]:
    with warnings.catch_warnings(action="ignore"):  # of what may change in another version of Python
        return re.compile(pattern)


def job_table(content: Any) -> type[JobTable]:
    """The class of a table [job]: a command's has more keys."""
    return CommandTable if isinstance(content, dict) and "command" in content else JobTable


def _of_its_class(content: Any) -> Any:
    return job_table(content).model_validate(content)


AnyJobTable = Annotated[SerializeAsAny[JobTable], BeforeValidator(_of_its_class)]
"""[job] of any study; it is checked by its own class beforehand, so that an error names the key."""
