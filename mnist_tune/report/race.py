"""A study's race over seeds: by how much each configuration is behind the best, with its interval."""

from __future__ import annotations

import plotly.graph_objects as go

from mnist_tune.report.panels import finish, panels
from mnist_tune.report.section import Picture, plain, short_name, table, worded
from mnist_tune.report.theme import colour
from mnist_tune.results.race_standing import Contender, RaceStanding
from mnist_tune.results.study_results import Results

MOST_DRAWN = 40
"""The most configurations in the figure; the table has more."""


def race(results: Results) -> Picture | None:
    """The picture of the race; None if the study has none."""
    standing = results.race
    if standing is None:
        return None
    said = ". ".join(f"{line[0].upper()}{line[1:]}" for line in standing.lines())
    answer = f"{said}." if said else "There is no value to judge."
    judged = [each for each in standing.contenders if each.after]
    columns = ["configuration", "after seeds", "behind the best by (interval)", "in the race"]
    rows = [
        [
            worded(results, each.parameters),
            str(each.after),
            standing.interval(each),
            "out" if each.is_out else "yes",
        ]
        for each in judged
    ]
    tables = [table(columns, rows, "first")] if rows else []
    compared = [each for each in judged if each.compared is not None and each.compared.low is not None]
    figure = _figure(results, standing, compared[:MOST_DRAWN]) if compared else None
    return Picture("race", "Which configurations are still in the race?", answer, figure, tables)


def _figure(results: Results, standing: RaceStanding, compared: list[Contender]) -> go.Figure:
    figure = panels([""], height=60 + 30 * len(compared))
    for name, is_out, series, symbol in (
        ("still in", False, "tied", "circle"),
        ("out: all of the interval is behind the best", True, "others", "x"),
    ):
        shown = [each for each in compared if each.is_out is is_out]
        known = [each.compared for each in shown if each.compared is not None]
        figure.add_scatter(
            mode="markers",
            name=name,
            x=[one.difference for one in known],
            y=[plain(short_name(results, each.parameters)) for each in shown],
            error_x={"array": [(one.difference or 0) - (one.low or 0) for one in known]},
            marker={"color": colour(series), "symbol": symbol, "size": 9},
            text=[standing.interval(each) for each in shown],
            hovertemplate="%{y}: %{text}<extra></extra>",
            showlegend=True,
        )
    title = f"behind the best by, in {results.job.short_name}"
    figure.layout.xaxis.update(title={"text": title}, zeroline=True, zerolinecolor=colour("winner"))
    figure.layout.yaxis.update(automargin=True, autorange="reversed", type="category")
    finish(figure)
    figure.layout.xaxis.zeroline = True
    return figure
