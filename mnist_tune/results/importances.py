"""Measures which searched fields matter; the report and the dashboard show the same measure.

Optuna's default, PED-ANOVA, looks at the best tenth of the trials: in a small grid that is one trial, and
every field comes out alike. fANOVA looks at all of them. `optuna.importance.get_param_importances` gives the
same numbers with `evaluator=FanovaImportanceEvaluator(max_depth=6, seed=0)`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import optuna
from optuna.importance import FanovaImportanceEvaluator, get_param_importances

from mnist_tune.results.study_results import Results

FEWEST = 8
"""The fewest completed cells from which the measure is more than chance."""
TREES = 64
DEPTH = 6
"""The depth of the forest's trees: at full depth 1,000 cells take half a minute for the same importances."""
SEED_OF_THE_FOREST = 0
EVALUATOR = f"fANOVA ({TREES} trees of depth {DEPTH}, seed {SEED_OF_THE_FOREST})"


@dataclass(frozen=True)
class Importances:
    """The share of each field that every cell has and that differs between cells, largest first."""

    shares: dict[str, float] = field(default_factory=dict)
    reason: str = ""
    """Why there are no importances."""


def importances(results: Results, study: optuna.Study) -> Importances:
    """The share of the variance of the objective that each field explains in a random forest.

    `study` is Optuna's object with the completed cells.
    """
    names = sorted(
        name
        for name, axis in results.spec.search.axes.items()
        if name not in results.spec.search.conditions and not (isinstance(axis, list) and len(axis) == 1)
    )
    n = len(results.complete)
    if len(names) < 2:
        return Importances(reason="Fewer than two fields are searched: there is nothing to weigh.")
    if n < FEWEST:
        return Importances(reason=f"{n} complete cells are too few to tell: it takes {FEWEST}.")
    if len({attempt.value for attempt in results.complete}) == 1:
        return Importances(
            reason=f"All cells have the same {results.job.short_name}: no field makes a difference."
        )
    forest = FanovaImportanceEvaluator(n_trees=TREES, max_depth=DEPTH, seed=SEED_OF_THE_FOREST)
    return Importances(get_param_importances(study, evaluator=forest, params=names))
