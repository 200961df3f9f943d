"""The plain tables of a study's file, with the range of each field."""

from __future__ import annotations

import operator
from collections.abc import Container
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from mnist_tune.jobs.hyperparameters import MOST, Count
from mnist_tune.jobs.metric import MetricName
from mnist_tune.spec.documents import KeyedError, Section
from mnist_tune.text.at_caller import warn_at_caller
from mnist_tune.text.log_handler import FormerName

AtLeast1 = Annotated[Count, Field(ge=1)]
Budget = Annotated[int, Field(ge=-1, le=MOST)]
MOST_SEEDS = 1_000
Seconds = Annotated[float, Field(le=1e9)]
"""At most 30 years, since clocks and timers have a limit."""


class Study(Section):
    """[study]"""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]


FORMER_NAMES = {"patience": "storage_timeout"}
"""Names of fields in [lease] up to version 0.5, with their new names. Stored specs of that time keep the old
names; in files that people write, version 0.7 rejects them.
"""


def current_name(former: str) -> str:
    """The new name of a renamed field in [lease]; warns the user of it."""
    name = FORMER_NAMES[former]
    warn_at_caller(f"lease.{former} is called lease.{name} now; write that", FormerName)
    return name


class LeaseSettings(Section):
    """[lease]: how long a silent worker keeps its trial, in seconds.

    The defaults let a worker miss five heartbeats in a row (a stalled disk, the first seconds of a suspended
    laptop) before its cell is given to another.
    """

    heartbeat_interval: Annotated[Seconds, Field(ge=0.01)] = 10.0
    grace_period: Annotated[Seconds, Field(gt=0)] = 60.0
    storage_timeout: Annotated[Seconds, Field(gt=0)] = 300.0
    """How long, in seconds, a worker goes on asking a storage that does not answer."""

    @model_validator(mode="before")
    @classmethod
    def _take_former_names(cls, content: Any) -> Any:
        if isinstance(content, dict) and not content.keys() & set(FORMER_NAMES.values()):
            return {current_name(key) if key in FORMER_NAMES else key: content[key] for key in content}
        return content

    @model_validator(mode="after")
    def _grace_outlasts_heartbeats(self) -> Self:
        if self.grace_period < 3 * self.heartbeat_interval - 1e-9:  # 3 * 0.1 is a little more than 0.3
            raise KeyedError(
                "grace_period", f"must be at least 3 heartbeat intervals ({3 * self.heartbeat_interval:g})"
            )
        return self


class Retry(Section):
    """[retry]: how often a cell is tried again after each kind of failure. -1 means without limit."""

    lost: Budget = 3
    preempted: Budget = -1
    exception: Budget = 3
    out_of_memory: Budget = 3
    timeout: Budget = 3
    non_finite: Budget = 0


class Limits(Section):
    """[limits]: what ends an attempt or a worker early, and what is kept. 0 means without limit."""

    timeout: Annotated[Seconds, Field(ge=0)] = 86_400.0
    """The most seconds of wall-clock for one attempt: by default a day, so that no step hangs for ever."""
    failures_in_a_row: Count = 3
    """A worker leaves after so many failed cells in a row, of those that had not failed before."""
    checkpoint_interval: Annotated[Seconds, Field(ge=0)] = 10.0
    """The least seconds between two checkpoints, which are written at the end of an epoch."""
    keep_last: Annotated[bool, Field(exclude_if=operator.not_)] = False
    """Whether a complete trial keeps its last checkpoint, from which more epochs can go on.

    Without it, a spec is written as before there was the key.
    """


def with_keep_last(content: Any, fields: Container[str]) -> Any:
    """A document whose `keep_last` stands in [limits], also if it was written in [training].

    It is no hyperparameter, since no number depends on it. `fields` are those of the job, which come first.
    Raises KeyedError.
    """
    match content:
        case {"training": {"keep_last": keep_last, **training}} if "keep_last" not in fields:
            limits = content.get("limits", {})
            if isinstance(limits, dict) and "keep_last" not in limits:
                return {**content, "training": training, "limits": {**limits, "keep_last": keep_last}}
            raise KeyedError("training.keep_last", "stands in [limits] too; remove one of the two")
    return content


class Stop(Section):
    """[stop]: when no further cell is begun. None: never for this reason."""

    target: float | None = None
    """A value of the objective: a complete trial with this value or a better one is good enough."""
    wall_clock: Annotated[Seconds, Field(gt=0)] | None = None
    """Seconds since the study's first claim."""
    no_improvement: AtLeast1 | None = None
    """So many trials in a row that ended without a new best."""
    max_failures: AtLeast1 | None = None
    """So many failed attempts in all. Those that somebody stopped do not count."""

    @property
    def conditions(self) -> dict[str, float]:
        """Those that are set, by their names."""
        return self.model_dump(exclude_none=True)


class Replicates(Section):
    """[replicates]: each configuration gets more seeds, until it is known which is best."""

    start: Annotated[Count, Field(ge=2, le=MOST_SEEDS)] = 2
    """How many seeds each configuration has before the first comparison."""
    max: Annotated[Count, Field(ge=2, le=MOST_SEEDS)] = 10
    """How many seeds a configuration gets at most."""
    level: Annotated[float, Field(ge=1e-6, le=0.5)] = 0.05
    """The chance, at most, that the truly best configuration is dropped."""
    indifference: Annotated[float, Field(ge=0)] = 0.0
    """Differences up to this do not matter, in units of the objective: among such the race ends."""
    of_top: Annotated[Count, Field(ge=2)] | None = None
    """How many of the best configurations of a sampled search take part."""

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.max < self.start:
            raise KeyedError("max", f"must be at least start ({self.start})")
        return self


class Confirm(Section):
    """[confirm]: the choice of a study is trained on all data, and measured on test data."""

    study: Annotated[str, Field(min_length=1, max_length=512)]
    """The study that has chosen it."""
    trial: Annotated[Count, Field(le=MOST)]
    """The number of a trial of that study with this configuration."""
    metric: MetricName | None = None
    """The metric of the job's `evaluate` that counts: without it, the one called as the objective is."""
