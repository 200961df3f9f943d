"""Lets a study grow: its new cells, and all that the old ones tell of the search, change in one transaction.

Stock Optuna compares what trials say of the search: the values to choose from, the grid. A trial with another
list is left out of importances and of the grid, or refused. So old trials are given the new lists. Values are
only ever appended, so that the number that is stored for a value stays the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple

from optuna.distributions import BaseDistribution, distribution_to_json
from sqlalchemy import orm, select

from mnist_tune import __version__
from mnist_tune.errors import Damaged, MnistTuneError, UserError
from mnist_tune.queue.cells import lock_study
from mnist_tune.queue.trial_rows import insert_waiting
from mnist_tune.records.distributions import Waiting, distributions, waiting_cells
from mnist_tune.records.parameters import distribution
from mnist_tune.records.stored_spec import spec_text, stored_spec
from mnist_tune.records.values import parse
from mnist_tune.spec.growth import Growth, grown
from mnist_tune.spec.revisions import Point, Revision
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage.keys import CELL, SPEC
from mnist_tune.storage.optuna_internals import parameters, study_attributes, system_attributes, trials
from mnist_tune.storage.statements import upsert
from mnist_tune.study.open_study import OpenStudy


class Extension(NamedTuple):
    """What a study was given, or would be."""

    spec: Spec
    """The spec with it."""
    revision: Revision | None
    """None: all that was wanted is there."""
    known: list[Point]
    """Those points that were cells already."""


def extend_study(
    study: OpenStudy, wanted: Growth, revision: str, *, dry_run: bool = False, source: str = "extend"
) -> Extension:
    """Give a study more cells, also while workers are on it.

    `revision` is an id that the caller has made: a second call with it changes nothing, and tells what the
    first has done. With `dry_run` nothing is changed.

    Raises:
        UserError: the search cannot grow in this way, or the study has been deleted.
        MnistTuneError: its spec is damaged.
    """
    with study.storage.transaction() as session:
        if not dry_run:
            lock_study(session, study.study_id)
        before = _stored(session, study)
        done = next((one for one in before.search.revisions or () if one.id == revision), None)
        if done is not None:
            return Extension(before, done, [])
        now = datetime.now(UTC).isoformat(timespec="seconds")
        spec, step, known = grown(before, wanted, revision, now, __version__, source)
        if step is not None and not dry_run:
            _store(session, study.study_id, spec)
            cells = waiting_cells(spec)
            if spec.search.grid is not None:
                _tell_old_trials(session, study.study_id, before, spec, cells)
            insert_waiting(session, study.study_id, cells[before.n_cells :])
    return Extension(spec, step, known)


def _stored(session: orm.Session, study: OpenStudy) -> Spec:
    text = session.execute(spec_text(study.study_id)).scalar()
    if text is None:
        raise UserError(f"study '{study.name}' has been deleted meanwhile")
    try:
        return stored_spec(text).named(study.name)
    except Damaged as problem:
        raise MnistTuneError(
            f"the spec of study '{study.name}' has been damaged meanwhile: {problem}"
        ) from None


def _store(session: orm.Session, study_id: int, spec: Spec) -> None:
    row = {"study_id": study_id, "key": SPEC, "value_json": json.dumps(spec.stored())}
    upsert(session, study_attributes, ("study_id", "key"), [row])


def _tell_old_trials(
    session: orm.Session, study_id: int, before: Spec, spec: Spec, cells: list[Waiting]
) -> None:
    """Bring what the trials of a grid's old cells say of the search up to date."""
    old, new = distributions(before), distributions(spec)
    for name in old:
        if old[name] != new[name]:
            _replace_distribution(session, study_id, name, old[name], new[name])
    cell_of = _cells_of_trials(session, study_id, before.n_cells)
    made = {name: axis for name, axis in new.items() if name not in old}
    _add_parameters(session, cell_of, made, cells)
    attributes: dict[str, list[dict[str, Any]]] = {"grid_id": [], "search_space": [], "fixed_params": []}
    texts: dict[int, str] = {}
    for trial_id, cell in cell_of.items():
        for key, rows in attributes.items():
            # What a point has of its own changes only if there are new axes.
            if key in cells[cell].system_attrs and (key != "fixed_params" or made):
                value = cells[cell].system_attrs[key]
                text = (
                    texts.setdefault(id(value), json.dumps(value))
                    if key == "search_space"
                    else json.dumps(value)
                )
                rows.append({"trial_id": trial_id, "key": key, "value_json": text})
    for rows in attributes.values():
        upsert(session, system_attributes, ("trial_id", "key"), rows)


def _replace_distribution(
    session: orm.Session, study_id: int, name: str, old: BaseDistribution, new: BaseDistribution
) -> None:
    """Give every trial with a parameter from `old`, also another program's, the distribution `new`."""
    in_study = select(trials.c.trial_id).where(trials.c.study_id == study_id)
    of_name = parameters.c.param_name == name, parameters.c.trial_id.in_(in_study)
    texts = session.execute(select(parameters.c.distribution_json).where(*of_name).distinct()).scalars().all()
    for text in texts:
        with suppress(Damaged):
            if distribution(text) == old:
                is_old = parameters.update().where(*of_name, parameters.c.distribution_json == text)
                session.execute(is_old.values(distribution_json=distribution_to_json(new)))


def _cells_of_trials(session: orm.Session, study_id: int, n_cells: int) -> dict[int, int]:
    """The cell of each trial of the study, by trial id; trials that cannot be read are left out."""
    attributes = (
        select(system_attributes.c.trial_id, system_attributes.c.value_json)
        .join(trials, trials.c.trial_id == system_attributes.c.trial_id)
        .where(trials.c.study_id == study_id, system_attributes.c.key == CELL)
    )
    found = {}
    for row in session.execute(attributes):
        with suppress(Damaged):
            if (cell := parse(CELL, row.value_json)) < n_cells:
                found[row.trial_id] = cell
    return found


def _add_parameters(
    session: orm.Session,
    cell_of: Mapping[int, int],
    made: Mapping[str, BaseDistribution],
    cells: list[Waiting],
) -> None:
    """Store the value that the old trials have had all along of axes that are new."""
    for name, axis in made.items():
        text = distribution_to_json(axis)
        rows = [
            {
                "trial_id": trial_id,
                "param_name": name,
                "param_value": axis.to_internal_repr(cells[cell].params[name]),
                "distribution_json": text,
            }
            for trial_id, cell in cell_of.items()
        ]
        upsert(session, parameters, ("trial_id", "param_name"), rows)
