"""Why an attempt did not complete: the failure classes, each with a retry budget."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import Literal

FailureClass = Literal["lost", "preempted", "exception", "out_of_memory", "non_finite", "timeout"]
EXTENDED = "extended"
"""Stored in place of a class for an attempt that was complete until its study was given more epochs.

Nothing went wrong, so that it has no budget and counts nowhere: the next attempt goes on from its end.
"""

# Stored attributes stay well under 64 KB, the smallest text column of the databases Optuna supports.
MAX_REASON_LENGTH = 8_000


@dataclass(frozen=True)
class Failure:
    """The class and the reason stored with a failed attempt."""

    kind: FailureClass
    reason: str

    def __post_init__(self) -> None:
        if len(self.reason) > MAX_REASON_LENGTH:
            # The first line names the error, the end of a traceback its cause.
            half = MAX_REASON_LENGTH // 2
            object.__setattr__(self, "reason", f"{self.reason[:half]}\n[...]\n{self.reason[-half:]}")

    def stored(self) -> dict[str, str]:
        """The failure as it is stored in the trial's attributes."""
        return {"class": self.kind, "reason": self.reason}

    @classmethod
    def of_exception(cls, error: Exception) -> Failure:
        """The failure of an unexpected error: its name, then its traceback."""
        trace = "".join(traceback.format_exception(error))
        return cls("exception", f"{type(error).__name__}: {error}\n{trace}")


class AttemptFailed(Exception):  # noqa: N818 - an outcome of an attempt more than an error
    """An attempt ended for a known reason, which has a failure class of its own."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


class Pruned(Exception):  # noqa: N818 - an outcome of an attempt more than an error
    """The study's pruner has ended the attempt after its last epoch."""
