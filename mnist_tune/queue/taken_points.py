"""The points that the cells of a sampled search have: no two get the same, however many workers draw.

Parameters are written once, and read once: those with an id above the last one that was read. Who writes
parameters of a study has locked its list of trials, so that no row with a lower id comes later.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TypeAlias

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from sqlalchemy import orm, select

from mnist_tune.errors import Damaged
from mnist_tune.records.columns import raw
from mnist_tune.records.distributions import SEEDS
from mnist_tune.records.parameters import external
from mnist_tune.records.values import parse
from mnist_tune.spec.conditions import SEED
from mnist_tune.storage.keys import CELL
from mnist_tune.storage.optuna_internals import parameters, system_attributes, trials

PointKey: TypeAlias = frozenset[tuple[str, float]]
"""Equal for equal points."""


class TakenPoints:
    """The points of one study's cells, as far as they are drawn."""

    def __init__(self, study_id: int, axes: Mapping[str, BaseDistribution]) -> None:
        self._study_id = study_id
        self.take_up(axes)
        self._last = 0
        self._values: dict[int, dict[str, float]] = {}
        """By trial id, each value as it is stored."""
        self._cell_of: dict[int, int] = {}
        self._trials_at: dict[PointKey, set[int]] = defaultdict(set)

    def take_up(self, axes: Mapping[str, BaseDistribution]) -> None:
        """Go by the study's axes as they are now. One more seed of a configuration makes another point."""
        self._axes = {SEED: SEEDS, **axes}

    def refresh(self, session: orm.Session) -> None:
        """Read what has been written since, in a transaction that has locked the study."""
        rows = (
            select(*raw(parameters, "param_id", "trial_id", "param_name", "param_value"))
            .add_columns(system_attributes.c.value_json.label("cell"))
            .select_from(parameters)
            .join(trials, trials.c.trial_id == parameters.c.trial_id)
            .join(system_attributes, system_attributes.c.trial_id == parameters.c.trial_id)
            .where(trials.c.study_id == self._study_id, parameters.c.param_id > self._last)
            .where(system_attributes.c.key == CELL)
            .order_by(parameters.c.param_id)
        )
        new: defaultdict[int, dict[str, float]] = defaultdict(dict)
        for row in session.execute(rows):
            self._last = row.param_id
            with suppress(Damaged, TypeError, ValueError):
                self._cell_of[row.trial_id] = parse(CELL, row.cell)
                if row.param_name in self._axes:
                    if row.param_name != SEED:  # a race may have more of them by now
                        external(self._axes[row.param_name], row.param_value)  # a damaged one is no value
                    new[row.trial_id][row.param_name] = float(row.param_value)
        for trial_id, values in new.items():
            before = self._values.get(trial_id, {})
            self._trials_at[self.key(before)].discard(trial_id)
            self._values[trial_id] = {**before, **values}
            self._trials_at[self.key(self._values[trial_id])].add(trial_id)

    def key(self, values: Mapping[str, float]) -> PointKey:
        """The key of a point, given as it is stored. A value on steps is the same if its step is."""
        return frozenset((name, self._step(name, value)) for name, value in values.items())

    def key_of(self, point: Mapping[str, Any]) -> PointKey:
        """The key of a point, given as people know it."""
        return self.key({name: self._axes[name].to_internal_repr(value) for name, value in point.items()})

    def of_others(self, key: PointKey, cell: int) -> list[int]:
        """The ids of the trials with this point that belong to other cells."""
        return [trial_id for trial_id in self._trials_at.get(key, ()) if self._cell_of[trial_id] != cell]

    def point(self, trial_id: int) -> dict[str, Any]:
        """The values that a trial has so far."""
        values = self._values.get(trial_id, {})
        return {name: self._external(name, value) for name, value in values.items()}

    def _external(self, name: str, value: float) -> Any:
        axis = self._axes[name]
        if isinstance(axis, CategoricalDistribution) and value >= len(axis.choices):
            return None  # a seed that a race has added since
        return axis.to_external_repr(value)

    def _step(self, name: str, value: float) -> float:
        axis = self._axes[name]
        if isinstance(axis, FloatDistribution) and axis.step is not None:
            return round((value - axis.low) / axis.step)
        return value


def cell_of_trial(session: orm.Session, trial_id: int) -> int:
    """The cell of a trial. Raises Damaged."""
    which = system_attributes.c.trial_id == trial_id, system_attributes.c.key == CELL
    cell: int = parse(CELL, session.execute(select(system_attributes.c.value_json).where(*which)).scalar())
    return cell
