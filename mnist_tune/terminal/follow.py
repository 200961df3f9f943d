"""Follows a study: until this command's own workers have left, or until others have finished it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from mnist_tune.contract.retrying import StorageRetry, away
from mnist_tune.results.study_results import Results
from mnist_tune.storage.retrying import why_it_may_pass
from mnist_tune.terminal.display import Display
from mnist_tune.terminal.tail import Tail

if TYPE_CHECKING:
    from mnist_tune.worker.signals import StopRequest

POLL_SECONDS = 0.5
READING_SHARE = 0.1  # of the time, at most: watching a large study must not slow its workers
LONGEST_PAUSE = 10.0  # seconds: one slow answer must not stop the watching
REACTION_SECONDS = 0.1  # to Ctrl-C and to a new size of the terminal
STOPPING = (
    "stopping: the workers finish their epochs; Ctrl-C again gives their trials back at once",
    "stopping: the workers give their trials back; Ctrl-C again kills them",
    "killing the workers; their trials come back after the grace period",
)
"""What the first, second and third request to stop do."""
Read = Callable[[], Results]
"""Reads the study as it is now."""


class Workers(Protocol):
    """The workers of this command, wherever they run."""

    def is_alive(self) -> bool:
        """Whether any worker still runs."""

    def stop(self, times: int) -> None:
        """Ask every worker to leave: at the end of its epoch or, the second time, at once.

        `times` is how often it was asked by now; repeating a number changes nothing.
        """

    def kill(self) -> None:
        """Kill every worker."""

    def exit_code(self) -> int:
        """2 if a worker refused its arguments, 1 if one failed otherwise, else 0."""

    def failures(self) -> list[str]:
        """The last output of the workers that failed, one line each."""


def follow(
    read: Read,
    results: Results,
    workers: Workers,
    start: Callable[[], None],
    stop: StopRequest,
    shown_on: Display,
) -> Results:
    """Start the workers, show their progress until the last has left, and return the final results.

    `results` is the study before they start. Stop requests are passed on to the workers; the third kills
    them.
    """
    passed_on = 0

    def have_left(_: Results) -> bool:
        nonlocal passed_on
        if (times := stop.times) > passed_on:
            passed_on = times
            display.say(STOPPING[min(passed_on, len(STOPPING)) - 1])
            if passed_on < len(STOPPING):
                workers.stop(passed_on)
            else:
                workers.kill()
        return not workers.is_alive()

    with shown_on as display:
        try:
            start()
            # If the storage stays away, the workers give up and say so.
            _observe(read, results, display, have_left, storage_timeout=float("inf"))
        finally:
            workers.stop(1)  # whatever has failed here, no worker stays behind
        timeout = results.spec.lease.storage_timeout
        ask = StorageRetry(timeout, display.say, hurry=lambda: stop.requested, away=_why_away)
        results = ask(read)
        display.show(results)
    return results


def watch(
    read: Read,
    results: Results,
    stop: StopRequest,
    shown_on: Display | Tail,
    is_over: Callable[[Results], bool] = lambda now: now.is_over,
) -> Results:
    """Show a study whose workers run anywhere, until it is over or the user stops watching."""
    with shown_on as display:
        return _observe(
            read,
            results,
            display,
            lambda now: is_over(now) or stop.requested,
            storage_timeout=results.spec.lease.storage_timeout,
        )


def _observe(
    read: Read,
    results: Results,
    display: Display | Tail,
    is_over: Callable[[Results], bool],
    storage_timeout: float,
) -> Results:
    """Show the study until `is_over`; returns its last reading.

    If the storage is away, it is asked again for `storage_timeout` seconds.
    """
    reader = _Reader(read)
    next_look = time.monotonic() + POLL_SECONDS
    asked: float | None = None
    away_since: float | None = None
    while not is_over(results):
        if asked is None and time.monotonic() >= next_look:
            asked = time.monotonic()
            reader.ask()
        answer = reader.answer(REACTION_SECONDS)
        display.look_at_the_size()
        if answer is None or asked is None:
            continue
        if isinstance(answer, Results):
            results = answer
            if away_since is not None:
                display.say("the storage answers again")
            away_since = None
            display.show(results)
        else:
            if _why_away(answer) is None:
                raise answer
            if away_since is None:
                away_since = asked
                display.say("the storage does not answer; asking again")
            elif asked - away_since > storage_timeout:
                raise answer
        took = time.monotonic() - asked
        next_look = time.monotonic() + min(max(POLL_SECONDS, took / READING_SHARE), LONGEST_PAUSE)
        asked = None
    return results


def _why_away(error: Exception) -> str | None:
    """Why the storage does not answer; None for an error of another kind."""
    why = why_it_may_pass(error)
    return away(error) if why is None else why


class _Reader:
    """Reads a study in separate threads, so that a slow answer delays neither Ctrl-C nor the screen."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._answers: queue.SimpleQueue[Results | Exception] = queue.SimpleQueue()

    def ask(self) -> None:
        """Start to read."""
        threading.Thread(target=self._answer, name="reader", daemon=True).start()

    def answer(self, seconds: float) -> Results | Exception | None:
        """The results, or the error of reading them; None if neither comes within so many seconds."""
        try:
            return self._answers.get(timeout=seconds)
        except queue.Empty:
            return None

    def _answer(self) -> None:
        try:
            self._answers.put(self._read())
        except Exception as error:
            self._answers.put(error)
