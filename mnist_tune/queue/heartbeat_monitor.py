"""Finds running trials whose heartbeat has stopped; every worker watches all others."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from optuna.trial import TrialState
from sqlalchemy import literal, select
from sqlalchemy.types import NullType

from mnist_tune.errors import Damaged
from mnist_tune.records.values import moment
from mnist_tune.storage.engine import utc_now
from mnist_tune.storage.guarded import GuardedStorage
from mnist_tune.storage.optuna_internals import heartbeats, trials

HEARTBEAT = sqlalchemy.type_coerce(heartbeats.c.heartbeat, NullType())
"""The heartbeat exactly as it is stored, so that a value that is no time can be compared too."""
NO_CHARACTER = "\ufffd"
"""Stands in a text for bytes of SQLite's that are no UTF-8; such a text is not equal to what is stored."""
LOOKS_PER_GRACE_PERIOD = 12
"""How often to look: a silent worker's cell comes back at most a twelfth of the grace period too late."""


@dataclass(frozen=True)
class Silent:
    """A running trial and its last heartbeat, which has become too old."""

    trial_id: int
    number: int
    heartbeat: Any
    """The heartbeat as it is stored; None if the trial never had one."""

    def still(self) -> sqlalchemy.ColumnElement[bool]:
        """The SQL condition on the trial's row that its heartbeat has not changed since."""
        beat = sqlalchemy.exists().where(heartbeats.c.trial_id == trials.c.trial_id)
        if self.heartbeat is None:
            return ~beat
        if isinstance(self.heartbeat, str) and NO_CHARACTER in self.heartbeat:
            return beat.where(sqlalchemy.func.julianday(HEARTBEAT).is_(None))
        return beat.where(literal(self.heartbeat, NullType()) == HEARTBEAT)


class Watch:
    """Remembers each heartbeat, and since when it has stood still by this process's own clock."""

    def __init__(
        self, storage: GuardedStorage, running: sqlalchemy.ColumnElement[bool], grace_period: float
    ) -> None:
        self._storage = storage
        self._last_heartbeats = last_heartbeats().where(running)
        self._grace_period = grace_period
        self._seen: dict[int, tuple[Any, float]] = {}
        self._next_look = 0.0

    @property
    def is_due(self) -> bool:
        """Whether it is time to look again."""
        return time.monotonic() >= self._next_look

    def silent(self) -> list[Silent]:
        """The running trials whose heartbeat has stood still for the grace period.

        It may be called at any time: between two looks it returns an empty list without asking the database.
        """
        if not self.is_due:
            return []
        with self._storage.transaction() as session:
            rows = session.execute(self._last_heartbeats).all()
        # A server's clock is the same for all workers. SQLite's clock is one host's, and may be set back:
        # there, a heartbeat counts as silent only if this process itself has watched it stand still.
        server = self._storage.engine.dialect.name == "postgresql"
        now = time.monotonic()
        self._next_look = now + self._grace_period / LOOKS_PER_GRACE_PERIOD
        self._seen = {row.trial_id: self._since(row.trial_id, row.heartbeat, now) for row in rows}
        return [
            Silent(row.trial_id, row.number, row.heartbeat)
            for row in rows
            if now - self._seen[row.trial_id][1] > self._grace_period
            or (server and isinstance(age := age_or_damage(row), float) and age > self._grace_period)
        ]

    def _since(self, trial_id: int, heartbeat: Any, now: float) -> tuple[Any, float]:
        seen = self._seen.get(trial_id)
        return seen if seen is not None and seen[0] == heartbeat else (heartbeat, now)


def last_heartbeats() -> sqlalchemy.Select[Any]:
    """Select trials with their last heartbeat (None if they never had one) and the database's time now."""
    columns = (trials.c.trial_id, trials.c.number, HEARTBEAT.label("heartbeat"), utc_now().label("now"))
    of_trial = heartbeats.c.trial_id == trials.c.trial_id
    return select(*columns).outerjoin_from(trials, heartbeats, of_trial)


def seconds_since_heartbeat(storage: GuardedStorage, study_id: int) -> dict[int, float | Damaged]:
    """The age in seconds of each running trial's last heartbeat, by trial id and the database's clock."""
    running = last_heartbeats().where(
        trials.c.study_id == study_id,
        trials.c.state == TrialState.RUNNING,
        heartbeats.c.heartbeat.is_not(None),
    )
    with storage.transaction() as session:
        ages = {row.trial_id: age_or_damage(row) for row in session.execute(running)}
    return {trial_id: age for trial_id, age in ages.items() if age is not None}


def age_or_damage(row: sqlalchemy.Row[Any]) -> float | Damaged | None:
    """The age in seconds of the heartbeat in a row of `last_heartbeats`; None if the trial never had one."""
    try:
        beat = moment(row.heartbeat)
        return None if beat is None else (row.now - beat).total_seconds()
    except Damaged as problem:
        return problem
