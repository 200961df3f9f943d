"""Reads a study, as it is at one moment, into frozen rows."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import replace
from typing import Any

from optuna.trial import TrialState
from sqlalchemy import select

from mnist_tune.contract.study import Control
from mnist_tune.errors import Damaged, MnistTuneError, UserError
from mnist_tune.queue.control import stored_control, why_stopped
from mnist_tune.queue.heartbeat_monitor import seconds_since_heartbeat
from mnist_tune.queue.worker_registry import read_registry
from mnist_tune.records.stored_trial import StoredTrial
from mnist_tune.records.trained import UNEXPLAINED, UNTRAINED
from mnist_tune.records.trials import read_trials
from mnist_tune.records.values import StoredModel
from mnist_tune.results.candidates import NOT_THE_RECIPE
from mnist_tune.results.confirmation import Confirmation, confirmation_of
from mnist_tune.results.study_results import Results
from mnist_tune.results.trial_result import State, TrialResult
from mnist_tune.storage.engine import snapshot
from mnist_tune.storage.keys import ENVIRONMENT, EVALUATION, FAILURE, LOG, NOT_KEPT, RESUMED, REUSED, WORKER
from mnist_tune.storage.optuna_internals import studies
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.store import names_confirming, open_study

STATES = {
    TrialState.WAITING: State.WAITING,
    TrialState.RUNNING: State.RUNNING,
    TrialState.COMPLETE: State.COMPLETE,
    TrialState.PRUNED: State.PRUNED,
    TrialState.FAIL: State.FAILED,
}
"""Optuna's states with our names for them."""


def read_results(study: OpenStudy, *, with_logs: bool = False) -> Results:
    """Read the study as it is now. Writes nothing. `with_logs` also reads workers' logs, which may be long.

    Raises:
        UserError: the study has been deleted.
    """
    storage = study.storage
    silent = seconds_since_heartbeat(storage, study.study_id)
    with storage.transaction() as session:
        snapshot(session.connection())
        is_there = session.execute(select(studies.c.study_id).where(studies.c.study_id == study.study_id))
        if is_there.first() is None:
            raise UserError(f"study '{study.name}' has been deleted meanwhile")
        spec = study.spec_in(session)
        stored = read_trials(session, study.study_id, spec, with_logs=with_logs)
    tries: Counter[int] = Counter()
    attempts = []
    for trial in stored.trials:
        tries[trial.cell] += 1
        age = silent.get(trial.trial_id, 0.0)
        if isinstance(age, Damaged):
            trial = replace(trial, problems=(*trial.problems, f"its heartbeat {age}"))
        stale = isinstance(age, float) and age > spec.lease.grace_period
        attempts.append(trial_result(trial, tries[trial.cell], stale, spec.description.objective))
    registry = read_registry(storage, study.study_id, spec.lease.grace_period)
    lost = [*stored.lost, *stored.lost_imports, *registry.lost]
    control = Control.RUNNING
    try:
        with storage.transaction() as session:
            control = stored_control(session, study.study_id)
    except Damaged as problem:
        lost.append(f"the study's control {problem}; workers take it for '{control}'")
    stopped = why_stopped(storage, study.study_id)
    others, deleted, imported = stored.others, stored.deleted, stored.imported
    found = Results(spec, attempts, control, registry.workers, lost, others, deleted, stopped, imported)
    return replace(found, confirmations=_confirmations(study, found))


def _confirmations(study: OpenStudy, chosen: Results) -> list[Confirmation]:
    """What the study's confirmations tell, oldest first, or the study itself if it is one.

    One that cannot be read is left out.
    """
    if chosen.spec.confirm is not None:
        return [confirmation_of(chosen.spec, chosen.complete)]
    storage, found = study.storage, []
    for name in names_confirming(storage, study.name):
        with suppress(MnistTuneError):  # deleted meanwhile, or damaged: its own pages say so
            found += read_results(open_study(storage, name)).confirmations
    return [each for each in found if _is_of(each, chosen)]


def _is_of(confirmation: Confirmation, chosen: Results) -> bool:
    """Whether it confirms a configuration that the study has: another one may have had the study's name."""
    table, training = confirmation.spec.confirm, confirmation.spec.training.model_dump()
    trial = next((one for one in chosen.attempts if table is not None and one.number == table.trial), None)
    return trial is not None and all(
        training.get(name) == value for name, value in trial.parameters.items() if name not in NOT_THE_RECIPE
    )


def trial_result(trial: StoredTrial, attempt: int, stale: bool, objective: str) -> TrialResult:
    """A stored trial as a row of results: the attempt of this number at its cell, counted from 1."""
    known = trial.attributes
    failure = _plain(known.get(FAILURE))
    if not trial.is_explained:
        failure = UNEXPLAINED.stored()
    elif not trial.is_trained:
        failure = UNTRAINED.stored()
    return TrialResult(
        number=trial.number,
        cell=trial.cell,
        attempt=attempt,
        state=State.FAILED if trial.has_failed else STATES[trial.state],
        parameters=trial.parameters,
        value=trial.value,
        history=trial.history,
        worker=known.get(WORKER),
        environment=known.get(ENVIRONMENT, {}),
        resumed=_plain(known.get(RESUMED)),
        failure=failure,
        started=trial.started,
        ended=trial.ended,
        stale=stale,
        artifacts=trial.files,
        reused=_plain(known.get(REUSED)),
        evaluation=known.get(EVALUATION),
        not_kept=_plain(known.get(NOT_KEPT)) or {},
        log=known.get(LOG),
        problems=trial.problems,
        is_sound=trial.is_sound,
        objective=objective,
        comes_back=not trial.is_explained,
    )


def _plain(stored: StoredModel | None) -> dict[str, Any] | None:
    return None if stored is None else stored.model_dump(by_alias=True, exclude_none=True)
