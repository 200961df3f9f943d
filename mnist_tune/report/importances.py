"""Which fields matter, by two of Optuna's measures."""

from __future__ import annotations

import math
from collections.abc import Mapping

import optuna
from optuna.importance import (
    FanovaImportanceEvaluator,
    PedAnovaImportanceEvaluator,
    get_param_importances,
)

from mnist_tune.ranking import SEED
from mnist_tune.report.panels import finish, panels
from mnist_tune.report.pictures import Picture, Table, left_out, shared
from mnist_tune.report.theme import PATTERN, colour
from mnist_tune.results import Results

FEWEST = 8
"""Completed cells with which a measure is more than chance."""
FEWEST_AT_THE_TOP = 5
"""Cells that PED-ANOVA should find among the best, as Optuna's documentation says."""
DEPTH = 6
"""Of the forest's trees: at full depth 1,000 cells take half a minute and give the same importances."""


def importances(results: Results, study: optuna.Study) -> Picture:
    """How much of the difference between cells is whose doing."""
    question = "Which fields matter?"
    names = shared(results)
    n = len(results.complete)
    if len(names) < 2:
        return Picture(
            "importance", question, "Fewer than two fields are searched: there is nothing to weigh."
        )
    if n < FEWEST:
        return Picture("importance", question, f"{n} complete cells are too few to tell: it takes {FEWEST}.")
    if len({attempt.value for attempt in results.complete}) == 1:
        return Picture(
            "importance", question, "All cells have the same accuracy: no field makes a difference."
        )
    share = min(0.5, max(0.1, FEWEST_AT_THE_TOP / n))
    top = math.ceil(share * n)
    forest = FanovaImportanceEvaluator(max_depth=DEPTH, seed=0)
    measures = {
        "fANOVA": get_param_importances(study, evaluator=forest, params=names),
        f"PED-ANOVA, best {top}": get_param_importances(
            study, evaluator=PedAnovaImportanceEvaluator(target_quantile=share), params=names
        ),
    }
    figure = panels([""], height=60 + 46 * len(names))
    order = sorted(names, key=lambda name: measures["fANOVA"][name])
    for (label, measure), shade, pattern in zip(measures.items(), ("tied", "winner"), ("", "/"), strict=True):
        figure.add_bar(
            orientation="h",
            y=order,
            x=[round(float(measure[name]), 4) for name in order],
            text=[f"{measure[name]:.0%}" for name in order],
            textposition="outside",
            cliponaxis=False,
            name=label,
            showlegend=True,
            marker={"color": colour(shade), "pattern": PATTERN | {"shape": pattern}},
            hovertemplate="%{y}: %{text}<extra>" + label + "</extra>",
        )
    figure.layout.xaxis.update(range=[0, 1.12], tickformat=".0%", title={"text": "share of the importance"})
    figure.layout.yaxis.update(automargin=True)
    figure.update_layout(bargap=0.3)
    rows = [[name, *(f"{measure[name]:.1%}" for measure in measures.values())] for name in reversed(order)]
    numbers = Table(["field", *measures], rows)
    return Picture(
        "importance",
        question,
        _answer(measures, n, top, names) + left_out(results),
        finish(figure),
        [numbers],
    )


def _answer(measures: Mapping[str, Mapping[str, float]], n: int, top: int, names: list[str]) -> str:
    first = max(names, key=lambda name: measures["fANOVA"][name])
    said = (
        f"Over all {n:,} cells, {first} has the largest share ({measures['fANOVA'][first]:.0%}). "
        f"fANOVA: the share of the variance of accuracy that a field explains in a random forest. "
        f"PED-ANOVA: how much a field decides whether a cell is among the best {top}. "
        "Neither says which value is good."
    )
    if SEED in names:
        said += " What the seed gets is luck: a field with no more than that shows no effect."
    if n < 10 * FEWEST_AT_THE_TOP:
        said += f" {n} cells are few: take the order, not the numbers."
    return said
