"""The states of a job's kept objects, and of the random number generators, as one file."""

from __future__ import annotations

import io
import random
import sys
from collections.abc import Callable, Mapping
from typing import Any

import torch

from mnist_tune.jobs.interface import CannotResume, JobMistake
from mnist_tune.jobs.metrics import EpochMetrics, epoch_from


class StateUnusable(Exception):  # noqa: N818 - an outcome more than an error
    """The saved state cannot be used; the trial begins anew."""


def seed_everything(seed: int) -> None:
    """Seed the generators of Python, NumPy and torch, on all devices."""
    random.seed(seed)
    torch.manual_seed(seed)  # the GPUs' too, when they are first used
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed(seed)


class KeptStates:
    """The objects that a job keeps. `read` gives the bytes of the state to go on from, None for none."""

    def __init__(self, read: Callable[[], bytes] | None, problem: str | None = None) -> None:
        """`problem` says why there is no state to go on from, although there should be one."""
        self._read = read
        self._stored: dict[str, Any] | None = None
        self._objects: dict[str, Any] = {}
        self.problem = problem
        """Why the trial begins at its first epoch although an earlier attempt has saved a state."""

    @property
    def is_kept(self) -> bool:
        """Whether the job keeps anything, so that there is a state to save."""
        return bool(self._objects)

    def keep(self, objects: Mapping[str, Any]) -> None:
        """Add objects; each gets its saved state if there is one.

        Raises:
            StateUnusable: the saved state cannot be used; `problem` says why.
            JobMistake: an object has no state.
        """
        for name, each in objects.items():
            if not (hasattr(each, "state_dict") and hasattr(each, "load_state_dict")):
                raise JobMistake(f"trial.keep: {name} has no state_dict and load_state_dict")
        self._objects |= objects
        stored = self._load()
        if stored is None:
            return
        for name, each in objects.items():
            if name not in stored["kept"]:
                self._refuse(f"the saved state has no '{name}'")
            try:
                each.load_state_dict(stored["kept"][name])
            except CannotResume as refusal:
                self._refuse(str(refusal))
            except (KeyError, ValueError, RuntimeError, TypeError) as error:
                self._refuse(f"'{name}' cannot take the saved state: {error}")

    def resume(self) -> list[EpochMetrics]:
        """Set the generators as they were after the last saved epoch; returns the epochs so far.

        Raises:
            StateUnusable: the saved state cannot be used.
        """
        stored = self._load() if self.is_kept else None
        if stored is None:
            if self._read is not None and self.problem is None:
                self.problem = "the job keeps no state; trial.keep names what to save"
            return []
        if missing := stored["kept"].keys() - self._objects.keys():
            self._refuse(f"the job no longer keeps '{min(missing)}'")
        _set_generators(stored.get("random", {}))
        return [epoch_from(epoch) for epoch in stored["history"]]

    def content(self, history: list[EpochMetrics]) -> bytes:
        """The state after the last of these epochs."""
        state = {
            "kept": {name: each.state_dict() for name, each in self._objects.items()},
            "random": _generators(),
            "history": [epoch.as_json() for epoch in history],
        }
        written = io.BytesIO()
        torch.save(state, written)
        return written.getvalue()

    def _load(self) -> dict[str, Any] | None:
        if self._stored is None and self._read is not None and self.problem is None:
            try:
                self._stored = _loaded(self._read())
            except Exception as error:  # a file that is not ours can raise anything
                self._refuse(_unreadable(error))
        return self._stored

    def _refuse(self, problem: str) -> None:
        self.problem = problem
        raise StateUnusable(problem)


def problem_of(content: bytes) -> str | None:
    """Why no retry could go on from this state; None if it can be read."""
    try:
        _loaded(content)
    except Exception as error:  # what a job keeps can raise anything
        return _unreadable(error)
    return None


def _loaded(content: bytes) -> dict[str, Any]:
    return _upgraded(torch.load(io.BytesIO(content), weights_only=True, map_location="cpu"))


def _unreadable(error: Exception) -> str:
    return f"the saved state cannot be read: {error}"


def _upgraded(stored: dict[str, Any]) -> dict[str, Any]:
    """The state as it is saved now; up to version 0.5 only the MNIST job saved one."""
    if "trainer" not in stored:
        return stored
    trainer = stored["trainer"] | {"precision": stored["precision"]}
    return {"kept": {"trainer": trainer}, "history": stored["history"]}


def _generators() -> dict[str, Any]:
    version, internal, gauss = random.getstate()
    states: dict[str, Any] = {
        "python": [version, torch.tensor(internal, dtype=torch.int64), gauss],
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        states["cuda"] = torch.cuda.get_rng_state()
    if (numpy := sys.modules.get("numpy")) is not None:
        name, key, *rest = numpy.random.get_state()
        states["numpy"] = [name, torch.from_numpy(key.astype("int64")), *rest]
    return states


def _set_generators(states: Mapping[str, Any]) -> None:
    """Set the generators of this process; those of which nothing was saved stay as they are."""
    if "python" in states:
        version, internal, gauss = states["python"]
        random.setstate((version, tuple(internal.tolist()), gauss))
    if "torch" in states:
        torch.set_rng_state(states["torch"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])
    if "numpy" in states and (numpy := sys.modules.get("numpy")) is not None:
        name, key, *rest = states["numpy"]
        numpy.random.set_state((name, key.numpy().astype("uint32"), *rest))
