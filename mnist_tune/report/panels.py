"""Panels side by side where there is room, else one below the other.

The page rearranges them when its width changes (page.js does the same as `arrange`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from mnist_tune.report.theme import colour

PNG_WIDTH = 1200
MARGIN = {"l": 64, "r": 16, "t": 34, "b": 48}
GAP = {"x": 70, "y": 84}
LEGEND_LINE = 29
MOST_POWERS = 10
"""The most powers of ten that have a label on an axis, roughly."""
HIGHEST_POWER = 307
"""Of ten; the next ones times five are too large for a float."""


def panels(titles: Sequence[str], *, least_width: int = 340, height: int = 280, most: int = 4) -> go.Figure:
    """An empty figure with the axes x, x2, ... and y, y2, ..., one pair for each panel."""
    figure = go.Figure()
    for index, title in enumerate(titles):
        axis = "" if index == 0 else str(index + 1)
        figure.update_layout(
            {f"xaxis{axis}": {"anchor": f"y{axis}"}, f"yaxis{axis}": {"anchor": f"x{axis}"}},
        )
        if title:
            figure.add_annotation(
                text=title,
                xref=f"x{axis} domain",
                yref=f"y{axis} domain",
                x=0,
                y=1,
                xanchor="left",
                yanchor="bottom",
                yshift=4,
                showarrow=False,
                font={"size": 13, "color": colour("ink")},
            )
    figure.update_layout(meta={"panels": len(titles), "least": least_width, "height": height, "most": most})
    return figure


def finish(figure: go.Figure) -> go.Figure:
    """Give a figure the common look, and arrange it for a wide page."""
    figure.update_xaxes(_axis())
    figure.update_yaxes(_axis())
    figure.update_layout(
        template="none",
        paper_bgcolor=colour("paper"),
        plot_bgcolor=colour("paper"),
        font={"family": "system-ui, sans-serif", "size": 12, "color": colour("ink")},
        hoverlabel={"bgcolor": colour("raised"), "font": {"color": colour("ink")}, "namelength": -1},
        hovermode="closest",
        legend={"orientation": "h", "xref": "container", "yref": "container", "x": 0, "y": 0}
        | {"xanchor": "left", "yanchor": "bottom", "bgcolor": colour("paper")},
    )
    arrange(figure, PNG_WIDTH)
    return figure


def arrange(figure: go.Figure, width: int) -> None:
    """Lay the panels out for a width in pixels, and set the height that they need."""
    shape = figure.layout.meta
    margin = MARGIN | shape.get("margin", {})
    across = width - margin["l"] - margin["r"]
    columns = max(1, min(shape["panels"], shape["most"], width // shape["least"]))
    rows = -(-shape["panels"] // columns)
    names = [len(trace.name or "") for trace in figure.data if trace.showlegend]
    a_line = max(1, int(across // (max(names) * 6.5 + 50))) if names else 1
    legend = -(-len(names) // a_line) * LEGEND_LINE + 12 if names else 0
    down = rows * shape["height"] + (rows - 1) * GAP["y"]
    for index in range(shape["panels"]):
        axis = "" if index == 0 else str(index + 1)
        row, column = divmod(index, columns)
        one = (1 - (columns - 1) * GAP["x"] / across) / columns
        left = column * (one + GAP["x"] / across)
        top = 1 - row * (shape["height"] + GAP["y"]) / down
        figure.layout[f"xaxis{axis}"].domain = [left, min(left + one, 1)]
        figure.layout[f"yaxis{axis}"].domain = [max(top - shape["height"] / down, 0), top]
    figure.update_layout(
        width=width,
        height=down + margin["t"] + margin["b"] + legend,
        margin=margin | {"b": margin["b"] + legend},
    )


def logarithmic(low: float, high: float, suffix: str = "") -> dict[str, object]:
    """A logarithmic axis for values from `low`, which must be above 0, to `high`."""
    digits = (1,) if high > 300 * low else (1, 2, 5)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    powers = range(first, min(last, HIGHEST_POWER) + 1, -(-(last - first) // MOST_POWERS) or 1)
    ticks = [float(f"{digit}e{power}") for power in powers for digit in digits]
    return {"type": "log", "tickvals": ticks, "ticktext": [f"{tick:g}{suffix}" for tick in ticks]}


def _axis() -> dict[str, object]:
    return {
        "gridcolor": colour("grid"),
        "linecolor": colour("muted"),
        "tickcolor": colour("muted"),
        "zeroline": False,
        "title": {"standoff": 6},
    }
