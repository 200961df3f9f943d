"""Samplers that a distribution brings: its folder stands for the one into which pip installs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

Install: TypeAlias = Callable[..., None]
"""Installs a distribution for this process: its code, and the line of its entry point."""

NEAR_THE_BEST = """
import numpy
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import TrialState


class NearTheBest(BaseSampler):
    def __init__(self, spread, *, seed=None):
        self._spread = spread
        self._chance = numpy.random.default_rng(seed)
        self._anywhere = RandomSampler(seed=seed)

    def infer_relative_search_space(self, study, trial):
        return {}

    def sample_relative(self, study, trial, search_space):
        return {}

    def sample_independent(self, study, trial, name, distribution):
        complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if not complete or not isinstance(complete[0].params[name], float):
            return self._anywhere.sample_independent(study, trial, name, distribution)
        best = max(complete, key=lambda one: one.value).params[name]
        drawn = best * float(numpy.exp(self._spread * self._chance.standard_normal()))
        return min(max(drawn, distribution.low), distribution.high)
"""
SPEC = """
[study]
name = "tiny"

[search]
sampler = "near"
n_trials = {n_trials}
seed = 1

[search.options]
{options}

[search.space]
learning_rate = {{low = 1e-5, high = 1e-1, log = true}}
optimizer = ["Adam", "SGD"]

[training]
epochs = 2
"""


def spec(n_trials: int = 6, options: str = "spread = 0.5") -> str:
    """A search by the sampler `near`."""
    return SPEC.format(n_trials=n_trials, options=options)


def install_sampler(
    folder: Path, code: str = NEAR_THE_BEST, entry: str = "near = nearing:NearTheBest"
) -> dict[str, str]:
    """Write the distribution `nearing` into a folder; returns the environment in which it is installed."""
    information = folder / "nearing-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: nearing\nVersion: 1.0\n", "utf-8")
    (information / "entry_points.txt").write_text(f"[mnist_tune.samplers]\n{entry}\n", "utf-8")
    (folder / "nearing.py").write_text(code, "utf-8")
    return {"PYTHONPATH": str(folder)}
