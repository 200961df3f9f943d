"""Reads a study for the checks, as it is at one moment; what cannot be read is a finding."""

from __future__ import annotations

import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from mnist_tune.errors import Damaged, UserError
from mnist_tune.queue.heartbeat_monitor import age_or_damage, last_heartbeats
from mnist_tune.records.columns import epoch_rows
from mnist_tune.records.trials import StoredTrials, read_trials
from mnist_tune.records.values import Text, load
from mnist_tune.spec.stored import as_stored_spec
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage.database_errors import driver_error, explain
from mnist_tune.storage.engine import snapshot
from mnist_tune.storage.guarded import GuardedStorage
from mnist_tune.storage.keys import SPEC
from mnist_tune.storage.optuna_internals import heartbeats, study_attributes, study_system_attributes, trials
from mnist_tune.storage.retrying import failure_that_may_pass
from mnist_tune.storage.statements import find_study_id
from mnist_tune.study.store import open_study, study_names
from mnist_tune.verification.findings import Finding, Outcome
from mnist_tune.verification.stored import Stored


def read(
    storage: GuardedStorage, name: str, artifacts: Path, checkpoints: Path
) -> tuple[Stored | None, list[Outcome]]:
    """The study, None if it cannot be read, and the findings of the reading. Writes nothing.

    Raises:
        UserError: there is no such study, or another program made it.
    """
    if name not in study_names(storage):
        open_study(storage, name)  # raises an error about the name
    integrity = _integrity(storage)
    with storage.transaction() as session:
        snapshot(session.connection())
        study_id = find_study_id(session, name)
        if study_id is None:
            raise UserError(f"study '{name}' has been deleted meanwhile")
        texts: dict[str, Text] = {}
        for table in (study_attributes, study_system_attributes):
            of_study = select(table.c.key, table.c.value_json).where(table.c.study_id == study_id)
            texts |= {row.key: row.value_json for row in session.execute(of_study)}
        in_study = trials.c.study_id == study_id
        rows = session.execute(select(trials.c.trial_id, trials.c.number).where(in_study))
        numbers = {row.trial_id: row.number for row in rows}
        running = session.execute(last_heartbeats().where(in_study, trials.c.state == TrialState.RUNNING))
        silence = {row.trial_id: age_or_damage(row) for row in running}
        beaten = select(heartbeats.c.trial_id).join(trials, trials.c.trial_id == heartbeats.c.trial_id)
        ran_here = set(session.execute(beaten.where(in_study)).scalars())
        epochs: defaultdict[int, list[tuple[Any, Any]]] = defaultdict(list)
        for trial_id, epoch, metrics in epoch_rows(session, in_study):
            epochs[trial_id].append((epoch, metrics))
        spec, attributes, valid = _study(texts)
        values = StoredTrials([], [], [], []) if spec is None else read_trials(session, study_id, spec)
        # Optuna's own reader joins the thread's open session and its snapshot, and ends both.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Optuna's hints to programmers
            found, readable = _trials(storage, study_id, numbers)
    outcomes = [integrity, valid, readable]
    if spec is None or found is None:
        return None, outcomes
    unreadable = {finding.trial for finding in readable.findings}
    stored = Stored(
        spec,
        attributes,
        found,
        unreadable,
        values,
        epochs,
        silence,
        ran_here,
        artifacts,
        checkpoints,
        storage.get_trial,
    )
    return stored, outcomes


def _integrity(storage: GuardedStorage) -> Outcome:
    on_sqlite = storage.engine.dialect.name == "sqlite"  # a server checks its files itself
    complaints: list[str] = []
    if on_sqlite:
        try:
            with storage.transaction() as session:
                complaints = list(session.execute(text("PRAGMA integrity_check")).scalars())
        except DBAPIError as error:
            if failure_that_may_pass(error) is not None:
                raise  # the storage is away, not damaged
            complaints = [_said(error)]
    findings = [Finding(complaint) for complaint in complaints if complaint != "ok"]
    return Outcome("database", "The database's file is intact", int(on_sqlite), findings)


def _study(texts: dict[str, Text]) -> tuple[Spec | None, dict[str, Any], Outcome]:
    spec: Spec | None = None
    attributes: dict[str, Any] = {}
    findings: list[Finding] = []
    for key, value in texts.items():
        try:
            attributes[key] = load(value)
        except Damaged as problem:
            findings.append(Finding(f"'{key}' {problem}"))
    if SPEC in attributes:
        try:
            spec = as_stored_spec(attributes[SPEC])
        except Damaged as problem:
            findings = [Finding(f"the stored spec: {problem}")]
    return spec, attributes, Outcome("spec", "The study and its spec can be read", 1, findings)


def _trials(
    storage: GuardedStorage, study_id: int, numbers: dict[int, Any]
) -> tuple[list[FrozenTrial] | None, Outcome]:
    found: list[FrozenTrial] | None = None
    findings: list[Finding] = []
    try:
        found = storage.get_all_trials(study_id, deepcopy=False)
        if not all(isinstance(trial.number, int) for trial in found):
            raise Damaged("has a number that is none")
        found.sort(key=lambda trial: trial.number)
    except Exception as error:  # damaged data can raise any exception
        if failure_that_may_pass(error) is not None:
            raise  # the storage is away, not damaged
        damaged = driver_error(error) is not None  # the file is damaged, not a trial
        found = []
        for trial_id, number in ({} if damaged else numbers).items():
            trial = _trial_or_problem(storage, trial_id)
            if isinstance(trial, str) and isinstance(number, int):
                findings.append(Finding(f"cannot be read: {trial}", number))
            elif isinstance(trial, str):  # SQLite lets a column hold values of any type
                findings.append(Finding(f"the trial with the id {trial_id} cannot be read: {trial}"))
            else:
                found.append(trial)
        found = sorted(found, key=lambda trial: trial.number) if findings else None
        findings = findings or [Finding(_said(error))]
    return found, Outcome("trials", "Every trial can be read", len(numbers), findings)


def _trial_or_problem(storage: GuardedStorage, trial_id: int) -> FrozenTrial | str:
    try:
        trial = storage.get_trial(trial_id)
    except Exception as error:
        if failure_that_may_pass(error) is not None:
            raise
        return _said(error)
    return trial if isinstance(trial.number, int) else f"its number is {trial.number!r}"


def _said(error: BaseException) -> str:
    cause = driver_error(error)
    return f"{type(error).__name__}: {error}" if cause is None else explain(cause)
