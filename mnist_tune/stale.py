"""Which running trials have fallen silent: the watch that every worker keeps over all others."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy
from optuna.trial import TrialState
from sqlalchemy import literal, select

from mnist_tune.database import UtcDateTime, utc_now
from mnist_tune.rows import HEARTBEAT, heartbeats, trials
from mnist_tune.storage import GuardedStorage

LOOKS_PER_GRACE_PERIOD = 12
"""A silent worker's cell comes back at most a twelfth of the grace period later than it could."""


@dataclass(frozen=True)
class Silent:
    """A running trial and the heartbeat that it has not followed up; None if it never had one."""

    trial_id: int
    number: int
    heartbeat: datetime | None

    def still(self) -> sqlalchemy.ColumnElement[bool]:
        """That the heartbeat is that one yet, as a condition on the trial's row."""
        beat = sqlalchemy.exists().where(heartbeats.c.trial_id == trials.c.trial_id)
        return (
            ~beat
            if self.heartbeat is None
            else beat.where(heartbeats.c.heartbeat == literal(self.heartbeat, UtcDateTime))
        )


class Watch:
    """Remembers the heartbeats it has seen, and since when on this process's own clock."""

    def __init__(
        self, storage: GuardedStorage, running: sqlalchemy.ColumnElement[bool], grace_period: float
    ) -> None:
        self._storage = storage
        self._last_heartbeats = last_heartbeats().where(running)
        self._grace_period = grace_period
        self._seen: dict[int, tuple[datetime | None, float]] = {}
        self._next_look = 0.0

    def silent(self) -> list[Silent]:
        """Of the running trials, those whose heartbeat stood still for the grace period.

        It may be asked all the time: it looks now and then, and finds none in between.
        """
        if time.monotonic() < self._next_look:
            return []
        with self._storage.transaction() as session:
            rows = session.execute(self._last_heartbeats).all()
        # A server's clock is the same for all. SQLite's is one host's, and may be set back: there, only a
        # heartbeat that this process itself has watched stand still counts.
        server = self._storage.engine.dialect.name == "postgresql"
        grace = timedelta(seconds=self._grace_period)
        now = time.monotonic()
        self._next_look = now + self._grace_period / LOOKS_PER_GRACE_PERIOD
        self._seen = {row.trial_id: self._since(row.trial_id, row.heartbeat, now) for row in rows}
        return [
            Silent(row.trial_id, row.number, row.heartbeat)
            for row in rows
            if now - self._seen[row.trial_id][1] > self._grace_period
            or (server and row.heartbeat is not None and row.now - row.heartbeat > grace)
        ]

    def _since(self, trial_id: int, heartbeat: datetime | None, now: float) -> tuple[datetime | None, float]:
        seen = self._seen.get(trial_id)
        return seen if seen is not None and seen[0] == heartbeat else (heartbeat, now)


def last_heartbeats() -> sqlalchemy.Select[Any]:
    """Trials with their last heartbeat, None if they never had one, and the database's time now."""
    columns = (trials.c.trial_id, trials.c.number, HEARTBEAT, utc_now().label("now"))
    of_trial = heartbeats.c.trial_id == trials.c.trial_id
    return select(*columns).outerjoin_from(trials, heartbeats, of_trial)


def seconds_since_heartbeat(storage: GuardedStorage, study_id: int) -> dict[int, float]:
    """Trial id to age of the last heartbeat, by the database's clock, of the study's running trials."""
    running = last_heartbeats().where(
        trials.c.study_id == study_id,
        trials.c.state == TrialState.RUNNING,
        heartbeats.c.heartbeat.is_not(None),
    )
    with storage.transaction() as session:
        return {row.trial_id: (row.now - row.heartbeat).total_seconds() for row in session.execute(running)}
