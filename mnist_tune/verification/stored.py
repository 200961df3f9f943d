"""A study as it is stored at one moment, as plain data for the checks."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, get_args

from optuna.trial import FrozenTrial, TrialState

from mnist_tune.errors import Damaged, UserError
from mnist_tune.failures import EXTENDED, FailureClass
from mnist_tune.files.stored_names import is_artifact_id
from mnist_tune.jobs.metrics import EpochMetrics
from mnist_tune.records.distributions import Waiting, waiting_cells
from mnist_tune.records.epochs import history_of
from mnist_tune.records.trained import TrainedTrials, trained_with
from mnist_tune.records.trials import StoredTrials
from mnist_tune.records.values import parse
from mnist_tune.spec.documents import validate
from mnist_tune.spec.sections import Retry
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage.keys import CELL, CLAIM, FAILURE, FAILURES, FORMER_RETRY, HISTORY, WORKER
from mnist_tune.storage.optuna_internals import ARTIFACTS_ATTR_PREFIX, trial_id_of


class Attribute(NamedTuple):
    """A stored attribute of a trial or, if `trial` is None, of the study."""

    trial: FrozenTrial | None
    key: str
    text: str


@dataclass(frozen=True)
class StoredAttempt:
    """A trial of a cell, with the trials before and after it for the same cell."""

    trial: FrozenTrial
    cell: int
    previous: FrozenTrial | None
    following: FrozenTrial | None

    @property
    def artifacts(self) -> list[str]:
        """The artifacts that the trial lists, each as the JSON text that Optuna stores."""
        attributes = self.trial.system_attrs.items()
        return [
            value for key, value in attributes if key.startswith(ARTIFACTS_ATTR_PREFIX) and value != "null"
        ]


@dataclass(frozen=True)
class Stored:
    """The rows of a study, and the folders of its files."""

    spec: Spec
    study_attributes: dict[str, Any]
    trials: list[FrozenTrial]
    """All trials that Optuna can read, by number."""
    unreadable: set[int | None]
    """The numbers of the trials that cannot be read; None for one whose number is none."""
    values: StoredTrials
    """The same trials as all other commands read them."""
    epochs: Mapping[int, list[tuple[Any, Any]]]
    """Number and metrics (a JSON text) of each epoch in our table, by trial id."""
    silence: dict[int, float | Damaged | None]
    """Seconds since the last heartbeat of each running trial, by trial id; None without a heartbeat."""
    ran_here: set[int]
    """The ids of trials that have ever had a heartbeat; copies are made without heartbeats."""
    artifacts: Path
    checkpoints: Path
    trial_now: Callable[[int], FrozenTrial]
    """Reads a trial, by its id, as it is stored now."""

    @cached_property
    def attempts(self) -> list[StoredAttempt]:
        """The trials that belong to cells, cell by cell."""
        of_cell: dict[int, list[FrozenTrial]] = defaultdict(list)
        for trial in self.trials:
            cell = cell_of(trial)
            if cell is not None:
                of_cell[cell].append(trial)
        return [
            StoredAttempt(trial, cell, previous, following)
            for cell, trials in of_cell.items()
            for previous, trial, following in zip([None, *trials], trials, [*trials[1:], None], strict=False)
        ]

    @cached_property
    def histories(self) -> dict[int, list[EpochMetrics] | Damaged]:
        """Id of a trial to its epochs, or to what is wrong with them."""
        return {trial_id_of(trial): self._history(trial) for trial in self.trials}

    def _history(self, trial: FrozenTrial) -> list[EpochMetrics] | Damaged:
        rows, of_0_5_0 = self.epochs.get(trial_id_of(trial)), trial.user_attrs.get(HISTORY, [])
        try:
            history: list[EpochMetrics] = (
                history_of(rows, self.spec.description) if rows else parse(HISTORY, json.dumps(of_0_5_0))
            )
        except Damaged as problem:
            return problem
        return history

    @cached_property
    def attributes(self) -> list[Attribute]:
        """All attributes of the study and its trials."""
        owners: list[tuple[FrozenTrial | None, dict[str, Any]]] = [(None, self.study_attributes)]
        for trial in self.trials:
            owners += [(trial, trial.user_attrs), (trial, trial.system_attrs)]
        return [
            Attribute(trial, key, json.dumps(value))
            for trial, attributes in owners
            for key, value in attributes.items()
        ]

    @cached_property
    def budgets(self) -> list[Retry]:
        """The present [retry], and those that held before it was changed."""
        former = self.study_attributes.get(FORMER_RETRY, [])
        known = [self.spec.retry]
        for table in former if isinstance(former, list) else []:
            with suppress(UserError):  # a damaged one allows nothing
                known.append(validate(Retry, table, "a former [retry]"))
        return known

    @cached_property
    def trained(self) -> TrainedTrials:
        """Tells which finished trials were trained by workers."""
        return trained_with(self.study_attributes, self.spec)

    @cached_property
    def points(self) -> list[Waiting]:
        """Each cell as it is when a study is made."""
        return waiting_cells(self.spec)

    @cached_property
    def known_cells(self) -> set[int]:
        """The cells that the spec has."""
        return set(self.spec.search.cells)

    @cached_property
    def cells(self) -> set[int]:
        """The cells that trials belong to."""
        return {attempt.cell for attempt in self.attempts}

    @cached_property
    def hosts_of_files(self) -> set[str]:
        """The machines whose workers have put files into this folder of artifacts."""
        return {
            host_of(attempt.trial)
            for attempt in self.attempts
            for key in attempt.trial.system_attrs
            if is_artifact_id(artifact := key.removeprefix(ARTIFACTS_ATTR_PREFIX))
            and (self.artifacts / artifact).exists()
        }

    @cached_property
    def claims(self) -> Counter[Any]:
        """How many trials have each claim token."""
        return Counter(str(attempt.trial.system_attrs.get(CLAIM)) for attempt in self.attempts)


def cell_of(trial: FrozenTrial) -> int | None:
    """The cell that a trial belongs to; None if it is not one of ours."""
    cell = trial.system_attrs.get(CELL)
    return cell if isinstance(cell, int) else None


def host_of(trial: FrozenTrial) -> str:
    """The machine on which a trial ran; empty if that is not stored."""
    return str(trial.user_attrs.get(WORKER, "")).rpartition(":")[0]


def failure_class(trial: FrozenTrial) -> str | None:
    """The class of a trial's failure; None if it has not failed, or its class is unknown."""
    failure = trial.user_attrs.get(FAILURE)
    kind = failure.get("class") if isinstance(failure, dict) else None
    is_known = kind == EXTENDED or kind in get_args(FailureClass)
    return kind if trial.state == TrialState.FAIL and is_known else None


def was_taken(trial: FrozenTrial) -> bool:
    """Whether another program ran and failed the trial, so that what it stored there is not ours."""
    return trial.state == TrialState.FAIL and CLAIM not in trial.system_attrs


def failures_with(trial: FrozenTrial, kind: str) -> dict[str, int]:
    """How often the cell of a trial has failed, by class, including this failure of class `kind`."""
    before = trial.system_attrs.get(FAILURES, {})
    return {**before, kind: before.get(kind, 0) + 1}
