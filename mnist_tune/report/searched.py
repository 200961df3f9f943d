"""Pictures of how the objective depends on the searched fields."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import optuna
import plotly.graph_objects as go
from optuna.visualization import plot_parallel_coordinate

from mnist_tune.jobs.metric import words
from mnist_tune.report.panels import finish, logarithmic, panels
from mnist_tune.report.section import (
    Picture,
    choices,
    ends,
    is_winner,
    left_out,
    number,
    of_field,
    rounded,
    searched,
    shared,
    table,
)
from mnist_tune.report.theme import colour
from mnist_tune.results.study_results import Results
from mnist_tune.results.trial_result import TrialResult
from mnist_tune.spec.conditions import SEED

FEWEST = 2
"""The fewest completed cells that can be compared."""
BANDS = 5
FEW = 150
"""The most lines that do not cover each other."""


def parallel_coordinates(results: Results, study: optuna.Study) -> Picture:
    """The picture of which values good cells have in common."""
    question = "Which values do good cells have in common?"
    names = shared(results)
    if (why := _nothing_to_compare(results, names)) is not None:
        return Picture("parallel", question, why)
    plotted = plot_parallel_coordinate(study, params=names, target_name=words(results.job.objective))
    figure = _in_bands(results, plotted)
    answer = (
        f"Each line is a cell, from its {results.job.short_name} on the left through its values. The "
        f"thick line is the {results.best_word}; darker and thicker lines are better (in the dark theme, "
        "lighter ones). " + _common(results, names) + left_out(results)
    )
    return Picture("parallel", question, answer, figure, [_cells(results, names)])


def slices(results: Results) -> Picture:
    """The picture of the objective by each field alone."""
    question = "What does each field do by itself?"
    names = searched(results)
    if (why := _nothing_to_compare(results, names)) is not None:
        return Picture("slices", question, why)
    figure = panels(names, least_width=260, height=280)
    unit = results.job.of_objective.unit
    suffix = f" {unit}" if unit else ""
    for index, name in enumerate(names):
        axis = "" if index == 0 else str(index + 1)
        field = results.spec.search.axes[name]
        if isinstance(field, list):
            values = [number(value, field) for value in field]
            figure.layout[f"xaxis{axis}"].update(type="category", categoryorder="array", categoryarray=values)
        elif field.log:
            figure.layout[f"xaxis{axis}"].update(logarithmic(field.low, field.high))
        for ours, label, style in (
            (False, "cells", {"symbol": "circle-open", "size": 7, "color": colour("tied")}),
            (True, results.best_word, {"symbol": "star", "size": 13, "color": colour("winner")}),
        ):
            shown = [
                attempt
                for attempt in results.complete
                if name in attempt.parameters and is_winner(results, attempt) is ours
            ]
            figure.add_scatter(
                x=[_shown(attempt.parameters[name], field) for attempt in shown],
                y=[rounded(attempt.final_value) for attempt in shown],
                customdata=[attempt.number for attempt in shown],
                mode="markers",
                marker=style,
                name=label,
                legendgroup=label,
                showlegend=index == 0 and bool(shown),
                hovertemplate=f"trial %{{customdata}}<br>{name} %{{x}}: %{{y}}{suffix}<extra>{label}</extra>",
                xaxis=f"x{axis}",
                yaxis=f"y{axis}",
            )
        figure.layout[f"xaxis{axis}"].title = {"text": name}
        figure.layout[f"yaxis{axis}"].ticksuffix = suffix
    answer = "Each circle is a cell; what looks like the effect of one field may be that of another."
    if SEED in names:
        answer += " The spread along the seed is luck: it shows how far two cells may differ for no reason."
    return Picture("slices", question, answer, finish(figure), [_cells(results, names)])


def _nothing_to_compare(results: Results, names: Sequence[str]) -> str | None:
    if not names:
        return "The search has a single configuration: there is nothing to compare."
    if len(results.complete) < FEWEST:
        done = len(results.complete)
        return f"{done or 'No'} cell{'' if done == 1 else 's'} complete: too few to compare."
    return None


def _in_bands(results: Results, plotted: go.Figure) -> go.Figure:
    """Draw a trace for each band of trials: Optuna draws one a trial, which takes a browser seconds."""
    lines = [trace for trace in plotted.data if trace.mode == "lines"]
    # Optuna may reorder the trials, so they are sorted by their height on the first axis, the objective.
    lines.sort(key=lambda trace: results.job.sign * trace.y[0])
    low, high = ends(attempt.final_value for attempt in results.complete)
    winning = [attempt for attempt in results.complete if is_winner(results, attempt)]
    n_bands = min(BANDS, len(lines))
    is_few = len(lines) <= FEW
    metric = results.job.of_objective
    figure = panels([""], height=360)
    for band in range(n_bands):
        ours = lines[band * len(lines) // n_bands : (band + 1) * len(lines) // n_bands]
        worst, best = (
            (low + (high - low) * trace.y[0] for trace in (ours[0], ours[-1])) if high > low else (low, low)
        )
        level = BANDS - n_bands + band + 1
        figure.add_scatter(
            **_joined(ours),
            mode="lines",
            opacity=1 if is_few else 0.6,
            line={"color": colour(f"level{level}"), "width": (0.8 + 0.35 * level) * (1 if is_few else 0.35)},
            name=metric.text(best) if len(ours) == 1 else f"{metric.number(worst)} to {metric.text(best)}",
            showlegend=True,
            hovertemplate="%{customdata[0]}: %{customdata[1]}<extra></extra>",
        )
    of_winner = [
        trace
        for trace in lines
        if any(
            math.isclose(low + (high - low) * trace.y[0], attempt.final_value, abs_tol=1e-9 * (high - low))
            and _goes_through(trace, results, attempt)
            for attempt in winning
        )
    ]
    figure.add_scatter(
        **_joined(of_winner),
        mode="lines+markers",
        line={"color": colour("winner"), "width": 4},
        marker={"size": 8, "color": colour("winner")},
        name=results.best_word,
        showlegend=True,
        hovertemplate=f"%{{customdata[0]}}: %{{customdata[1]}}<extra>{results.best_word}</extra>",
    )
    figure.layout.xaxis.update(plotted.layout.xaxis.to_plotly_json())
    figure.layout.xaxis.ticktext = [
        label.replace("_", "<br>").replace(" ", "<br>") for label in figure.layout.xaxis.ticktext
    ]
    figure.layout.xaxis.tickangle = 0
    figure.layout.yaxis.update({"range": [-0.08, 1.08], "visible": False})
    figure.layout.annotations = [
        note.to_plotly_json() | {"font": {"size": 11, "color": colour("ink")}, "bgcolor": colour("paper")}
        for note in plotted.layout.annotations
    ]
    figure.layout.shapes = [
        shape.to_plotly_json() | {"line": {"color": colour("muted"), "width": 1}}
        for shape in plotted.layout.shapes
    ]
    figure.layout.meta["margin"] = {"l": 24, "r": 24, "t": 16}
    figure.layout.xaxis.range = [-0.35, len(plotted.layout.xaxis.tickvals) - 0.8]
    return finish(figure)


def _goes_through(line: Any, results: Results, attempt: TrialResult) -> bool:
    """Whether a line passes through the attempt's values: those of a list are written out, others rounded."""
    fields = zip(sorted(shared(results)), line.customdata[1:], strict=True)
    return all(
        text == str(attempt.parameters[name])
        if isinstance(results.spec.search.axes[name], list)
        else math.isclose(float(text), attempt.parameters[name], rel_tol=0.01)
        for name, (_, text) in fields
    )


def _joined(lines: Sequence[Any]) -> dict[str, list[Any]]:
    x: list[Any] = []
    y: list[Any] = []
    words: list[Any] = []
    for line in lines:
        x += [*line.x, None]
        y += [*(round(value, 4) for value in line.y), None]
        words += [*map(list, line.customdata), None]
    return {"x": x[:-1], "y": y[:-1], "customdata": words[:-1]}


def _common(results: Results, names: Sequence[str]) -> str:
    """The values that the best tenth shares, unless all cells share them."""
    ranked = sorted(results.complete, key=lambda attempt: -results.job.sign * attempt.final_value)
    top = ranked[: max(2, len(ranked) // 10)]
    in_common = {
        name: top[0].parameters[name]
        for name in names
        if len({attempt.parameters[name] for attempt in top}) == 1
        and len({attempt.parameters[name] for attempt in ranked}) > 1
    }
    if not in_common:
        return f"The best {len(top)} share no value."
    values = ", ".join(f"{name} {number(value, choices(results, name))}" for name, value in in_common.items())
    return f"The best {len(top)} of {len(ranked):,} share {values}."


def _cells(results: Results, names: Sequence[str]) -> Any:
    ranked = sorted(
        results.complete, key=lambda attempt: (-results.job.sign * attempt.final_value, attempt.number)
    )
    rows = [
        [
            str(attempt.number),
            results.job.text(attempt.final_value),
            *(of_field(results, attempt.parameters, name) for name in names),
        ]
        for attempt in ranked
    ]
    return table(["trial", words(results.job.objective), *names], rows, "best")


def _shown(value: Any, field: object) -> Any:
    return number(value, field) if isinstance(field, list) else value
