"""Why a study has stopped by its [stop]: as it is stored, and in words."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, FiniteFloat

from mnist_tune.jobs.description import JobDescription
from mnist_tune.jobs.hyperparameters import Count
from mnist_tune.text.wording import counted, duration

Condition = Literal["target", "wall_clock", "no_improvement", "max_failures"]
"""The fields of [stop]."""


class Stopped(BaseModel):
    """Which condition of [stop] held when a worker asked for a cell. Keys of later versions are ignored."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    condition: Condition
    limit: FiniteFloat
    """What [stop] said then."""
    when: datetime
    """By the database's clock, in UTC."""
    trial: Count | None = None
    """The number of the best trial until then."""
    value: FiniteFloat | None = None
    """With which that trial ended."""
    count: Count = 0
    """How many trials without a new best, or failed attempts, there were."""

    @property
    def is_failure(self) -> bool:
        """Whether something is wrong. The other conditions are ends that somebody wished for."""
        return self.condition == "max_failures"

    def told(self, job: JobDescription) -> str:
        """The reason in words, without a full stop."""
        match self.condition:
            case "target":
                has, wanted = job.text(self.value), job.text(self.limit)
                return f"trial {self.trial} has {has}, and the target is {wanted}"
            case "wall_clock":
                return f"its time of {duration(self.limit)} is over"
            case "no_improvement":
                best = f"trial {self.trial} with {job.text(self.value)}"
                than = "" if self.trial is None else f" than {best}"
                what = counted(self.count, "trial")
                return f"{what} in a row ended without a better result{than}"
            case "max_failures":
                return f"{counted(self.count, 'attempt')} failed"

    def as_json(self, job: JobDescription) -> dict[str, object]:
        """The reason as plain data for JSON."""
        return self.model_dump(mode="json") | {"reason": self.told(job)}
