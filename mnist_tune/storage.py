"""An Optuna storage in which only the holder of a trial's lease can write to it.

Stock `RDBStorage` checks a trial's state, then writes: between the two another process may fail the trial,
and the late write is stored all the same. Here the check is an UPDATE of the trial's row, so that it takes
the row's lock (SQLite: the database's), and the write follows in the same transaction.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy
from optuna.distributions import BaseDistribution
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.trial import TrialState
from sqlalchemy import orm
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from mnist_tune.attributes import CLAIM
from mnist_tune.database import engine_arguments, prepare, shown, utc_now
from mnist_tune.errors import UserError

trials = models.TrialModel.__table__
heartbeats = models.TrialHeartbeatModel.__table__
system_attributes = models.TrialSystemAttributeModel.__table__

UNFINISHED = (TrialState.WAITING, TrialState.RUNNING)
STORAGE_ERRORS = (SQLAlchemyError, StorageInternalError)
"""What a database that fails or is away makes any call here raise."""


def open_storage(url: URL, *, create: bool = False) -> GuardedStorage:
    """Open the studies at `url`; `create` makes the database and its schema where they are missing.

    Raises:
        UserError: one line that says what is wrong with the URL or the database behind it.
    """
    prepare(url, create=create)
    return GuardedStorage(url)


class GuardedStorage(RDBStorage):
    """Optuna's storage, with every write of an attempt fenced by state and claim token.

    `UpdateFinishedTrialError` from any write means: the lease is lost, and nothing was written.
    """

    def __init__(self, url: URL) -> None:
        self.claims: dict[int, str] = {}
        """Trial id to claim token of the attempts this process holds."""
        try:
            super().__init__(
                url.render_as_string(hide_password=False),
                engine_kwargs=engine_arguments(url),
                skip_table_creation=True,
            )
        except RuntimeError as error:  # a schema older or newer than the installed Optuna's
            raise UserError(f"{shown(url)}: {error}") from None

    @staticmethod
    def _fill_storage_url_template(template: str) -> str:
        # Stock calls str.format here, which stumbles over, and prints, a password with braces.
        return template

    @contextmanager
    def transaction(self) -> Iterator[orm.Session]:
        """One transaction, committed at the end of the block or rolled back by an exception in it."""
        session = self.scoped_session()
        try:
            yield session
            session.commit()
        except BaseException:
            session.rollback()
            raise
        finally:
            session.close()

    @contextmanager
    def guarded(self, trial_id: int) -> Iterator[orm.Session]:
        """A transaction that holds the trial's row and has checked that this process may write to it.

        Raises:
            UpdateFinishedTrialError: the trial has ended, or another holds its lease.
            KeyError: there is no such trial.
        """
        with self.transaction() as session:
            # An UPDATE, not a SELECT, so that nobody else can write the row before we commit.
            token = self.claims.get(trial_id)
            if not touch(session, trial_id, token):
                # A trial that we hold and that is gone was deleted under us: a lease lost like any other.
                if token is None and session.get(models.TrialModel, trial_id) is None:
                    raise KeyError(models.NOT_FOUND_MSG)
                raise UpdateFinishedTrialError(f"trial {trial_id} has ended or belongs to another worker")
            yield session

    # Optuna's own writers find the thread's session open, with the row held, and commit it.

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        with self.guarded(trial_id):
            super().set_trial_user_attr(trial_id, key, value)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        with self.guarded(trial_id):
            super().set_trial_system_attr(trial_id, key, value)

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        with self.guarded(trial_id):
            super().set_trial_intermediate_value(trial_id, step, intermediate_value)

    def _set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
        previous_distribution: BaseDistribution | None,
    ) -> None:
        with self.guarded(trial_id):
            super()._set_trial_param(
                trial_id, param_name, param_value_internal, distribution, previous_distribution
            )

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        with self.guarded(trial_id) as session:
            if state == TrialState.RUNNING:
                started = {"state": state, "datetime_start": utc_now()}
                claim = trials.update().where(
                    trials.c.trial_id == trial_id, trials.c.state == TrialState.WAITING
                )
                return changed(session, claim.values(started))
            trial = models.TrialModel.find_or_raise_by_id(trial_id, session)
            for objective, value in enumerate(values or ()):
                self._set_trial_value_without_commit(session, trial, objective, value)
            session.flush()
            ended = (
                {"state": state, "datetime_complete": utc_now()} if state.is_finished() else {"state": state}
            )
            session.execute(trials.update().where(trials.c.trial_id == trial_id).values(ended))
            return True

    def record_heartbeat(self, trial_id: int) -> None:
        with self.guarded(trial_id) as session:
            row = heartbeats.c.trial_id == trial_id
            if not changed(session, heartbeats.update().where(row).values(heartbeat=utc_now())):
                session.execute(heartbeats.insert().values(trial_id=trial_id, heartbeat=utc_now()))


def touch(session: orm.Session, trial_id: int, token: str | None) -> bool:
    """Lock the row of an unfinished trial: claimed with this token or, without one, by no worker of ours."""
    ours = claimed_with(token) if token is not None else ~claimed_with()
    return hold(session, trials.c.trial_id == trial_id, trials.c.state.in_(UNFINISHED), ours)


def hold(session: orm.Session, *which: sqlalchemy.ColumnElement[bool]) -> bool:
    """Lock the rows of `trials` that meet all conditions, for the transaction; whether there are any."""
    return changed(session, trials.update().where(*which).values(state=trials.c.state))


def changed(session: orm.Session, update: sqlalchemy.Update) -> bool:
    """Execute an UPDATE; whether it found a row."""
    result: sqlalchemy.CursorResult[Any] = session.connection().execute(update)
    return result.rowcount > 0


def claimed_with(token: str | None = None) -> sqlalchemy.ColumnElement[bool]:
    """That a row of `trials` was claimed by a worker of ours, with this token if one is given."""
    claimed = sqlalchemy.exists().where(
        system_attributes.c.trial_id == trials.c.trial_id, system_attributes.c.key == CLAIM
    )
    return claimed if token is None else claimed.where(system_attributes.c.value_json == json.dumps(token))
