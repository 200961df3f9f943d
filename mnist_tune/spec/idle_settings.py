"""Finds settings of a spec that have no effect: they are allowed, but their writer expects something."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from typing import Any

from optuna.samplers import CmaEsSampler, GPSampler, TPESampler

from mnist_tune.spec.axes import Interval
from mnist_tune.spec.pruner_options import (
    AtSomeEpochs,
    Hyperband,
    Patient,
    Pruner,
    SuccessiveHalving,
    Threshold,
)
from mnist_tune.spec.study_spec import Spec
from mnist_tune.text.wording import counted

OTHERS = {
    "redraw": "are left out",
    "reuse": "take over a result",
    "train": "repeat one, with its result",
    None: "repeat one, with its result",
}
"""What becomes of trials for which there is no point of their own."""
LEARNING: dict[str, type[Any]] = {"tpe": TPESampler, "gp": GPSampler, "cmaes": CmaEsSampler}


def idle_settings(spec: Spec) -> list[str]:
    """One line for each setting without effect: its key, and why it changes nothing."""
    return [
        f"{key}: {why}" for part in (_axes, _points, _learning, _pruner, _limits) for key, why in part(spec)
    ]


Found = Iterator[tuple[str, str]]


def _table(spec: Spec) -> str:
    return "search.space" if spec.search.grid is None else "search.grid"


def _axes(spec: Spec) -> Found:
    for name, axis in spec.search.axes.items():
        key = f"{_table(spec)}.{name}"
        if isinstance(axis, Interval):
            yield from _steps(key, axis, is_integer=spec.description.fields[name].is_integer)
    for name, condition in spec.search.conditions.items():
        for field, values in condition.items():
            possible = spec.search.axes[field]
            always = field not in spec.search.conditions and isinstance(possible, list)
            if always and set(possible) <= set(values):
                yield f"search.space.{name}.when.{field}", "names every value there is, and always holds"


def _steps(key: str, axis: Interval, *, is_integer: bool) -> Found:
    step = axis.step or (1 if is_integer else None)
    if step is None:
        return
    values = _on_steps(axis.low, axis.high, step)
    last = axis.low + (values - 1) * step
    if values == 1:
        yield f"{key}.step", f"{step:g} is more than there is from low to high: only {axis.low:g} is tried"
    elif not math.isclose(last, axis.high):
        yield f"{key}.high", f"{axis.high:g} is never tried: in steps of {step:g} the last value is {last:g}"


def _on_steps(low: float, high: float, step: float) -> int:
    # 0.3 / 0.1 is a little less than 3
    return math.floor((high - low) / step * (1 + 1e-12) + 1e-9) + 1


def _points(spec: Spec) -> Found:
    """Yield `n_trials` if it exceeds the number of points."""
    if spec.search.grid is not None:
        return
    n_points = 1.0
    for name, axis in spec.search.axes.items():
        if isinstance(axis, list):
            n_points *= len(axis)
        elif step := axis.step or spec.description.fields[name].is_integer:
            n_points *= _on_steps(axis.low, axis.high, float(step))
        else:
            return
    if spec.n_cells > n_points:
        yield (
            "search.n_trials",
            f"{spec.n_cells:,} trials are more than the {n_points:,.0f} points there are: the others "
            f'{OTHERS[spec.search.duplicates]}; sampler = "grid" tries each once',
        )


def _learning(spec: Spec) -> Found:
    search = spec.search
    if search.sampler == "qmc" and not search.scramble and search.seed and not _needs_chance(spec):
        yield "search.seed", 'changes no point: "qmc" uses it with scramble = true'
    if search.sampler not in LEARNING:
        return
    default = inspect.signature(LEARNING[search.sampler]).parameters["n_startup_trials"].default
    first, key = search.n_startup_trials or default, "search.n_startup_trials"
    why = f'sampler = "{search.sampler}" begins to learn after {first:,} finished trials'
    if search.sampler == "cmaes" and (generation := _generation(spec)) > first:
        first, key = generation, "search.sampler"
        why = f'"cmaes" learns from generations of {generation}'
    if first >= spec.n_cells:
        yield key, f"{why}, and there are {spec.n_cells:,} in all: each is drawn at random"


def _needs_chance(spec: Spec) -> bool:
    """Whether some points of a sequence are drawn at random: by conditions, or from what is left over."""
    is_endless = any(
        isinstance(axis, Interval) and not axis.step and not spec.description.fields[name].is_integer
        for name, axis in spec.search.axes.items()
    )
    return bool(spec.search.conditions) or not is_endless


def _generation(spec: Spec) -> int:
    from cmaes import CMA  # importing it takes a second
    from numpy import zeros

    ranges = [name for name, axis in spec.search.axes.items() if isinstance(axis, Interval)]
    n_shared = sum(name not in spec.search.conditions for name in ranges)
    return int(CMA(mean=zeros(n_shared), sigma=1.0).population_size)


def _pruner(spec: Spec) -> Found:
    pruner, last = spec.pruner, spec.most_epochs - 1  # no trial is judged after its last epoch
    if pruner is None:
        return
    if last < 1:
        yield "pruner", "ends no trial: each has one epoch, and none is judged after its last"
        return
    if spec.n_cells == 1 and not isinstance(pruner, Patient | Threshold):
        yield "pruner", "ends no trial: there is only one, and none to compare it with"
        return
    for key, first in _first_judged_after(pruner, spec):
        if first > last:
            yield (
                f"pruner.{key}",
                f"ends no trial: first judged after {first:,} epochs, last judged after {last} of {last + 1}",
            )
    for key in ("n_startup_trials", "n_min_trials"):
        wanted = getattr(pruner, key, 0)
        if wanted >= spec.n_cells:
            yield (
                f"pruner.{key}",
                f"ends no trial: {wanted:,} must be complete first, of {spec.n_cells:,} in all",
            )
    metric, name = spec.description.of_objective, spec.description.short_name
    if pruner.min_delta is not None and pruner.min_delta >= metric.width:
        by = metric.difference(f"{pruner.min_delta:g}")
        verb = "falls" if spec.description.sign > 0 else "rises"
        yield "pruner.min_delta", f"ends no trial: no {name} {verb} by {by}"
    if isinstance(pruner, Threshold):
        yield from _thresholds(pruner, spec)
    if (bootstrap := getattr(pruner, "bootstrap_count", 0)) >= spec.n_cells:
        yield (
            "pruner.bootstrap_count",
            f"ends every trial at its first rung: {bootstrap:,} must be there before one goes on, "
            f"of {spec.n_cells:,} in all",
        )


def _thresholds(pruner: Threshold, spec: Spec) -> Found:
    metric, name = spec.description.of_objective, spec.description.short_name
    lowest = -math.inf if metric.low is None else metric.low
    highest = math.inf if metric.high is None else metric.high
    if (lower := pruner.lower) is not None:
        if lower <= lowest:
            yield "pruner.lower", f"ends no trial: no {name} is below {metric.text(lower)}"
        if lower > highest:
            yield "pruner.lower", f"ends every trial: each {name} is below {metric.text(lower)}"
    if (upper := pruner.upper) is not None:
        if upper >= highest:
            yield "pruner.upper", f"ends no trial: no {name} is above {metric.text(upper)}"
        if upper < lowest:
            yield "pruner.upper", f"ends every trial: each {name} is above {metric.text(upper)}"


def _first_judged_after(pruner: Pruner, spec: Spec) -> Iterator[tuple[str, int]]:
    """The keys that delay the first judgement of a trial, each with the number of epochs before it."""
    if pruner.patience is not None:
        yield "patience", pruner.patience + 2
    match pruner:
        case AtSomeEpochs():
            yield "n_warmup_steps", pruner.n_warmup_steps
        case SuccessiveHalving():
            least = pruner.min_resource or max(spec.most_epochs // 100, 1)  # the same as Optuna's "auto"
            yield "min_resource", least
            if least < spec.most_epochs:
                rungs = pruner.min_early_stopping_rate
                yield "min_early_stopping_rate", least * pruner.reduction_factor**rungs
        case Hyperband():
            yield "min_resource", pruner.min_resource


def _limits(spec: Spec) -> Found:
    limits = spec.limits
    if 0 < limits.timeout <= limits.checkpoint_interval:
        yield (
            "limits.checkpoint_interval",
            f"no attempt has a checkpoint to go on from: limits.timeout ends it after {limits.timeout:g} s",
        )
    if limits.keep_last and spec.description.more_epochs is None:
        yield (
            "limits.keep_last",
            "nothing goes on from what is kept: the job does not say so by 'more_epochs'",
        )
    if limits.timeout == 0 and "timeout" in spec.retry.model_fields_set:
        yield "retry.timeout", "nothing times out: limits.timeout is 0"
    if limits.failures_in_a_row > spec.n_cells and "failures_in_a_row" in limits.model_fields_set:
        yield "limits.failures_in_a_row", f"no worker leaves for it: there are {spec.n_cells:,} cells in all"
    if spec.stop.no_improvement is not None and spec.stop.no_improvement >= spec.n_cells:
        yield "stop.no_improvement", f"stops nothing: there are {counted(spec.n_cells, 'cell')} in all"
