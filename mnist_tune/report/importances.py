"""Which fields matter: a bar for each field's share of the importance."""

from __future__ import annotations

from collections.abc import Mapping

import optuna

from mnist_tune.report.panels import finish, panels
from mnist_tune.report.section import Picture, Table, left_out
from mnist_tune.report.theme import colour
from mnist_tune.results.importances import EVALUATOR, importances
from mnist_tune.results.study_results import Results
from mnist_tune.spec.conditions import SEED

FEW = 50
"""With fewer cells, only the order of the fields has a meaning, not the numbers."""


def important_fields(results: Results, study: optuna.Study) -> Picture:
    """The picture of each field's share in the differences between cells."""
    question = "Which fields matter?"
    measured = importances(results, study)
    if not measured.shares:
        return Picture("importance", question, measured.reason)
    shares = measured.shares
    order = sorted(shares, key=shares.__getitem__)
    figure = panels([""], height=60 + 36 * len(order))
    figure.add_bar(
        orientation="h",
        y=order,
        x=[round(float(shares[name]), 4) for name in order],
        text=[f"{shares[name]:.0%}" for name in order],
        textposition="outside",
        cliponaxis=False,
        name=EVALUATOR,
        showlegend=True,
        marker={"color": colour("tied")},
        hovertemplate="%{y}: %{text}<extra></extra>",
    )
    figure.layout.xaxis.update(range=[0, 1.12], tickformat=".0%", title={"text": "share of the importance"})
    figure.layout.yaxis.update(automargin=True)
    figure.update_layout(bargap=0.3)
    numbers = Table(["field", EVALUATOR], [[name, f"{shares[name]:.1%}"] for name in reversed(order)])
    return Picture(
        "importance", question, _answer(results, shares) + left_out(results), finish(figure), [numbers]
    )


def _answer(results: Results, shares: Mapping[str, float]) -> str:
    n = len(results.complete)
    first = max(shares, key=shares.__getitem__)
    said = (
        f"Over all {n:,} cells, {first} has the largest share ({shares[first]:.0%}): of the variance of "
        f"{results.job.short_name}, what a field explains in a random forest, by Optuna's {EVALUATOR}. "
        "The dashboard shows the same. It does not say which value is good."
    )
    if SEED in shares:
        said += " What the seed gets is luck: a field with no more than that shows no effect."
    if n < FEW:
        said += f" {n} cells are few: take the order, not the numbers."
    return said
