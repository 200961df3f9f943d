"""Samplers that other packages bring: found by the name of their entry point, and made for each draw anew.

What is stored names an entry point and gives options, as plain data. What is imported for it is what the
owner of this machine has installed: see spec/sampler_options.py.
"""

from __future__ import annotations

import functools
import inspect
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.samplers import BaseSampler

from mnist_tune.contract.study import SamplerFailed
from mnist_tune.errors import UserError
from mnist_tune.spec.documents import short_value
from mnist_tune.spec.sampler_options import BUILT_IN, GROUP, installed, is_own
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage.guarded import STORAGE_ERRORS
from mnist_tune.storage.optuna_internals import contains
from mnist_tune.text.wording import first_line


def own_sampler(name: str, options: Mapping[str, Any], seed: int) -> BaseSampler:
    """The sampler of this name, made with the options, and with the seed if it takes one.

    Raises:
        UserError: it is not installed here, or cannot be made.
    """
    make = loaded(name)
    try:
        made = make(**options, **({"seed": seed} if takes_seed(name) else {}))
    except Exception as error:
        raise UserError(
            f"search.options: sampler '{name}' cannot be made with them: {said(error)}"
        ) from error
    if not isinstance(made, BaseSampler):
        raise UserError(
            f"search.sampler: '{name}' makes a {type(made).__name__}, which is no optuna.samplers.BaseSampler"
        )
    return made


def check_installed(spec: Spec) -> None:
    """Refuse a study whose sampler is not installed here.

    Raises:
        UserError: which sampler that is, and what to do.
    """
    if is_own(spec.search.sampler):
        loaded(spec.search.sampler)


def check_options(spec: Spec) -> list[str]:
    """Make the sampler of a new study once; a line for what it takes no notice of.

    Raises:
        UserError: it is not installed here, or cannot be made.
    """
    search = spec.search
    if not is_own(search.sampler):
        return []
    own_sampler(search.sampler, search.options or {}, search.seed)
    if search.seed and not takes_seed(search.sampler):
        return [f"search.seed: changes nothing: sampler '{search.sampler}' takes no seed"]
    return []


@functools.cache
def loaded(name: str) -> Callable[..., object]:
    """The class or function that makes the sampler of this name.

    Raises:
        UserError: no package here brings it, or it cannot be imported.
    """
    point = installed().get(name)
    if point is None:
        raise UserError(
            f"search.sampler: '{name}' is none of {', '.join(BUILT_IN)}, and is not installed on "
            f"{socket.gethostname()}; install the package there that brings it, by an entry point of the "
            f"group {GROUP}"
        )
    try:
        make = point.load()
    except SystemExit as left:
        raise UserError(
            f"search.sampler: '{name}' leaves with sys.exit({left.code!r}) when it is imported"
        ) from None
    except Exception as error:
        raise UserError(f"search.sampler: '{name}' cannot be imported: {said(error)}") from error
    if not callable(make):
        raise UserError(f"search.sampler: '{name}' is {point.value}, which is no class or function")
    found: Callable[..., object] = make
    return found


def takes_seed(name: str) -> bool:
    """Whether a sampler can be given a seed. Raises UserError, as `loaded` does."""
    try:
        return "seed" in inspect.signature(loaded(name)).parameters
    except (TypeError, ValueError):  # some that are written in C have no signature
        return False


@contextmanager
def naming(name: str) -> Iterator[None]:
    """A block in which another package's sampler draws: what it raises is told with its name.

    Raises:
        SamplerFailed: it has failed.
    """
    try:
        yield
    except (*STORAGE_ERRORS, UpdateFinishedTrialError):
        raise
    except UserError as error:  # it cannot be made
        raise SamplerFailed(str(error)) from error
    except Exception as error:
        if not is_own(name):
            raise
        raise SamplerFailed(f"sampler '{name}': {said(error)}") from error


def within(axis: BaseDistribution, name: str, value: Any) -> Any:
    """A drawn value of a field as it is read back. Raises ValueError if the field has no such value."""
    stored = axis.to_internal_repr(value)
    if not contains(axis, stored):
        raise ValueError(f"{name} = {short_value(value)} is not in the search space")
    return axis.to_external_repr(stored)


def said(error: Exception) -> str:
    """What a sampler has raised, in one line."""
    return first_line(f"{type(error).__name__}: {error}")
