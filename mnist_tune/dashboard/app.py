"""The application behind the dashboard's address: optuna-dashboard with our additions and guards."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import sqlalchemy
from optuna_dashboard import wsgi

from mnist_tune.dashboard.clock import go_by_utc
from mnist_tune.dashboard.files import FilesNotHere, OwnFiles
from mnist_tune.dashboard.guards import Guard
from mnist_tune.dashboard.importances import OneMeasure
from mnist_tune.dashboard.internals import forget_studies
from mnist_tune.dashboard.plugins import Bodies, Deletion, Refusals, TrialNotes
from mnist_tune.dashboard.snapshots import SnapshotStorage
from mnist_tune.files.locations import Folders
from mnist_tune.storage.artifacts import ArtifactFolder
from mnist_tune.storage.guarded import GuardedStorage

if TYPE_CHECKING:
    from bottle import Bottle


def guarded_app(
    storage: GuardedStorage,
    folders: Folders,
    is_our_name: Callable[[str], bool],
    *,
    read_only: bool = False,
) -> Guard:
    """The dashboard over a storage and the folders beside it; it answers to our own names only."""
    check_connections(storage)
    if read_only:
        forbid_writes(storage)
    return Guard(dashboard_app(storage, folders), is_our_name, read_only=read_only)


def dashboard_app(storage: GuardedStorage, folders: Folders) -> Bottle:
    """optuna-dashboard with our plugins; it does not check who asks."""
    go_by_utc()
    snapshots, files = SnapshotStorage(storage), ArtifactFolder(folders.artifacts.path)
    app: Any = wsgi(snapshots, artifact_store=files)
    notes = TrialNotes(snapshots)
    deletion = Deletion(snapshots, folders)
    measure = OneMeasure(snapshots)
    for plugin in (
        Bodies(),
        notes,
        measure,
        deletion,
        OwnFiles(snapshots, folders),
        FilesNotHere(),
        Refusals(snapshots),
    ):
        app.install(plugin)

    def forget() -> None:
        forget_studies(app)
        notes.forget()
        measure.forget()

    snapshots.on_replaced = forget
    return app


def check_connections(storage: GuardedStorage) -> None:
    """Replace connections that the server has dropped before they are used."""

    def on_checkout(connection: Any, *_: object) -> None:
        dialect = storage.engine.dialect
        try:
            dialect.do_ping(connection)
        except dialect.loaded_dbapi.Error:
            raise sqlalchemy.exc.DisconnectionError from None

    if storage.engine.dialect.name == "postgresql":
        sqlalchemy.event.listen(storage.engine, "checkout", on_checkout)


def forbid_writes(storage: GuardedStorage) -> None:
    """Have the database itself refuse everything that this storage would write."""

    def on_connect(connection: Any, _: object) -> None:
        if storage.engine.dialect.name == "sqlite":
            connection.execute("PRAGMA query_only = ON")
        else:
            connection.read_only = True

    sqlalchemy.event.listen(storage.engine, "connect", on_connect)
    storage.engine.dispose()  # existing connections were made without the setting
