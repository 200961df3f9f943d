"""What must hold for a study whose workers were killed, according to its rows, files and step logs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from optuna.artifacts import get_all_artifact_meta
from optuna.trial import FrozenTrial

from mnist_tune.queue.cells import checkpoint_keys
from mnist_tune.records.imported import is_imported
from mnist_tune.storage.keys import CELL, CLAIM
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.verification import verify
from tests.support.logged_job import STATE_FILE, Step, expected, read_steps
from tests.support.stored_epochs import stored_numbers

STEPS = "steps"
"""The name of the folder of step logs."""


def broken_promises(study: OpenStudy, folder: Path) -> list[str]:
    """Check a finished study that all workers have left; returns a line for each broken promise."""
    verification = verify(study.storage, study.name, folder / "artifacts", folder / "checkpoints")
    problems = [
        f"verify: {outcome.check}: {finding}"
        for outcome in verification.outcomes
        for finding in outcome.findings
    ]
    steps = defaultdict(list)
    for step in read_steps(folder / STEPS):
        steps[step.trial].append(step)
    attempts: dict[int, list[Attempt]] = {cell: [] for cell in range(study.spec.n_cells)}
    for trial in study.optuna_study().trials:
        if is_imported(trial):  # `verify` has checked it; no worker may have logged a step of it
            problems += [f"trial {trial.number} was imported, but ran" for _ in steps[trial._trial_id]]
            continue
        n_epochs = len(stored_numbers(study.storage, trial._trial_id))
        attempts[trial.system_attrs[CELL]].append(Attempt(trial, steps[trial._trial_id], n_epochs))
    for cell, tried in attempts.items():
        checks = (_wrong_end(tried, study), _overlaps(tried), _lost_epochs(tried))
        problems += [f"cell {cell}: {problem}" for check in checks for problem in check]
    with study.storage.transaction() as session:
        kept = checkpoint_keys(session, [study.study_id])
    places = {study.uid, *kept} if kept else set()
    left_over = [path for path in (folder / "checkpoints").rglob("*") if path.name not in places]
    return problems + [f"left over: {path}" for path in left_over]


class Attempt(NamedTuple):
    """A trial as it is stored, the log of its worker, and the number of its stored epochs."""

    trial: FrozenTrial
    steps: list[Step]
    epochs: int


def _wrong_end(attempts: list[Attempt], study: OpenStudy) -> Iterator[str]:
    """A cell ends with its only complete or pruned attempt, which has the right value and all files."""
    states = [attempt.trial.state.name for attempt in attempts]
    ends = ["COMPLETE"] if study.spec.pruner is None else ["COMPLETE", "PRUNED"]
    if states[:-1] != ["FAIL"] * (len(states) - 1) or states[-1:] not in [[end] for end in ends]:
        yield f"its attempts are {states}"
        return
    last = attempts[-1].trial
    is_complete = last.state.name == "COMPLETE"
    epochs = study.spec.training.epochs if is_complete else len(last.intermediate_values)
    value = expected(last.params["seed"], epochs)
    if last.value != value:
        yield f"its value is {last.value}, not {value}: it went on from a wrong state"
    files = {artifact.filename for artifact in get_all_artifact_meta(last, storage=study.storage)}
    if files != ({STATE_FILE, "log.txt"} if is_complete else {"log.txt"}):
        yield f"its files are {files}"


def _overlaps(attempts: list[Attempt]) -> Iterator[str]:
    """Each attempt has one claim, and none of its writes is accepted after a later attempt has begun."""
    later_began: int | None = None
    for trial, steps, _ in reversed(attempts):
        tokens = {step.token for step in steps}
        if not tokens <= {trial.system_attrs.get(CLAIM)}:
            yield f"trial {trial.number} was worked on with the claims {tokens}"
        for step in steps:
            if later_began is not None and step.what == "accepted" and step.asked > later_began:
                late = (step.asked - later_began) / 1e9
                yield f"trial {trial.number} wrote {late:.3f} s after a later attempt had begun"
        began = [step.done for step in steps if step.what == "begin"]
        later_began = min([*began, *([] if later_began is None else [later_began])], default=None)


def _lost_epochs(attempts: list[Attempt]) -> Iterator[str]:
    """Each attempt goes on after the last epoch that was stored before, with the state after it."""
    stored = 0
    for trial, steps, n_epochs in attempts:
        for step in steps:
            if step.what == "begin" and step.epoch != stored:
                yield f"trial {trial.number} goes on after epoch {step.epoch}, but {stored} were stored"
            if step.what == "restart":
                yield f"trial {trial.number} found no state to go on from"
        begun = [step.epoch for step in steps if step.what == "epoch"]
        if any(after != before + 1 for before, after in pairwise(begun)):
            yield f"trial {trial.number} ran the epochs {begun}"
        stored = max(stored, n_epochs)
        away = sum(step.what == "away" for step in steps)  # an epoch that could not be stored at once
        if begun and begun[-1] > stored + away + 1:
            yield f"trial {trial.number} lost the epochs between {stored} and {begun[-1]}"
