"""The file in which a head remembers what it has told people, and what it has yet to tell."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.engine import URL

from mnist_tune.errors import UserError
from mnist_tune.files.atomic_write import read_file, write_whole
from mnist_tune.files.home import user_folder
from mnist_tune.files.private_files import OWNER_ONLY
from mnist_tune.serve.notify.events import Event, Kind, Told
from mnist_tune.storage.engine import shown

MOST_PENDING = 1_000
"""As many events wait for a receiver at most."""
FIRST_TO_GO = (Kind.HOLE, Kind.NEW_BEST, Kind.STOPPED, Kind.FINISHED)
"""Of which kind the oldest is given up for a new one if there is no more room."""


def outbox_file(url: URL) -> Path:
    """The file for the head of the storage at `url`: beside an SQLite file, else in the user's data folder.

    Raises:
        UserError: the user has no home.
    """
    if url.drivername == "sqlite":
        file = Path(url.database or "").absolute()
        return file.with_name(f"{file.name}.notified")
    which = hashlib.sha256(shown(url).encode()).hexdigest()[:16]
    return user_folder("data", "$HOME") / f"{which}.notified"


class Pending(BaseModel):
    """An event that a receiver has not been told of yet."""

    model_config = ConfigDict(extra="forbid")

    event: Event
    tries: int = Field(default=0, ge=0)
    """How often it was sent in vain."""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    studies: dict[str, Told] = {}
    """By uid."""
    pending: dict[str, list[Pending]] = {}
    """By receiver, oldest first."""


class Outbox:
    """What receivers were told, and are yet to be told. For one thread; a context manager that locks it."""

    def __init__(self, path: Path, receivers: Collection[str], log: Callable[[str], None]) -> None:
        """`receivers` are those of now; what waits for others is dropped.

        Raises:
            UserError: the file is damaged, cannot be read or written, or another head uses it.
        """
        self.path = path
        self._log = log
        self._is_failing = False
        self._lock = _locked(path)
        try:
            self._file, self.is_new = self._read()
            waiting = self._file.pending
            self._file.pending = {receiver: waiting.get(receiver, []) for receiver in receivers}
            if not self.is_new:
                self._write()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let another head use the file."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def told(self, uid: str) -> Told | None:
        """What was told of a study; None if it is not known."""
        return self._file.studies.get(uid)

    def put(self, studies: Mapping[str, tuple[Sequence[Event], Told]]) -> None:
        """Note the news of studies, by uid, and that every receiver is to be told of the events."""
        for uid, (events, told) in studies.items():
            self._file.studies[uid] = told
            for waiting in self._file.pending.values():
                waiting += (Pending(event=event) for event in events)
                while len(waiting) > MOST_PENDING:
                    kinds = [each.event.event for each in waiting]
                    waiting.pop(next(kinds.index(kind) for kind in FIRST_TO_GO if kind in kinds))
        if studies or self.is_new:
            self.is_new = False
            self._save()

    def keep_only(self, uids: Collection[str]) -> None:
        """Forget the studies that are gone. What is to be told of them is told all the same."""
        gone = self._file.studies.keys() - set(uids)
        for uid in gone:
            del self._file.studies[uid]
        if gone:
            self._save()

    def next_for(self, receiver: str) -> Pending | None:
        """The oldest event that the receiver has not been told of."""
        return next(iter(self._file.pending[receiver]), None)

    def was_told(self, receiver: str, event_id: str) -> None:
        """Note that a receiver was told of an event, or never will be."""
        waiting = self._file.pending[receiver]
        self._file.pending[receiver] = [each for each in waiting if each.event.id != event_id]
        self._save()

    def has_failed(self, receiver: str, event_id: str) -> None:
        """Note that an event was sent to a receiver in vain."""
        for each in self._file.pending[receiver]:
            each.tries += each.event.id == event_id
        self._save()

    def _read(self) -> tuple[_File, bool]:
        try:
            return _File.model_validate_json(read_file(self.path)), False
        except FileNotFoundError:
            return _File(), True
        except OSError as error:
            raise UserError(f"{self.path}: cannot be read: {error.strerror}") from None
        except ValidationError:
            raise UserError(
                f"{self.path}: is damaged; restore it, or delete it to hear only of what happens from then on"
            ) from None

    def _save(self) -> None:
        """Write the file; if that fails, it is written the next time. Meanwhile memory has what it lacks."""
        try:
            self._write()
        except UserError as error:
            if not self._is_failing:
                self._log(f"{error}; after a start of the head, events are told again")
            self._is_failing = True
        else:
            self._is_failing = False

    def _write(self) -> None:
        try:
            write_whole(self.path, self._file.model_dump_json().encode(), OWNER_ONLY)
        except OSError as error:
            raise UserError(f"{self.path}: cannot be written: {error.strerror or error}") from None


def _locked(path: Path) -> int | None:
    """Lock the file against other heads, by a file beside it that stays."""
    beside = path.with_name(f"{path.name}.lock")
    descriptor = -1
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(beside, flags, OWNER_ONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise UserError(
            f"--notify: another head of this storage tells of its events; leave out --notify ({beside})"
        ) from None
    except OSError as error:
        with suppress(OSError):
            os.close(descriptor)
        raise UserError(f"{beside}: cannot be written: {error.strerror}") from None
    return descriptor
