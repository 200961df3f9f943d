"""[search] sampler: Optuna's by their names, those that other packages bring, and the options of each.

A package brings a sampler by an entry point of the group `mnist_tune.samplers`. A stored name means what the
machine's owner has installed under it, where the sampler runs, and never a module or a file.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from mnist_tune.errors import UserError
from mnist_tune.spec.documents import KeyedError, short_value

GROUP = "mnist_tune.samplers"
"""The group of entry points by which a distribution brings samplers."""
GRID = "grid"
BUILT_IN = (GRID, "random", "tpe", "gp", "cmaes", "qmc")
OF_SAMPLERS: dict[str, tuple[str, ...]] = {
    "n_startup_trials": ("tpe", "gp", "cmaes"),
    "qmc_type": ("qmc",),
    "scramble": ("qmc",),
    "options": (),
}
"""Keys that only some samplers know, and which of Optuna's do."""
MOST_INT = 2**63
DEEPEST = 10
"""How many tables or lists may lie in each other, since what reads them calls itself for each."""

SamplerName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]


def installed() -> dict[str, EntryPoint]:
    """The samplers that other packages bring here, by name; none of them can replace one of Optuna's."""
    return {point.name: point for point in entry_points(group=GROUP) if point.name not in BUILT_IN}


def is_own(sampler: str) -> bool:
    """Whether a sampler is one that another package brings."""
    return sampler not in BUILT_IN


def check_spelling(sampler: object, source: str) -> None:
    """Refuse one of Optuna's names that is misspelt, where a person has written it.

    Any other name may be that of a package which is installed only where the sampler runs.

    Raises:
        UserError: what was meant.
    """
    if not isinstance(sampler, str) or not is_own(sampler) or sampler in installed():
        return
    near = get_close_matches(sampler.lower(), BUILT_IN, n=1)
    if near and abs(len(near[0]) - len(sampler)) <= 1:
        raise UserError(
            f"{source}: search.sampler: {short_value(sampler)} is not known; did you mean '{near[0]}'?"
        )


def check_options(sampler: str, given: Iterable[str]) -> None:
    """Check that a sampler knows the keys that it is given.

    Raises:
        KeyedError: it does not know one of them.
    """
    for key in given:
        if is_own(sampler):
            if key != "options":
                raise KeyedError(key, f'sampler = "{sampler}" is given its own under [search.options]')
        elif sampler not in OF_SAMPLERS[key]:
            raise KeyedError(key, f'sampler = "{sampler}" {_why_not(key)}; remove this')


def _why_not(key: str) -> str:
    if key == "n_startup_trials":
        return "never learns"
    return f"does not know it, but {' and '.join(OF_SAMPLERS[key]) or 'those that a package brings'}"


def _plain_options(table: Any) -> Any:
    if isinstance(table, dict):
        for key, value in table.items():
            if not (isinstance(key, str) and key.isidentifier()):
                raise ValueError(f"{short_value(key)} is no name of an option")
            if key == "seed":
                raise KeyedError(key, "search.seed is the seed of every sampler; remove this")
            _check_plain(key, value, DEEPEST)
    return table


def _check_plain(key: str, value: Any, depth: int) -> None:
    """Check that JSON and TOML can both keep a value."""
    if isinstance(value, dict | list) and depth:
        for name, one in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(value, dict) and not isinstance(name, str):
                raise KeyedError(key, f"{short_value(name)} is no name; write it in quotes")
            _check_plain(f"{key}.{name}", one, depth - 1)
    elif not (
        (isinstance(value, str) and _can_be_written(value))
        or isinstance(value, bool)
        or (isinstance(value, int) and -MOST_INT <= value < MOST_INT)
        or (isinstance(value, float) and math.isfinite(value))
    ):
        raise KeyedError(key, f"{short_value(value)} is no number, text, list or table that can be kept")


def _can_be_written(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


Options = Annotated[dict[str, Any], BeforeValidator(_plain_options)]
"""[search.options]: what an installed sampler is given by name."""
