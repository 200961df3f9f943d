"""Reads the columns of a trial into typed values; what cannot be read becomes a problem of the trial."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from optuna.distributions import BaseDistribution
from optuna.trial import TrialState

from mnist_tune.errors import Damaged
from mnist_tune.jobs.hyperparameters import MOST
from mnist_tune.records.columns import OWN, TrialColumns
from mnist_tune.records.epochs import history_of, reported
from mnist_tune.records.imported import ImportedTrial
from mnist_tune.records.parameters import distribution, external, one_of
from mnist_tune.records.stored_trial import StoredTrial
from mnist_tune.records.trained import FINISHED, UNREADABLE, EndedTrial, TrainedTrials
from mnist_tune.records.values import Text, moment, objective, parse
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage import keys
from mnist_tune.storage.optuna_internals import ARTIFACTS_ATTR_PREFIX
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
SYSTEM = (keys.CELL, keys.CLAIM, keys.RESULT, keys.EVALUATION)
"""The system attributes that are read."""
APART = (keys.HISTORY, keys.LOG, keys.EVALUATION)
"""Attributes that differ in every trial, so that caching them is of no use."""
LONGEST_PROBLEM = 240
"""The most characters that the text of one problem may have."""
STATES = {state.name: state for state in TrialState}
NAMES = {
    keys.LOG: "its log",
    keys.EVALUATION: "its results on test data:",
    keys.FAILURE: "why it failed",
    keys.RESUMED: "where it went on",
    keys.REUSED: "where it ran",
    keys.NOT_KEPT: "what was not kept of it",
}
"""What to call attributes in a problem whose keys would say too little."""


class TrialReader:
    """Reads the trials of one study. A value that many trials share, like the environment, is parsed once."""

    def __init__(self, spec: Spec, axes: Mapping[str, BaseDistribution], trained: TrainedTrials) -> None:
        self._spec = spec
        self._job = spec.description
        self._axes = axes
        self._trained = trained
        self._cells = set(spec.search.cells)
        self._parsed: dict[tuple[str, Text], Any] = {}

    def read(self, columns: TrialColumns, reports: Sequence[tuple[Any, Any]]) -> StoredTrial:
        """Read one trial; `reports` are its epochs if only their numbers and objectives are known.

        Raises:
            Damaged: its number, state or cell cannot be read.
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
        if columns.epochs:  # a worker that writes the table does not write the attribute
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
            history = known("its history", read_epochs, columns.epochs or reports, self._job) or []
        value = None
        ended_with = _ended(columns, number, state, parameters, typed)
        is_trained = state not in FINISHED or self._trained.is_result(ended_with)
        is_former = state in FINISHED and is_trained and ended_with.result is None
        if is_former and ended_with.history is UNREADABLE:
            is_sound = False  # no other value tells its result
        elif state is TrialState.COMPLETE and is_trained:
            value = known("its value", objective, columns.values, self._job)
            _, result = typed.get(keys.RESULT, (number, value))
            if value is not None and value != result:
                problems.append(f"its value is {value}, but it ended with {result}")
                value = None
            is_sound = is_sound and value is not None
        started, ended = known("its start", moment, columns.started), known("its end", moment, columns.ended)
        if not is_trained or (state is TrialState.FAIL and keys.CLAIM not in columns.system):
            problems = []  # another program ended it, and what it stored there is no damage of ours
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
            problems=tuple(shortened(problem, LONGEST_PROBLEM) for problem in problems),
            is_sound=is_sound,
            is_trained=is_trained,
            is_explained=state is not TrialState.FAIL or keys.FAILURE in columns.user,
        )

    def imported(self, columns: TrialColumns) -> ImportedTrial:
        """Read a trial whose result was obtained elsewhere.

        Raises:
            Damaged: a value of it cannot be read.
        """
        number, state = self._number_and_state(columns)
        if state is not TrialState.COMPLETE:
            raise Damaged(f"its state is {state.name}")
        parameters, problems = self._parameters(columns.parameters)
        if problems:
            raise Damaged(problems[0])
        try:
            value = objective(columns.values, self._job)
        except Damaged as problem:
            raise Damaged(f"its value {problem}") from None
        try:
            origin = self._value(keys.IMPORTED, columns.system[keys.IMPORTED])
        except Damaged as problem:
            raise Damaged(f"its origin {problem}") from None
        return ImportedTrial(number, parameters, value, origin)

    def _identity(self, columns: TrialColumns) -> tuple[int, int, TrialState]:
        number, state = self._number_and_state(columns)
        try:
            cell: int = self._value(keys.CELL, columns.system[keys.CELL])
        except Damaged as problem:
            raise Damaged(f"its cell {problem}") from None
        if cell not in self._cells:
            raise Damaged(f"its cell is {cell}, but the spec has {self._spec.search.cells_told} only")
        return number, cell, state

    def _number_and_state(self, columns: TrialColumns) -> tuple[int, TrialState]:
        if not (isinstance(columns.number, int) and 0 <= columns.number <= MOST):
            raise Damaged(f"its number is {columns.number!r}")
        if columns.state not in STATES:
            raise Damaged(f"its state is {columns.state!r}")
        return columns.number, STATES[columns.state]

    def _value(self, key: str, text: Text) -> Any:
        if key in APART:
            return parse(key, text)
        if (key, text) not in self._parsed:
            self._parsed[key, text] = parse(key, text)
        return self._parsed[key, text]

    def _parameters(self, rows: Iterable[tuple[Any, Any, Text]]) -> tuple[dict[str, Any], list[str]]:
        """The parameters of one trial by name, and the problems with those that cannot be read."""
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


def _ended(
    columns: TrialColumns,
    number: int,
    state: TrialState,
    parameters: Mapping[str, Any],
    typed: Mapping[str, Any],
) -> EndedTrial:
    result = typed.get(keys.RESULT, UNREADABLE) if keys.RESULT in columns.system else None
    history = typed.get(keys.HISTORY, UNREADABLE) if keys.HISTORY in columns.user else None
    values, is_claimed = list(columns.values.values()), keys.CLAIM in columns.system
    return EndedTrial(number, state, values, parameters, is_claimed, result, history)


def _named(key: str) -> str:
    if key.startswith(ARTIFACTS_ATTR_PREFIX):
        return f"its file {key.removeprefix(ARTIFACTS_ATTR_PREFIX)}"
    return NAMES.get(key, f"its {key}")
