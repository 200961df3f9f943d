"""Studies with conditions in [stop], and workers that end their trials in one way or another."""

from __future__ import annotations

from pathlib import Path

from mnist_tune.contract.claim import Claim, Standing
from mnist_tune.failures import Failure, FailureClass
from mnist_tune.study.open_study import OpenStudy
from tests.support.specs import TINY_SPEC
from tests.support.studies import new_study, opened_again, take


def made(folder: Path, stop: str, url: str | None = None) -> OpenStudy:
    """A study of 8 cells that are never retried, with these lines in [stop]."""
    return new_study(folder, f"{TINY_SPEC}\n[retry]\nexception = 0\n\n[stop]\n{stop}\n", url)


def end(study: OpenStudy, value: float) -> None:
    """Have a worker of its own claim a cell and complete it with this value."""
    queue = opened_again(study).queue()
    queue.complete(take(queue), value)


def fail(study: OpenStudy, kind: FailureClass = "exception") -> None:
    queue = opened_again(study).queue()
    assert queue.give_back(take(queue), Failure(kind, "it broke"))


def asked(study: OpenStudy) -> Claim | Standing:
    """What a worker gets that asks for a cell."""
    queue = opened_again(study).queue()
    return queue.claim("worker") or queue.standing()
