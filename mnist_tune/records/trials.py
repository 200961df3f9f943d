"""The trials of a study as typed values: what of one cannot be read is its problem, and hides no other."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from optuna.distributions import BaseDistribution, CategoricalDistribution, json_to_distribution
from optuna.trial import TrialState
from sqlalchemy import orm

from mnist_tune.errors import Damaged
from mnist_tune.jobs.metrics import EpochMetrics
from mnist_tune.records.columns import OWN, TrialColumns, read_columns
from mnist_tune.records.distributions import distributions
from mnist_tune.records.epochs import copied_reports, history_of, reported
from mnist_tune.records.trained import FINISHED, UNREADABLE, Ended, Trained, trained_in
from mnist_tune.records.values import MOST, Text, accuracy, moment, parse
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage import keys
from mnist_tune.storage.optuna_internals import ARTIFACTS_ATTR_PREFIX, contains
from mnist_tune.text.wording import shortened

T = TypeVar("T")

USER = (
    keys.WORKER,
    keys.ENVIRONMENT,
    keys.HISTORY,
    keys.RESUMED,
    keys.REUSED,
    keys.NOT_KEPT,
    keys.FAILURE,
)
"""The user attributes that are read."""
SYSTEM = (keys.CELL, keys.CLAIM, keys.RESULT)
"""The system attributes that are read."""
APART = (keys.HISTORY, keys.LOG)
"""The attributes that no two trials share."""
MOST_NAMED = 5
"""Trials of no cell that are named one by one."""
LONGEST = 240
"""Characters of what is said of one problem."""
STATES = {state.name: state for state in TrialState}
NAMES = {
    keys.LOG: "its log",
    keys.FAILURE: "why it failed",
    keys.RESUMED: "where it went on",
    keys.REUSED: "where it ran",
    keys.NOT_KEPT: "what was not kept of it",
}
"""Of the attributes whose key says less."""


@dataclass(frozen=True)
class StoredTrial:
    """An attempt at a cell as far as it can be read; each of `problems` says of what it cannot, and why."""

    trial_id: int
    number: int
    cell: int
    state: TrialState
    started: datetime | None = None
    ended: datetime | None = None
    value: float | None = None
    """Percent; of a complete trial."""
    parameters: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    """Those that it has, typed, by key."""
    history: list[EpochMetrics] = field(default_factory=list)
    """Its epochs, also those that an earlier attempt has done."""
    files: dict[str, str] = field(default_factory=dict)
    """The artifact ids of what was kept of it, by file name."""
    problems: tuple[str, ...] = ()
    is_sound: bool = True
    """Whether it is known what was run and, of a complete one, what came of it."""
    is_trained: bool = True
    """Of a finished one: whether a worker ended it, and no other program."""
    is_explained: bool = True
    """Of a failed one: whether it says why, as a worker does."""

    @property
    def has_failed(self) -> bool:
        """Whether its cell is to be tried again, or is missing."""
        return self.state is TrialState.FAIL or not self.is_trained


@dataclass(frozen=True)
class StoredTrials:
    """The study's attempts, by number: at a cell one after the other, each after a failed one."""

    trials: list[StoredTrial]
    lost: list[str]
    """Of each trial of which it cannot be told which, of what or in which state it is: why."""
    others: list[str]
    """Of what other programs have made of the study's trials: what does not count, and why."""
    deleted: list[int]
    """The cells of which no trial is left."""


def read_trials(session: orm.Session, study_id: int, spec: Spec, *, with_logs: bool = False) -> StoredTrials:
    """All attempts at the study's cells; workers' logs, which may be long, come if they are wanted."""
    axes = distributions(spec)
    system = (*SYSTEM, keys.LOG) if with_logs else SYSTEM
    reader = _Reader(spec, axes, trained_in(session, study_id, spec))
    found, lost, others, of_no_cell = [], [], [], []
    last: dict[int, StoredTrial] = {}
    all_columns = read_columns(session, study_id, axes, USER, system)
    reports = copied_reports(session, study_id, all_columns)
    for columns in all_columns:
        if keys.CELL not in columns.system:  # stock Optuna made it
            of_no_cell.append(_name(columns))
            continue
        try:
            trial = reader.read(columns, reports.get(columns.trial_id, ()))
        except Damaged as problem:
            lost.append(shortened(f"{_name(columns)}: {problem}", LONGEST))
            continue
        before = last.get(trial.cell)
        if before is not None and not before.has_failed:
            others.append(f"{_name(columns)} does not count: trial {before.number} is for the same cell")
            continue
        last[trial.cell] = trial
        found.append(trial)
    if of_no_cell:
        few = ", ".join(of_no_cell[:MOST_NAMED]) + (", ..." if len(of_no_cell) > MOST_NAMED else "")
        others.append(f"made by another program, of no cell, run by no worker and in no ranking: {few}")
    # A trial that cannot be read may be of any cell.
    deleted = [] if lost else [cell for cell in range(spec.n_cells) if cell not in last]
    return StoredTrials(found, lost, others, deleted)


class _Reader:
    """Reads the trials of one study. What many of them share, as their environment, is parsed once."""

    def __init__(self, spec: Spec, axes: Mapping[str, BaseDistribution], trained: Trained) -> None:
        self._spec = spec
        self._axes = axes
        self._trained = trained
        self._parsed: dict[tuple[str, Text], Any] = {}

    def read(self, columns: TrialColumns, reports: Sequence[tuple[Any, Any]]) -> StoredTrial:
        """A trial, and what it reported if only that is known of its epochs.

        Raises:
            Damaged: too little is known of it.
        """
        number, cell, state = self._identity(columns)
        parameters, problems = self._parameters(columns.parameters)
        is_sound = not problems

        def known(of: str, read: Callable[..., T], *stored: Any) -> T | None:
            try:
                return read(*stored)
            except Damaged as problem:
                problems.append(f"{of} {problem}")
                return None

        typed: dict[str, Any] = {}
        files = {}
        if columns.epochs:  # no worker that writes them writes the attribute
            columns.user.pop(keys.HISTORY, None)
        for key, text in (*columns.user.items(), *columns.system.items()):
            read = known(_named(key), self._value, key, text)
            if read is None:
                continue
            if key.startswith(ARTIFACTS_ATTR_PREFIX):
                files[read.filename] = read.artifact_id
            else:
                typed[key] = read
        history = typed.get(keys.HISTORY, [])
        if columns.epochs or reports:
            read_epochs = history_of if columns.epochs else reported
            history = known("its history", read_epochs, columns.epochs or reports) or []
        value = None
        ended_with = _ended(columns, number, state, parameters, typed)
        is_trained = state not in FINISHED or self._trained.is_result(ended_with)
        is_former = state in FINISHED and is_trained and ended_with.result is None
        if is_former and ended_with.history is UNREADABLE:
            is_sound = False  # nothing else tells what came of it
        elif state is TrialState.COMPLETE and is_trained:
            value = known("its value", accuracy, columns.values)
            _, result = typed.get(keys.RESULT, (number, value))
            if value is not None and value != result:
                problems.append(f"its value is {value}, but it ended with {result}")
                value = None
            is_sound = is_sound and value is not None
        started, ended = known("its start", moment, columns.started), known("its end", moment, columns.ended)
        if not is_trained or (state is TrialState.FAIL and keys.CLAIM not in columns.system):
            problems = []  # another program had it: what that left there is no damage of ours
        return StoredTrial(
            trial_id=columns.trial_id,
            number=number,
            cell=cell,
            state=state,
            started=started,
            ended=ended,
            value=value,
            parameters=parameters,
            attributes=typed,
            history=history,
            files=files,
            problems=tuple(shortened(problem, LONGEST) for problem in problems),
            is_sound=is_sound,
            is_trained=is_trained,
            is_explained=state is not TrialState.FAIL or keys.FAILURE in columns.user,
        )

    def _identity(self, columns: TrialColumns) -> tuple[int, int, TrialState]:
        if not (isinstance(columns.number, int) and 0 <= columns.number <= MOST):
            raise Damaged(f"its number is {columns.number!r}")
        if columns.state not in STATES:
            raise Damaged(f"its state is {columns.state!r}")
        try:
            cell: int = self._value(keys.CELL, columns.system[keys.CELL])
        except Damaged as problem:
            raise Damaged(f"its cell {problem}") from None
        if cell >= self._spec.n_cells:
            raise Damaged(f"its cell is {cell}, but the spec has 0 to {self._spec.n_cells - 1} only")
        return columns.number, cell, STATES[columns.state]

    def _value(self, key: str, text: Text) -> Any:
        if key in APART:
            return parse(key, text)
        if (key, text) not in self._parsed:
            self._parsed[key, text] = parse(key, text)
        return self._parsed[key, text]

    def _parameters(self, rows: Iterable[tuple[Any, Any, Text]]) -> tuple[dict[str, Any], list[str]]:
        """The parameters of one trial, and what is wrong with them."""
        known, problems = {}, []
        for name, stored, text in rows:
            axis = self._axes.get(name)
            if axis is None:
                problems.append(f"its parameter {name!r} is not searched")
                continue
            try:
                known[name] = self._parameter(axis, stored, text)
            except Damaged as problem:
                problems.append(f"its {name} {problem}")
        if self._spec.search.grid is not None and not problems:
            problems = [f"its {name} is missing" for name in self._axes if name not in known]
        return known, problems

    def _parameter(self, axis: BaseDistribution, stored: Any, text: Text) -> Any:
        if text == OWN:
            return external(axis, stored)
        return one_of(axis, external(distribution(text), stored))


def one_of(axis: BaseDistribution, value: Any) -> Any:
    """A parameter's value, if the spec has it on this axis. Raises Damaged."""
    with suppress(TypeError, ValueError):
        if contains(axis, axis.to_internal_repr(value)):
            return value
    raise Damaged(f"is {value!r}, which the spec does not have")


def _ended(
    columns: TrialColumns,
    number: int,
    state: TrialState,
    parameters: Mapping[str, Any],
    typed: Mapping[str, Any],
) -> Ended:
    result = typed.get(keys.RESULT, UNREADABLE) if keys.RESULT in columns.system else None
    history = typed.get(keys.HISTORY, UNREADABLE) if keys.HISTORY in columns.user else None
    values, is_claimed = list(columns.values.values()), keys.CLAIM in columns.system
    return Ended(number, state, values, parameters, is_claimed, result, history)


def external(of: BaseDistribution, stored: Any) -> Any:
    """A parameter's value, from the number that stands for it. Raises Damaged."""
    try:
        is_number = isinstance(stored, int | float) and math.isfinite(stored)
        is_place = not isinstance(of, CategoricalDistribution) or (is_number and stored % 1 == 0)
        if is_number and is_place and contains(of, stored):
            return of.to_external_repr(stored)
    except (TypeError, ValueError, OverflowError):
        pass
    raise Damaged(f"should be a number of its distribution, not {stored!r}")


def distribution(text: Text) -> BaseDistribution:
    """What a parameter was taken from. Raises Damaged."""
    try:
        return _distribution(text)
    except Exception as error:  # Optuna says of what has another form whatever comes
        raise Damaged(f"has a distribution that cannot be read: {type(error).__name__}: {error}") from None


@functools.lru_cache(maxsize=64)
def _distribution(text: str) -> BaseDistribution:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna's hints to programmers
        return json_to_distribution(text)


def _name(row: TrialColumns) -> str:
    return f"trial {row.number}" if isinstance(row.number, int) else f"the trial with the id {row.trial_id}"


def _named(key: str) -> str:
    if key.startswith(ARTIFACTS_ATTR_PREFIX):
        return f"its file {key.removeprefix(ARTIFACTS_ATTR_PREFIX)}"
    return NAMES.get(key, f"its {key}")
