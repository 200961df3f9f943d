"""What must hold for the study of a user's job whose workers, and all that they started, were killed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from mnist_tune.results.reading import read_results
from mnist_tune.results.study_results import Results
from mnist_tune.results.trial_result import State, TrialResult
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.store import open_study
from mnist_tune.verification import verify
from tests.support.evident_jobs import EPOCHS, JOBS, NAME, Begun, runs_in
from tests.support.process_tree import started_with_prefix
from tests.support.studies import open_file
from tests.system.deeds import Deed

RUN = "run"
"""The metric that says in which run of the job an epoch was done. It is another one in each."""
END_SECONDS = 30
"""How long a watchdog may take to clear up."""
REPLACED_SECONDS = 1.0
"""How long a keeper may take to see on a busy machine that its watchdog was killed."""


@dataclass
class Redone:
    """How many epochs were begun more than once, by the reason why they had to be."""

    in_progress: int = 0
    """They were in progress when their attempt ended."""
    on_their_way: int = 0
    """They were done, and their worker had not stored them yet."""
    cut_off: int = 0
    """They began while their worker was stalled, or cut off from its storage, and so lost its lease."""
    outlived: int = 0
    """They began in the moment that a command outlives whoever ran it."""

    def __str__(self) -> str:
        return (
            f"epochs redone: {self.in_progress} in progress, {self.on_their_way} on their way, "
            f"{self.cut_off} cut off, {self.outlived} after the kill"
        )


def broken_promises(
    study: OpenStudy, folder: Path, undisturbed: Path, temporary: Path, deeds: Sequence[Deed], redone: Redone
) -> list[str]:
    """Check a finished study that all workers have left; returns a line for each broken promise.

    `redone` is counted up.
    """
    verification = verify(study.storage, study.name, folder / "artifacts", folder / "checkpoints")
    problems = [
        f"verify: {outcome.check}: {finding}"
        for outcome in verification.outcomes
        for finding in outcome.findings
    ]
    results = read_results(study)
    problems += _wrong_ends(results, read_results(open_study(open_file(undisturbed), NAME)))
    runs = runs_in(folder)
    for cell in range(study.spec.n_cells):
        tried = [attempt for attempt in results.attempts if attempt.parameters["seed"] == cell]
        check = _Cell(tried, runs.get(cell, []), deeds, redone, study.spec.lease.grace_period)
        problems += [f"cell {cell}: {problem}" for problem in check.problems()]
    problems += [f"left over: {path}" for path in (folder / "checkpoints").rglob("*")]
    problems += _left_behind(temporary, deeds)
    output = (folder / "output").read_text("utf-8", errors="replace").splitlines()
    return problems + [f"printed: {line}" for line in output if line.startswith("Traceback")]


def _wrong_ends(results: Results, undisturbed: Results) -> Iterator[str]:
    """Each cell is complete once, with the numbers and files of a run that nobody disturbed."""
    right = {one.parameters["seed"]: _numbers(one) for one in undisturbed.complete}
    found = {one.parameters["seed"]: _numbers(one) for one in results.complete}
    if len(results.complete) != len(right) or found.keys() != right.keys():
        yield f"{len(results.complete)} attempts are complete, of {len(right)} cells"
    for one in results.attempts:
        if one.state not in (State.COMPLETE, State.FAILED):
            yield f"trial {one.number} is {one.state}"
        if one.failure and one.failure["class"] not in ("lost", "preempted"):
            yield f"trial {one.number} failed: {one.failure}"
    for cell, numbers in found.items():
        if numbers != right.get(cell):
            yield f"cell {cell}: its numbers are {numbers}, not {right.get(cell)}"
    files = {name for _, _, name in JOBS.values()}
    for one in results.complete:
        if len(files & one.artifacts.keys()) != 1:
            yield f"trial {one.number} has the files {sorted(one.artifacts)}"


def _numbers(attempt: TrialResult) -> list[tuple[int, Any, Any]]:
    return [(epoch.epoch, epoch["error"], epoch["luck"]) for epoch in attempt.history]


def _numbers_of(epochs: Sequence[Begun]) -> list[int]:
    return [one.epoch for one in epochs]


@dataclass
class _Cell:
    """The attempts at a cell, the runs of its job, and what was done to their processes."""

    attempts: list[TrialResult]
    runs: list[list[Begun]]
    deeds: Sequence[Deed]
    redone: Redone
    grace: float

    def problems(self) -> Iterator[str]:
        for attempt in self.attempts:
            if problem := (attempt.resumed or {}).get("problem"):
                yield f"trial {attempt.number} began anew: {problem}"
        stored = {
            (int(epoch[RUN] or 0), epoch.epoch) for attempt in self.attempts for epoch in attempt.history
        }
        for run in self.runs:
            begun = [one.epoch for one in run]
            if begun != list(range(begun[0], begun[0] + len(begun))):
                yield f"run {run[0].run} began the epochs {begun}"
        for run, later in pairwise(self.runs):
            yield from self._redone(run, later[0].epoch, stored)
        last = self.runs[-1][-1].epoch if self.runs else 0
        if last != EPOCHS:
            yield f"its last run ends with epoch {last}"

    def _redone(self, run: list[Begun], goes_on: int, stored: set[tuple[int, int]]) -> Iterator[str]:
        """Each epoch that a later run begins again must have been lost, for a reason.

        Besides the epoch in progress, those may be lost that the worker has not stored yet. It loses its
        lease if it cannot for the grace period, so that none of them is older.
        """
        again = [one for one in run if one.epoch >= goes_on]
        for one in again:
            if (one.run, one.epoch) in stored:
                yield f"epoch {one.epoch} of run {one.run} was stored, and is done again"
        reasons = [deed for deed in self.deeds if self._concerns(deed, run)]
        if again and not reasons:
            yield f"run {run[0].run} lost the epochs {_numbers_of(again)}, and nothing was done to it"
        cuts = [deed.began for deed in reasons if deed.act == "stall" or deed.keeps_away]
        kills = [deed.began for deed in reasons if deed.act == "kill" and deed.pid in _keepers(run)]
        cut_off = [one for one in again if one.at > min(cuts, default=one.at)]
        outlived = [one for one in again if one not in cut_off and one.at > min(kills, default=one.at)]
        others = [one for one in again if one not in cut_off and one not in outlived]
        self.redone.cut_off += len(cut_off)
        self.redone.outlived += len(outlived)
        self.redone.in_progress += len(others[-1:])
        self.redone.on_their_way += len(others[:-1])
        ends = min(kills, default=time.monotonic_ns())
        late = [
            after for _, after in pairwise(others) if _at_hand(after.at, ends, reasons) > self.grace * 1e9
        ]
        if late:
            yield f"run {run[0].run} lost the epochs {_numbers_of(others)}; {reasons}"

    def _concerns(self, deed: Deed, run: list[Begun]) -> bool:
        """Whether something was done to the run's processes, or to the storage, while it was there."""
        began = run[0].at
        if deed.ended is not None and deed.ended < began:
            return False
        return deed.keeps_away or deed.pid in {*_keepers(run), run[0].job}


def _at_hand(began: int, ended: int, deeds: Sequence[Deed]) -> int:
    """How many nanoseconds of this time a worker could reach its storage."""
    left, since = ended - began, began
    for deed in sorted(deeds, key=lambda one: one.began):
        if deed.keeps_away:
            until = min(deed.ended or ended, ended)
            left -= max(0, until - max(deed.began, since))
            since = max(since, until)
    return left


def _keepers(run: list[Begun]) -> tuple[int, int]:
    return run[0].worker, run[0].training


def _left_behind(temporary: Path, deeds: Sequence[Deed]) -> Iterator[str]:
    """No process and no folder of a command is left, unless its watchdog was killed with its keeper."""
    deadline = time.monotonic() + END_SECONDS
    pairs = _killed_together(deeds)
    while True:
        processes = started_with_prefix("MNIST_TUNE_CHECKPOINTS", str(temporary))
        folders = list(temporary.glob("mnist-tune-*"))
        if len({*processes, *folders}) == 0:
            return
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)
    if max(len(processes), len(folders)) > len(pairs):
        yield f"the processes {processes} and the folders {folders} are left; killed together: {pairs}"


def _killed_together(deeds: Sequence[Deed]) -> list[tuple[Deed, Deed]]:
    """The kills of watchdogs and of their keepers so soon afterwards that these could not replace them."""
    return [
        (first, second)
        for first in deeds
        for second in deeds
        if (first.act, second.act, first.victim) == ("kill", "kill", "watchdog")
        and second.pid in first.keepers
        and first.began <= second.began
        and _seconds_to_look(first.began, second.began, first.keepers, deeds) < REPLACED_SECONDS
    ]


def _seconds_to_look(began: int, ended: int, keepers: tuple[int, ...], deeds: Sequence[Deed]) -> float:
    """How long in this time the keepers were not stalled."""
    stalls = [deed for deed in deeds if deed.act == "stall" and deed.pid in keepers]
    stalled = sum(max(0, min(one.ended or ended, ended) - max(one.began, began)) for one in stalls)
    return (ended - began - stalled) / 1e9
