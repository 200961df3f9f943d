"""Counts failed logins, so that nobody can try token after token."""

from __future__ import annotations

import ipaddress
import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

MOST_FAILURES = 10
WITHIN_SECONDS = 60.0
MOST_ADDRESSES = 10_000
"""As many are remembered; the one whose last failure is the oldest is forgotten for a new one."""
NETWORK_BITS = 64
"""The part of an IPv6 address that counts: one machine may take any address of such a network."""
LONGEST = 100
"""Characters of an address that is no IP address."""


class FailedLogins:
    """The failures of each address in the last minute. It may be used by several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()  # by their last failure
        self._lock = threading.Lock()

    def seconds_to_wait(self, address: str) -> int:
        """For how long attempts of this address are refused, whatever their token; 0 if they are not."""
        with self._lock:
            now = self._clock()
            failures = self._failures.get(_counted(address))
            if failures is None or len(failures) < MOST_FAILURES:
                return 0
            return max(0, math.ceil(failures[0] + WITHIN_SECONDS - now))

    def failed(self, address: str) -> None:
        """Count a failure. Attempts that were refused are not counted, so that waiting helps."""
        with self._lock:
            now = self._clock()
            counted = _counted(address)
            self._failures.setdefault(counted, deque(maxlen=MOST_FAILURES)).append(now)
            self._failures.move_to_end(counted)
            self._forget(now)

    @property
    def remembered(self) -> int:
        """The number of addresses whose failures are remembered."""
        return len(self._failures)

    def _forget(self, now: float) -> None:
        while self._failures:
            oldest = next(iter(self._failures))
            if len(self._failures) <= MOST_ADDRESSES and self._failures[oldest][-1] + WITHIN_SECONDS > now:
                return
            del self._failures[oldest]


def _counted(address: str) -> str:
    """The address, or the network that stands for it."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:LONGEST]
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed), NETWORK_BITS), strict=False))
