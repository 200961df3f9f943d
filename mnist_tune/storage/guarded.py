"""An Optuna storage in which only the holder of a trial's lease can write to the trial.

Stock `RDBStorage` checks a trial's state, then writes: in between another process may fail the trial, and the
late write is stored all the same. Here the check is an UPDATE of the trial's row, so that it locks the row
(in SQLite the database), and the write follows in the same transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, Unpack

import sqlalchemy
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import event, orm, select
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.exc import DBAPIError, NoResultFound, SQLAlchemyError

from mnist_tune.errors import Damaged, UserError
from mnist_tune.storage.engine import changes_of_tables, engine_arguments, lock, shown, utc_now
from mnist_tune.storage.groups import GroupedStorage
from mnist_tune.storage.migrations import VERSION, is_up_to_date, migrate, version_of
from mnist_tune.storage.notes import Notes
from mnist_tune.storage.optuna_internals import trials
from mnist_tune.storage.schema import prepare
from mnist_tune.storage.statements import beat, changed, end, put, touch
from mnist_tune.storage.tables import has_table
from mnist_tune.storage.timeouts import Deadline

STORAGE_ERRORS = (SQLAlchemyError, StorageInternalError)
"""The errors that any call here may raise when the database fails or is away."""

CLAIMS_IN_MIND = 10_000
"""How many claim tokens are kept at most."""


TABLES_AT = "mnist_tune:tables_at"
"""The note on a connection after which change of the tables they were seen to be up to date."""


def open_storage(url: URL, *, create: bool = False) -> GuardedStorage:
    """Open the studies at `url`; `create` makes the database and its schema where they are missing.

    Raises:
        UserError: one line that says what is wrong with the URL or its database.
        MnistTuneError: the database is damaged, or its disk is full.
    """
    prepare(url, create=create)
    return GuardedStorage(url, Deadline.of(create=create))


class GuardedStorage(GroupedStorage):
    """Optuna's storage, with every write of an attempt guarded by the trial's state and claim token.

    If a write raises `UpdateFinishedTrialError`, the lease is lost and nothing was written.
    """

    def __init__(self, url: URL, deadline: Deadline | None = None) -> None:
        self.claims: dict[int, str] = {}
        """The claim tokens of this process by trial id, for writers that name none; only the last ones."""
        self.deadline = deadline or Deadline()
        """How long the server may be silent."""
        self._tables: set[str] = set()
        """The names of our own tables that were seen in the database."""
        try:
            super().__init__(
                url.render_as_string(hide_password=False),
                engine_kwargs=engine_arguments(url, deadline=self.deadline),
                skip_table_creation=True,
            )
        except RuntimeError as error:  # the schema is older or newer than the installed Optuna's
            raise UserError(f"{shown(url)}: {error}") from None
        event.listen(self.engine, "handle_error", _lost_connection, retval=True)

    def keep_claim(self, trial_id: int, token: str) -> None:
        """Keep the token with which this process has claimed a trial. A head has those of all its workers."""
        self.claims.pop(trial_id, None)
        self.claims[trial_id] = token
        if len(self.claims) > CLAIMS_IN_MIND:  # nobody tells of attempts whose study is deleted
            del self.claims[next(iter(self.claims))]

    @contextmanager
    def guarded(self, trial_id: int, token: str | None = None) -> Iterator[orm.Session]:
        """A transaction that holds the trial's row; the holder of `token` may write to it.

        Without a token, it is the one with which this process has claimed the trial, if it has.

        Raises:
            UpdateFinishedTrialError: the trial has ended, or another holds its lease.
            KeyError: there is no such trial.
        """
        with self.transaction() as session:
            # An UPDATE, not a SELECT, so that nobody else can write the row before we commit.
            token = token or self.claims.get(trial_id)
            if not touch(session, trial_id, token):
                # A trial that this process claimed and that is gone was deleted: its lease is lost.
                with_id = select(trials.c.trial_id).where(trials.c.trial_id == trial_id)
                if token is None and session.execute(with_id).first() is None:
                    raise KeyError(f"there is no trial {trial_id}")
                raise UpdateFinishedTrialError(f"trial {trial_id} has ended or belongs to another worker")
            yield session

    def has(self, session: orm.Session, table: sqlalchemy.Table) -> bool:
        """Whether the database has this table of ours; if not, a worker may still make it later."""
        if table.name not in self._tables and has_table(session.connection(), table):
            self._tables.add(table.name)
        return table.name in self._tables

    def is_up_to_date(self) -> bool:
        """Whether our tables are those of this version, with all that belongs to them."""
        with self.transaction() as session:
            return is_up_to_date(session.connection())

    def migrate(self) -> None:
        """Bring our tables up to date; must be called before anything is written to them.

        Raises:
            UserError: a newer version has made them, or the database's user may not do that.
        """
        with self.transaction() as session:
            if not is_up_to_date(session.connection()):
                lock(session.connection())
                migrate(session.connection())

    def have_tables(self) -> None:
        """The same as `migrate`, which is looked at anew only when the database's tables may have changed.

        On PostgreSQL, which does not count changes, it is looked at once for each connection.

        Raises:
            InGroup: something is missing, and this thread is in a group.
            UserError: as `migrate`.
        """
        with self.transaction() as session:
            connection = session.connection()
            if connection.info.get(TABLES_AT) == (at := changes_of_tables(connection)):
                return
            if is_up_to_date(connection):
                connection.info[TABLES_AT] = at
                return
            self.refuse_group()
        self.migrate()

    def mend(self) -> None:
        """Make what is missing of our tables, in a database that is of this version and of no older one.

        Without the table of epochs, our trigger in SQLite would let nobody delete a trial.
        """
        with self.transaction() as session:
            is_ours = version_of(session.connection()) == VERSION
        if is_ours:
            self.migrate()

    def frozen(self, session: orm.Session, trial_id: int) -> FrozenTrial:
        """A trial as Optuna's own object, read in the caller's transaction.

        Raises:
            Damaged: the stored rows are not what Optuna stores.
        """
        try:
            return self.trial_in(session, trial_id)
        except SQLAlchemyError:
            raise
        except Exception as error:  # damaged rows can raise anything
            raise Damaged(f"cannot be read: {type(error).__name__}: {error}") from None

    def readable_trials(self, study_id: int, trial_ids: set[int], above: int) -> list[FrozenTrial]:
        """A study's trials with these ids or with an id greater than `above`, without unreadable ones."""
        try:
            return self.trials_among(study_id, trial_ids, above)
        except (*STORAGE_ERRORS, KeyError):
            raise
        except Exception:  # damaged rows can raise anything
            wanted = trials.c.trial_id.in_(trial_ids) | (trials.c.trial_id > above)
            with self.transaction() as session:
                which = select(trials.c.trial_id).where(trials.c.study_id == study_id, wanted)
                ids = list(session.execute(which.order_by(trials.c.trial_id)).scalars())
            return [trial for trial_id in ids if (trial := self._readable(trial_id)) is not None]

    def _readable(self, trial_id: int) -> FrozenTrial | None:
        with self.transaction() as session, suppress(Damaged, NoResultFound):
            return self.frozen(session, trial_id)
        return None

    # Our own writers use plain SQL: Optuna's read the trial and the value to be replaced once more each.

    def write(self, trial_id: int, **notes: Unpack[Notes]) -> None:
        """Set attributes and intermediate values of a trial in one guarded transaction.

        A second write replaces the first, so that a write may be repeated when its answer was lost.
        """
        with self.guarded(trial_id) as session:
            put(session, trial_id, **notes)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        self.write(trial_id, user={key: value})

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        self.write(trial_id, system={key: value})

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        self.write(trial_id, reports={step: intermediate_value})

    def writing_a_parameter(self, trial_id: int) -> AbstractContextManager[Any]:
        return self.guarded(trial_id)

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
            end(session, trial_id, state, values or ())
            return True

    def record_heartbeat(self, trial_id: int) -> None:
        with self.guarded(trial_id) as session:
            beat(session, trial_id)


def _lost_connection(context: ExceptionContext) -> DBAPIError | None:
    """Turn a lost connection into an error that is not an OperationalError.

    Optuna takes any OperationalError in a read for too many values in a statement: it prints a warning and
    reads on in the dead session.
    """
    lost = context.sqlalchemy_exception
    if not context.is_disconnect or not isinstance(lost, DBAPIError) or lost.orig is None:
        return None
    return DBAPIError(
        lost.statement, lost.params, lost.orig, hide_parameters=True, connection_invalidated=True
    )
