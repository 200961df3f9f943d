"""What is known of each cell of a study, as its race over seeds looks at it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from optuna.trial import TrialState

from mnist_tune.records.distributions import waiting_cells
from mnist_tune.records.stored_trial import StoredTrial
from mnist_tune.spec.conditions import is_whole
from mnist_tune.spec.study_spec import Spec


class Ended(NamedTuple):
    """What is known of a cell."""

    cell: int
    parameters: Mapping[str, Any]
    value: float | None
    """The objective's value with which it was completed."""
    is_pruned: bool = False


def ended_cells(spec: Spec, trials: Iterable[StoredTrial]) -> Iterator[Ended]:
    """What the attempts of a study tell of its cells."""
    last = {trial.cell: trial for trial in trials}
    for cell, parameters in known_parameters(spec, {cell: trial.parameters for cell, trial in last.items()}):
        trial = last.get(cell)
        if trial is None or not (trial.is_trained and trial.is_sound):
            yield Ended(cell, parameters, None)
        else:
            yield Ended(cell, parameters, trial.value, trial.state is TrialState.PRUNED)


def known_parameters(
    spec: Spec, of_trials: Mapping[int, Mapping[str, Any]]
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Each cell whose parameters are known; those of a grid are, whatever became of its trials."""
    if spec.search.grid is not None:
        yield from enumerate(cell.params for cell in waiting_cells(spec))
    else:
        yield from sorted((cell, known) for cell, known in of_trials.items() if known)


def whole(spec: Spec, cells: Iterable[Ended]) -> Iterator[Ended]:
    """Those with all their parameters: where one is missing, it is another configuration, or none."""
    if spec.search.grid is not None:
        yield from cells
        return
    axes, conditions = spec.search.axes, spec.search.conditions
    yield from (each for each in cells if is_whole(axes, conditions, each.parameters))
