"""Checks a stored study against every promise. Changes nothing.

The promises hold at every moment, so a study can be checked while workers are on it. The rules of claims and
retries are written here a second time: shared with the queue, they would share its mistakes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from mnist_tune.records.trained import FINISHED
from mnist_tune.records.trials import StoredTrials
from mnist_tune.storage.guarded import GuardedStorage
from mnist_tune.storage.keys import IMPORTED
from mnist_tune.verification import attempts, cells, drawn, files, imported, race, records, stopping
from mnist_tune.verification.findings import Check, Finding, Outcome, many
from mnist_tune.verification.reading import read
from mnist_tune.verification.stored import Attribute, Stored, StoredAttempt, failure_class, was_taken


def _study(_: Stored) -> Sequence[None]:
    return [None]


def _cells(stored: Stored) -> Sequence[int]:
    return sorted(stored.cells.union(stored.known_cells))


def _trials(stored: Stored) -> Sequence[FrozenTrial]:
    return stored.trials


def _imported(stored: Stored) -> Sequence[FrozenTrial]:
    return [trial for trial in stored.trials if IMPORTED in trial.system_attrs]


def _attempts(stored: Stored) -> Sequence[StoredAttempt]:
    return stored.attempts


def _own(stored: Stored) -> Sequence[StoredAttempt]:
    return [attempt for attempt in stored.attempts if not was_taken(attempt.trial)]


def _in(*states: TrialState) -> Callable[[Stored], Sequence[StoredAttempt]]:
    return lambda stored: [attempt for attempt in stored.attempts if attempt.trial.state in states]


def _with_files(stored: Stored) -> Sequence[StoredAttempt]:
    here = stored.artifacts.is_dir()  # without the folder, `kept_here` says so once
    return [attempt for attempt in stored.attempts if here and attempt.artifacts]


def _with_checkpoint(stored: Stored) -> Sequence[StoredAttempt]:
    return [attempt for attempt in stored.attempts if files.pointer_of(attempt.trial)]


def _attributes(stored: Stored) -> Sequence[Attribute]:
    return stored.attributes


CHECKS: tuple[Check[Any], ...] = (
    Check("control", _study, cells.controlled),
    Check("stop", _study, stopping.stopped),
    Check("begun after the stop", _attempts, stopping.begun_before),
    Check("growth", _study, cells.grown),
    Check("race", _study, race.settled),
    Check("cells", _cells, cells.there),
    Check("known points", _study, cells.enqueued),
    Check("duplicates", _study, drawn.distinct),
    Check("results taken over", _attempts, drawn.taken_over),
    Check("closed cells", _study, drawn.closed),
    Check("numbers", _attempts, cells.numbered),
    Check("parameters", _own, cells.at_its_point),
    Check("retried parameters", _attempts, cells.unchanged),
    Check("order", _attempts, cells.one_at_a_time),
    Check("budgets", _in(TrialState.FAIL), cells.within_budget),
    Check("failure counts", _attempts, cells.counted),
    Check("more epochs", _in(TrialState.FAIL), cells.extended),
    Check("states", _attempts, attempts.accepted),
    Check("reasons", _in(TrialState.FAIL), attempts.reasoned),
    Check("claims", _attempts, attempts.claimed),
    Check("claim tokens", _attempts, attempts.claimed_once),
    Check("heartbeats", _in(TrialState.RUNNING), attempts.beaten),
    Check("values", _in(*FINISHED), records.finite),
    Check("results on test data", _attempts, records.measured),
    Check("pruning", _in(TrialState.PRUNED), records.pruned),
    Check("histories", _own, records.gapless),
    Check("reports", _own, records.reported),
    Check("attribute sizes", _attributes, records.small),
    Check("passwords", _attributes, records.without_password),
    Check("uid", _study, files.identified),
    Check("file names", _attempts, files.named),
    Check("files", _with_files, files.whole),
    Check("times", _attempts, attempts.in_turn, remark=True),
    Check("signs of life", _in(TrialState.RUNNING), attempts.alive, remark=True),
    Check("kept files", _in(*FINISHED), files.kept, remark=True),
    Check("artifact folder", _study, files.kept_here, remark=True),
    Check("files elsewhere", _study, files.here, remark=True),
    Check("checkpoints", _with_checkpoint, files.resumable, remark=True),
    Check("copied epochs", _own, records.came_along, remark=True),
    Check("imported results", _imported, imported.marked),
    Check("other trials", _trials, cells.foreign, remark=True),
)
"""Each promise with its subjects and the function that checks it; `read` checks the rest."""


@dataclass(frozen=True)
class Verification:
    """The results of all checks of a study."""

    name: str
    outcomes: list[Outcome]
    size: str
    """How many cells and attempts were checked, in words; empty if the study cannot be read."""

    @property
    def broken(self) -> list[Outcome]:
        """The checks that found a promise broken."""
        return [outcome for outcome in self.outcomes if outcome.is_broken]

    @property
    def verdict(self) -> str:
        """One line: whether the study keeps its promises, and how large it is."""
        if self.broken:
            names = ", ".join(outcome.check for outcome in self.broken)
            return f"study '{self.name}' breaks {many(len(self.broken), 'promise')}: {names}"
        return f"study '{self.name}' keeps every promise: {self.size}"

    def as_json(self) -> dict[str, Any]:
        """The plain data that `verify --json` prints."""
        return {
            "study": self.name,
            "clean": not self.broken,
            "verdict": self.verdict,
            "checks": [asdict(outcome) for outcome in self.outcomes],
        }


def verify(storage: GuardedStorage, name: str, artifacts: Path, checkpoints: Path) -> Verification:
    """Check the study of this name, and its files in the two folders.

    Raises:
        UserError: there is no such study, or another program made it.
    """
    stored, outcomes = read(storage, name, artifacts, checkpoints)
    outcomes += [check.outcome(stored) for check in CHECKS]
    return Verification(name, [*outcomes, _values(stored, outcomes)], _size(stored))


def _size(stored: Stored | None) -> str:
    if stored is None:
        return ""
    tried = stored.attempts
    ended = Counter(_word(attempt.trial.state) for attempt in tried if attempt.following is None)
    lost = Counter(kind for attempt in tried if (kind := failure_class(attempt.trial)) is not None)
    cells_told, attempts_told = many(ended.total(), "cell"), many(len(tried), "attempt")
    n_imported = len(_imported(stored))
    elsewhere = f", {many(n_imported, 'imported result')}" if n_imported else ""
    return f"{cells_told}{_among(ended)}, {attempts_told}{_among(lost)}{elsewhere}"


def _values(stored: Stored | None, outcomes: Sequence[Outcome]) -> Outcome:
    """The problems that every other command reports, where no check has told of them yet."""
    told = [finding for outcome in outcomes if outcome.is_broken for finding in outcome.findings]
    trials, cells = {finding.trial for finding in told}, {finding.cell for finding in told}
    found = StoredTrials([], [], [], []) if stored is None else stored.values
    # A lost trial is one that Optuna cannot read, or that belongs to no cell of the spec.
    is_told = any(outcome.is_broken and outcome.check in ("trials", "cells") for outcome in outcomes)
    lost = [] if is_told else found.lost
    findings = [Finding(problem) for problem in lost]
    findings += [
        Finding(problem, trial.number, trial.cell)
        for trial in found.trials
        if trial.number not in trials and trial.cell not in cells
        for problem in trial.problems
    ]
    checked = None if stored is None else len(found.trials)
    return Outcome("other values", "Every other value of a trial can be read", checked, findings)


def _word(state: TrialState) -> str:
    return "failed" if state == TrialState.FAIL else state.name.lower()


def _among(counts: Counter[str]) -> str:
    listed = ", ".join(f"{count:,} {what}" for what, count in counts.most_common())
    return f" ({listed})" if listed else ""
