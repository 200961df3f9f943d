"""A parameter for each kind of damage, and checks for the answers to all of them."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.damaged_values import Case

HANGS_AFTER = 120
"""Seconds after which a command counts as hanging."""
SEED = 13
EACH_DAMAGE = pytest.mark.parametrize(
    "each",
    [
        1,
        pytest.param(3, marks=pytest.mark.slow),
        pytest.param(12, marks=[pytest.mark.slow, pytest.mark.campaign, pytest.mark.timeout(3600)]),
    ],
)
"""How many damages are tried for each column and attribute."""


@contextmanager
def fails_if_it_hangs(case: Case) -> Iterator[None]:
    """Fail after a time instead of waiting for ever."""

    def give_up(*_: object) -> None:
        raise TimeoutError(f"hangs: {case}")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(HANGS_AFTER)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def parse_strict_json(text: str) -> Any:
    """Parse strict JSON, without NaN and Infinity."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)
