"""Gives a study results that were obtained elsewhere: samplers learn from them, and nothing counts them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from optuna.trial import TrialState
from sqlalchemy import orm

from mnist_tune import __version__
from mnist_tune.errors import UserError
from mnist_tune.queue.cells import lock_study
from mnist_tune.queue.trial_rows import insert_waiting
from mnist_tune.records.distributions import Waiting, distributions
from mnist_tune.records.trials import read_trials
from mnist_tune.records.values import Origin
from mnist_tune.spec.documents import validate
from mnist_tune.spec.imports import Import, ResultElsewhere, checked_result
from mnist_tune.spec.revisions import key_of_point
from mnist_tune.spec.search_space import MAX_CELLS
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage.engine import utc_now
from mnist_tune.storage.keys import IMPORTED
from mnist_tune.storage.optuna_internals import objective_values, stored_value, trials
from mnist_tune.study.extend import stored_in
from mnist_tune.study.open_study import OpenStudy

AT_ONCE = 500
"""How many trials one statement names."""


def import_results(
    study: OpenStudy, wanted: Import, import_id: str, *, dry_run: bool = False
) -> tuple[int, int]:
    """Give a study results that were obtained elsewhere, all or none; returns how many, and how many it had.

    A result that was imported before, with the same parameters and value, is not imported again. `import_id`
    is an id that the caller has made: a second call with it changes nothing, and tells what the first has
    done. With `dry_run` nothing is changed.

    Raises:
        UserError: no trial of the study could have had a result, or the study has been deleted.
        MnistTuneError: its spec is damaged.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    content = {"id": import_id, "source": wanted.source, "when": now, "version": __version__}
    origin = validate(Origin, content, "import-trials")
    with study.storage.transaction() as session:
        if not dry_run:
            lock_study(session, study.study_id)
        spec = stored_in(session, study)
        there = read_trials(session, study.study_id, spec).imported
        results = [
            checked_result(spec, one.parameters, one.value, f"import-trials: result {number}")
            for number, one in enumerate(wanted.results, start=1)
        ]
        if done := sum(one.origin.id == import_id for one in there):
            return done, len(results) - done
        known = {_key(one.parameters, one.value) for one in there}
        keyed = {_key(one.parameters, one.value): one for one in results}
        new = [one for key, one in keyed.items() if key not in known]
        if len(there) + len(new) > MAX_CELLS:
            raise UserError(
                f"import-trials: the study would have {len(there) + len(new):,} imported results, more than "
                f"{MAX_CELLS:,}; import the best of them"
            )
        if new and not dry_run:
            _insert(session, study.study_id, spec, new, origin)
    return len(new), len(results) - len(new)


def _key(parameters: dict[str, Any], value: float) -> tuple[Any, float]:
    return key_of_point(parameters), value


def _insert(
    session: orm.Session, study_id: int, spec: Spec, results: list[ResultElsewhere], origin: Origin
) -> None:
    """Append complete trials of no cell to a locked study."""
    axes, marked = distributions(spec), {IMPORTED: origin.model_dump()}
    waiting = [
        Waiting(one.parameters, {name: axes[name] for name in one.parameters}, marked) for one in results
    ]
    trial_ids = insert_waiting(session, study_id, waiting)
    rows = []
    for trial_id, one in zip(trial_ids, results, strict=True):
        value, kind = stored_value(one.value)
        rows.append({"trial_id": trial_id, "objective": 0, "value": value, "value_type": kind})
    session.execute(objective_values.insert(), rows)
    ended = {"state": TrialState.COMPLETE, "datetime_start": utc_now(), "datetime_complete": utc_now()}
    for first in range(0, len(trial_ids), AT_ONCE):
        which = trials.c.trial_id.in_(trial_ids[first : first + AT_ONCE])
        session.execute(trials.update().where(which).values(ended))
