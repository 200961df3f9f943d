"""Browsers that have logged in to a head: each has a random word instead of its token."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable

from mnist_tune.serve.tokens import Known

MOST = 1_000
"""As many browsers are logged in at most; for another one, the one that logged in first is logged out."""
SECONDS = 12 * 3600
WORD_BYTES = 32


class Sessions:
    """The sessions of a head, which end with it. Only its event loop uses them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sessions: OrderedDict[str, tuple[Known, float]] = OrderedDict()

    def begin(self, token: Known) -> str:
        """Begin a session for who holds this token; returns the word by which it is found."""
        while len(self._sessions) >= MOST:
            self._sessions.popitem(last=False)
        word = secrets.token_urlsafe(WORD_BYTES)
        self._sessions[word] = token, self._clock() + SECONDS
        return word

    def find(self, word: str) -> Known | None:
        """Whose token began the session; None if there is none, or if it has lasted long enough."""
        token, ends = self._sessions.get(word, (None, 0.0))
        if token is not None and self._clock() >= ends:
            self.end(word)
            return None
        return token

    def end(self, word: str) -> None:
        """End a session, if there is one."""
        self._sessions.pop(word, None)
