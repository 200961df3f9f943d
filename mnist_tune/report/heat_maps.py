"""A grid as heat maps: the mean over seeds of every configuration, at its place."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from mnist_tune.jobs.metric import PERCENT, Metric, words
from mnist_tune.report.panels import finish, panels
from mnist_tune.report.section import Picture, Table, choices, ends, number, plain, rounded, short_name, table
from mnist_tune.report.theme import colour, scale
from mnist_tune.results.candidates import Candidate
from mnist_tune.results.evidence import seeds_of
from mnist_tune.results.study_results import Results
from mnist_tune.spec.conditions import SEED

MOST_MAPS = 12
MISSING = "\N{EN DASH}"
MOST_ANNOTATED = 12
"""The most columns of a map whose cells have their numbers written in them."""


def heat_maps(results: Results) -> Picture | None:
    """The picture of where the objective is good; None if the search is no grid."""
    if results.spec.search.grid is None:
        return None
    axes = {
        name: values for name, values in results.spec.search.grid.items() if name != SEED and len(values) > 1
    }
    good = "high" if results.job.sign > 0 else "low"
    question = f"Where in the grid is {results.job.short_name} {good}?"
    if not axes:
        return Picture("grid", question, "The grid has one configuration: there is nothing to compare.")
    if not results.ranking:
        return Picture("grid", question, "No cell is complete yet.")
    maps = _maps(results, axes)
    figure = _figure(results, maps[:MOST_MAPS])
    return Picture("grid", question, _answer(results, axes, len(maps)), figure, [_table(results)])


@dataclass(frozen=True)
class _Axis:
    name: str
    values: list[Any]

    @property
    def labels(self) -> list[str]:
        return [number(value, self.values) for value in self.values]


@dataclass(frozen=True)
class _Map:
    """One map; `cells` has its rows, with None where there is no result."""

    title: str
    across: _Axis
    down: _Axis
    cells: list[list[Candidate | None]]

    def goodness(self, sign: int) -> float:
        """How good its best cell is; better maps have more."""
        found = (sign * cell.mean for row in self.cells for cell in row if cell is not None)
        return max(found, default=-math.inf)


def _maps(results: Results, axes: dict[str, list[Any]]) -> list[_Map]:
    """A map of the first two axes for each combination of the others; of too many, the best come first."""
    found = {_key(place.candidate.parameters): place.candidate for place in results.ranking}
    fixed = {name: values[0] for name, values in results.spec.search.axes.items() if isinstance(values, list)}
    fixed.pop(SEED, None)
    first, *others = (_Axis(name, values) for name, values in axes.items())
    second = others[0] if others else _Axis("", [""])
    maps = []
    for values in itertools.product(*(axis.values for axis in others[1:])):
        one = dict(zip((axis.name for axis in others[1:]), values, strict=True))
        title = plain(", ".join(f"{name} {number(value, axes[name])}" for name, value in one.items()))
        cells = [
            [
                found.get(_key(fixed | one | {first.name: x} | ({second.name: y} if others else {})))
                for x in first.values
            ]
            for y in second.values
        ]
        maps.append(_Map(title, first, second, cells))
    return sorted(maps, key=lambda each: -each.goodness(results.job.sign)) if len(maps) > MOST_MAPS else maps


def _key(parameters: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(parameters.items()))


def _figure(results: Results, maps: Sequence[_Map]) -> go.Figure:
    columns, rows = len(maps[0].across.values), len(maps[0].down.values)
    least = 300 if columns <= 4 else 480
    figure = panels([each.title for each in maps], least_width=least, height=max(90, min(60 * rows, 420)))
    for index, each in enumerate(maps):
        _draw(figure, "" if index == 0 else str(index + 1), each, results.job.of_objective)
    low, high = ends(place.candidate.mean for place in results.ranking)
    unit = results.job.of_objective.unit
    room = 0.0 if low < high else 0.5 if unit == PERCENT else 0.01 * abs(low) or 0.5
    suffix = f" {unit}" if unit else ""
    figure.update_layout(
        coloraxis={
            "colorscale": scale(),
            "reversescale": results.job.sign < 0,
            "cmin": low - room,
            "cmax": high + room,
            "colorbar": {"ticksuffix": suffix, "thickness": 12, "len": 1, "outlinewidth": 0},
        }
    )
    figure.layout.meta["margin"] = {"r": 84}
    return finish(figure)


def _draw(figure: go.Figure, axis: str, shown: _Map, metric: Metric) -> None:
    across, down, cells = shown.across, shown.down, shown.cells
    figure.add_heatmap(
        x=across.labels,
        y=down.labels,
        z=[[None if cell is None else rounded(cell.mean) for cell in row] for row in cells],
        text=[[_words(cell, metric) for cell in row] for row in cells],
        texttemplate="%{text}" if len(across.values) <= MOST_ANNOTATED else "",
        hovertemplate=f"{across.name} %{{x}}<br>{down.name} %{{y}}<br>%{{text}}<extra>{shown.title}</extra>",
        hoverongaps=False,
        coloraxis="coloraxis",
        xgap=3,
        ygap=3,
        xaxis=f"x{axis}",
        yaxis=f"y{axis}",
    )
    gaps = [(x, y) for y, row in enumerate(cells) for x, cell in enumerate(row) if cell is None]
    if gaps:
        figure.add_scatter(
            x=[across.labels[x] for x, _ in gaps],
            y=[down.labels[y] for _, y in gaps],
            mode="text",
            text=[MISSING] * len(gaps),
            textfont={"color": colour("muted"), "size": 16},
            hovertemplate="not complete<extra></extra>",
            showlegend=False,
            xaxis=f"x{axis}",
            yaxis=f"y{axis}",
        )
    figure.layout[f"xaxis{axis}"].update(type="category", title={"text": across.name}, showgrid=False)
    figure.layout[f"yaxis{axis}"].update(
        type="category", title={"text": down.name}, showgrid=False, showticklabels=bool(down.name)
    )


def _words(cell: Candidate | None, metric: Metric) -> str:
    if cell is None:
        return ""
    if cell.standard_error is None:
        return metric.number(cell.mean)
    return f"{metric.number(cell.mean)}<br>± {metric.number(cell.standard_error)}, n={cell.n}"


def _answer(results: Results, axes: dict[str, list[Any]], n_maps: int) -> str:
    # Not the first of the ranking: a configuration that lacks seeds is below it, however good its mean.
    means = sorted((place.candidate for place in results.ranking), key=lambda candidate: candidate.mean)
    job = results.job
    best = means[-1] if job.sign > 0 else means[0]
    seeds = " Means over the seeds, ± one standard error, of n seeds." if best.n > 1 else ""
    possible = len(list(itertools.product(*axes.values())))
    missing = possible - len(results.ranking)
    gaps = f" {missing:,} of {possible:,} configurations have no result yet ({MISSING})." if missing else ""
    left_out = f" The {MOST_MAPS} maps with the best results of {n_maps}." if n_maps > MOST_MAPS else ""
    return (
        f"{words(job.objective).capitalize()} is between {job.text(means[0].mean)} and "
        f"{job.text(means[-1].mean)}, {'highest' if job.sign > 0 else 'lowest'} at "
        f"{short_name(results, best.parameters)}; lighter is better.{seeds}{gaps}{left_out}"
    )


def _table(results: Results) -> Table:
    rows = [
        [
            str(place.rank),
            *(number(value, choices(results, name)) for name, value in place.candidate.parameters.items()),
            results.job.text(place.candidate.mean),
            results.job.of_objective.number(place.candidate.standard_error),
            seeds_of(place.candidate),
            results.verdict(place),
        ]
        for place in results.ranking
    ]
    parameters = list(results.ranking[0].candidate.parameters)
    return table(
        ["rank", *parameters, words(results.job.objective), "standard error", "seeds", "verdict"],
        rows,
        "best",
    )
