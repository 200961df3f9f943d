"""Tells people of what happens in the studies of a head, in a thread and an event loop of its own.

What has happened is seen by looking at what is stored, and by comparing it with what was told. So nothing
is missed: neither what happens while the head is stopped, nor what others do to the database. A look is one
short statement, unless trials have ended since the last one.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import URL

from mnist_tune.errors import Damaged, MnistTuneError
from mnist_tune.serve.notify.events import Event, Told, news
from mnist_tune.serve.notify.outbox import Outbox, outbox_file
from mnist_tune.serve.notify.receiver import NotTold, Receiver
from mnist_tune.storage.database_errors import in_one_line
from mnist_tune.storage.guarded import STORAGE_ERRORS, GuardedStorage
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.store import open_study
from mnist_tune.text.visible import visible
from mnist_tune.text.wording import counted, first_line

if TYPE_CHECKING:  # it loads Optuna, for which a head's start need not wait
    from mnist_tune.results.outcomes import Outcomes

LOOK_SECONDS = 2.0
"""How often to look."""
SHARE = 0.05
"""The most of a time that goes into looking: answers to workers come first."""
PAUSES = (1.0, 5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0)
"""In seconds: for how long a receiver is left alone that was told in vain once, twice, and so on."""
MOST_TRIES = 8
"""After so many an event is given up: with these pauses, after almost two hours."""
SECONDS_TO_FINISH = 1.0
"""At the end of the head: how long receivers may still take, so that fewer are told twice."""
SECONDS_TO_END = 5.0


class Notifier:
    """Watches the studies, and tells receivers; a context manager."""

    def __init__(
        self,
        storage: GuardedStorage,
        outbox: Outbox,
        receivers: Sequence[Receiver],
        log: Callable[[str], None],
    ) -> None:
        self._watch = _Watch(storage, outbox, log)
        self._outbox = outbox
        self._receivers = receivers
        self._log = log
        self._loop = asyncio.new_event_loop()
        self._ending = asyncio.Event()
        self._news: dict[str, asyncio.Event] = {receiver.key: asyncio.Event() for receiver in receivers}
        self._in_touch: set[str] = set()
        """The receivers that are being told of something."""
        self._thread = threading.Thread(target=self._run, name="notifier", daemon=True)

    def __enter__(self) -> Notifier:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it. What receivers have not been told is told after the next start."""
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(SECONDS_TO_END)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._all())

    async def _all(self) -> None:
        with ThreadPoolExecutor(1, "notifier") as looking:
            tellers = {each.key: asyncio.create_task(self._tell(each)) for each in self._receivers}
            tasks = [asyncio.create_task(self._look(looking)), *tellers.values()]
            ending = asyncio.create_task(self._ending.wait())
            await asyncio.wait([ending, *tasks], return_when=asyncio.FIRST_COMPLETED)
            if in_touch := [tellers[key] for key in self._in_touch]:
                await asyncio.wait(in_touch, timeout=SECONDS_TO_FINISH)
            for task in (ending, *tasks):
                task.cancel()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(result, Exception):
                    self._log(f"notify: nobody is told any more: {type(result).__name__}: {result}")

    async def _look(self, looking: ThreadPoolExecutor) -> None:
        while True:
            began = time.monotonic()
            found = await self._loop.run_in_executor(looking, self._watch.look)
            if found is not None:
                self._outbox.put(found)
                if self._watch.uids is not None:
                    self._outbox.keep_only(self._watch.uids)
                for each in self._news.values():
                    each.set()
            took = time.monotonic() - began
            await asyncio.sleep(max(LOOK_SECONDS, took * (1 / SHARE - 1)))

    async def _tell(self, receiver: Receiver) -> None:
        key, in_vain, given_up = receiver.key, 0, 0
        try:
            while not self._ending.is_set():
                self._news[key].clear()
                while (pending := self._outbox.next_for(key)) is not None:
                    self._in_touch.add(key)
                    why = await _why_not_told(receiver, pending.event)
                    self._in_touch.discard(key)
                    if why is None:
                        self._outbox.was_told(key, pending.event.id)
                        if in_vain:
                            lost = f"; {counted(given_up, 'event')} given up" if given_up else ""
                            self._log(f"notify {receiver.shown}: is told again{lost}")
                        in_vain = given_up = 0
                        if self._ending.is_set():
                            return
                        continue
                    if not in_vain:
                        self._log(f"notify {receiver.shown}: {why}; it is tried again")
                    in_vain += 1
                    self._outbox.has_failed(key, pending.event.id)
                    if pending.tries >= MOST_TRIES:
                        given_up += 1
                        self._log(f"notify {receiver.shown}: is never told: {pending.event.text}")
                        self._outbox.was_told(key, pending.event.id)
                    else:
                        await asyncio.sleep(PAUSES[min(pending.tries, len(PAUSES)) - 1])
                await self._news[key].wait()
        finally:
            await receiver.close()


async def _why_not_told(receiver: Receiver, event: Event) -> str | None:
    """Tell a receiver of an event; why that has failed, None if it has not."""
    try:
        await receiver.tell(event)
    except NotTold as why:
        return str(why)
    except Exception as error:  # whatever it is, the others are told
        return f"failed ({type(error).__name__})"
    return None


@contextmanager
def outbox_for(
    url: URL, receivers: Sequence[Receiver], log: Callable[[str], None]
) -> Iterator[Outbox | None]:
    """What these receivers have been told of a database, for this process alone; None if there are none.

    Raises:
        UserError: the file of what was told is damaged, cannot be written, or is another head's.
    """
    if not receivers:
        yield None
        return
    outbox = Outbox(outbox_file(url), [receiver.key for receiver in receivers], log)
    try:
        yield outbox
    finally:
        outbox.close()


@contextmanager
def notifying(
    storage: GuardedStorage,
    outbox: Outbox | None,
    receivers: Sequence[Receiver],
    log: Callable[[str], None],
) -> Iterator[None]:
    """Tell these receivers, if any, of events within the block."""
    if outbox is None:
        yield
        return
    with Notifier(storage, outbox, receivers, log):
        yield


class _Watch:
    """Finds what is new; for one thread at a time."""

    def __init__(self, storage: GuardedStorage, outbox: Outbox, log: Callable[[str], None]) -> None:
        self._storage = storage
        self._outbox = outbox
        self._log = log
        self._seen: dict[int, tuple[Any, OpenStudy, Outcomes]] = {}
        """By study id: its mark at the last look, the study, and what has come of it."""
        self._problems: dict[str, str] = {}
        self.uids: set[str] | None = None
        """The uids of all studies; None while one of them cannot be read."""

    def look(self) -> dict[str, tuple[list[Event], Told]] | None:
        """What is new, by the uid of its study; None if the storage does not answer."""
        try:
            return self._look()
        except Exception as error:  # whatever it is, the next look may succeed
            self._has_problem("the studies are not seen", error)
            return None

    def _look(self) -> dict[str, tuple[list[Event], Told]]:
        from mnist_tune.results.outcomes import glances

        now = glances(self._storage)
        self._seen = {study_id: seen for study_id, seen in self._seen.items() if study_id in now}
        found, unread = {}, False
        for study_id, glance in now.items():
            seen = self._seen.get(study_id)
            if seen is not None and seen[0] == glance.mark:
                continue
            name = str(glance.name)
            try:
                uid, events, told = self._news(study_id, name, glance.mark)
            except STORAGE_ERRORS as error:  # what was found before is told
                if self._outbox.is_new:  # all that is there now counts as told, or nothing yet
                    self._seen.clear()
                    raise
                self._has_problem("the studies are not seen", error)
                unread = True
                break
            except Exception as error:  # a damaged study hides no other
                self._has_problem(f"study '{name}' is not seen", error)
                unread = True
                continue
            self._problems.pop(f"study '{name}' is not seen", None)
            if told != self._outbox.told(uid):
                found[uid] = ([] if self._outbox.is_new else events), told
        else:
            self._problems.pop("the studies are not seen", None)
        self.uids = None if unread else {study.uid for _, study, _ in self._seen.values()}
        return found

    def _news(self, study_id: int, name: str, mark: Any) -> tuple[str, list[Event], Told]:
        from mnist_tune.results.outcomes import Outcomes

        study = open_study(self._storage, name)
        seen = self._seen.get(study_id)
        outcomes = seen[2] if seen is not None and seen[1].uid == study.uid else Outcomes()
        outcome = outcomes.now(study)
        events, told = news(name, study.uid, study.spec, outcome, self._outbox.told(study.uid) or Told())
        self._seen[study_id] = None if outcome.may_change_unseen else mark, study, outcomes
        return study.uid, events, told

    def _has_problem(self, what: str, error: Exception) -> None:
        known = isinstance(error, MnistTuneError | Damaged)
        why = (str(error) if known else in_one_line(error)) or f"{type(error).__name__}: {error}"
        if self._problems.get(what) != why:
            self._problems[what] = why
            self._log(f"notify: {visible(what)}: {first_line(why)}")
