"""Defines a check, and the result of one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from optuna.trial import FrozenTrial

from mnist_tune.verification.stored import Attribute, Stored, StoredAttempt, cell_of

Subject = TypeVar("Subject", None, int, FrozenTrial, StoredAttempt, Attribute)
"""What a check looks at, one by one: the study, a cell, a trial, an attempt at a cell, an attribute."""


@dataclass(frozen=True)
class Finding:
    """What is wrong, and in which trial and cell, if it concerns one."""

    message: str
    trial: int | None = None
    cell: int | None = None

    def __post_init__(self) -> None:
        # A stored text may have half a surrogate pair, which no stream and no message can carry.
        object.__setattr__(self, "message", self.message.encode("utf-8", "backslashreplace").decode())

    def __str__(self) -> str:
        named = {"trial": self.trial, "cell": self.cell}
        place = ", ".join(f"{what} {number}" for what, number in named.items() if number is not None)
        return f"{place}: {self.message}" if place else self.message


@dataclass(frozen=True)
class Outcome:
    """The result of one check. `checked` counts the subjects; None: the check could not be made.

    The findings of a remark are worth knowing, but break no promise.
    """

    check: str
    promise: str
    checked: int | None
    findings: list[Finding]
    remark: bool = False

    @property
    def is_broken(self) -> bool:
        return bool(self.findings) and not self.remark

    @property
    def kind(self) -> str:
        """What its findings are called."""
        return "remark" if self.remark else "finding"

    @property
    def verdict(self) -> str:
        """The result in a word or two."""
        if self.findings:
            return many(len(self.findings), self.kind)
        return "not checked" if self.checked is None else "ok"


@dataclass(frozen=True)
class Check(Generic[Subject]):
    """A promise, which is the docstring of `problems`, and how it is checked for each of `subjects`."""

    name: str
    subjects: Callable[[Stored], Collection[Subject]]
    problems: Callable[[Stored, Subject], Iterable[str]]
    remark: bool = False

    def outcome(self, stored: Stored | None) -> Outcome:
        """Make the check; it cannot be made if the study cannot be read (None)."""
        promise = (inspect.getdoc(self.problems) or self.name).rstrip(".")
        if stored is None:
            return Outcome(self.name, promise, None, [], self.remark)
        try:
            subjects = self.subjects(stored)
        except Exception as error:  # damaged data can raise any exception
            problem = Finding(f"cannot be checked: {type(error).__name__}: {error}")
            return Outcome(self.name, promise, None, [problem], self.remark)
        findings = [finding for subject in subjects for finding in self._findings(stored, subject)]
        return Outcome(self.name, promise, len(subjects), findings, self.remark)

    def _findings(self, stored: Stored, subject: Subject) -> list[Finding]:
        try:
            problems = list(self.problems(stored, subject))
        except Exception as error:  # damaged data can raise any exception, which is a finding too
            problems = [f"cannot be checked: {type(error).__name__}: {error}"]
        return [Finding(problem, *_place(subject)) for problem in problems]


def many(count: int, what: str) -> str:
    """A number of things, in words."""
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def _place(subject: int | FrozenTrial | StoredAttempt | Attribute | None) -> tuple[int | None, int | None]:
    """The numbers of the trial and the cell that a finding names."""
    if subject is None or isinstance(subject, int):
        return None, subject
    trial = subject if isinstance(subject, FrozenTrial) else subject.trial
    return (None, None) if trial is None else (trial.number, cell_of(trial))
