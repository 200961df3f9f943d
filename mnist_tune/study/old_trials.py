"""Brings what the old trials of a grid tell of the search up to date after the study has grown.

Stock Optuna compares what trials say of the search: the values to choose from, the grid. A trial with another
list is left out of importances and of the grid, or refused. So old trials are given the new lists. Values are
only ever appended, so that the number that is stored for a value stays the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from optuna.distributions import BaseDistribution, distribution_to_json
from sqlalchemy import orm, select

from mnist_tune.errors import Damaged
from mnist_tune.records.distributions import Waiting, distributions
from mnist_tune.records.parameters import distribution
from mnist_tune.records.values import parse
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage.keys import CELL, IMPORTED
from mnist_tune.storage.optuna_internals import parameters, system_attributes, trials
from mnist_tune.storage.statements import upsert


def tell_old_trials(
    session: orm.Session, study_id: int, before: Spec, spec: Spec, cells: list[Waiting]
) -> None:
    """Bring what the trials of a grid's old cells say of the search up to date."""
    old, new = tell_of_values(session, study_id, before, spec)
    cell_of = _cells_of_trials(session, study_id, before.n_cells)
    made = {name: axis for name, axis in new.items() if name not in old}
    # What was imported has had the same value of it as all cells of that time.
    of_no_cell = dict.fromkeys(_imported(session, study_id), 0) if made else {}
    _add_parameters(session, cell_of | of_no_cell, made, cells)
    told = _replace_search_space(session, study_id, spec)
    attributes: list[dict[str, Any]] = []
    for trial_id, cell in cell_of.items():
        for key, value in cells[cell].system_attrs.items():
            # What a point has of its own changes only if there are new axes.
            if (
                key == "grid_id"
                or (key == "fixed_params" and made)
                or (key == "search_space" and trial_id not in told)
            ):
                attributes.append({"trial_id": trial_id, "key": key, "value_json": json.dumps(value)})
    upsert(session, system_attributes, ("trial_id", "key"), attributes)


def _replace_search_space(session: orm.Session, study_id: int, spec: Spec) -> set[int]:
    """Give the trials of cells that have the grid's lists the new ones, at once; returns their ids."""
    in_study = select(trials.c.trial_id).where(trials.c.study_id == study_id)
    of_cell = select(system_attributes.c.trial_id).where(
        system_attributes.c.key == CELL, system_attributes.c.trial_id.in_(in_study)
    )
    which = system_attributes.c.key == "search_space", system_attributes.c.trial_id.in_(of_cell)
    told = set(session.execute(select(system_attributes.c.trial_id).where(*which)).scalars())
    text = json.dumps(dict(sorted((spec.search.grid or {}).items())))
    session.execute(system_attributes.update().where(*which).values(value_json=text))
    return told


def tell_of_values(
    session: orm.Session, study_id: int, before: Spec, spec: Spec
) -> tuple[dict[str, BaseDistribution], dict[str, BaseDistribution]]:
    """Bring the lists of values that old trials tell of up to date; returns the axes before and now."""
    old, new = distributions(before), distributions(spec)
    for name in old:
        if old[name] != new[name]:
            _replace_distribution(session, study_id, name, old[name], new[name])
    return old, new


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


def _imported(session: orm.Session, study_id: int) -> list[int]:
    """The ids of the trials whose results were obtained elsewhere."""
    marked = (
        select(system_attributes.c.trial_id)
        .join(trials, trials.c.trial_id == system_attributes.c.trial_id)
        .where(trials.c.study_id == study_id, system_attributes.c.key == IMPORTED)
    )
    return list(session.execute(marked).scalars())


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
