"""Colours by name, for light and for dark. Figures name them as CSS does, and the page fills them in.

The series are those of Okabe and Ito, which colour-blind people can tell apart; no figure relies on colour
alone.
"""

from __future__ import annotations

import json
from typing import Any

LIGHT = {
    "paper": "#ffffff",
    "raised": "#f4f5f7",
    "ink": "#1b1f24",
    "muted": "#57606a",
    "grid": "#d8dee4",
    "link": "#0550ae",
    "winner": "#d55e00",
    "tied": "#0072b2",
    "others": "#868e96",
    "series1": "#0072b2",
    "series2": "#009e73",
    "series3": "#a8558a",
    "series4": "#3a93c9",
    "series5": "#b97f00",
    "series6": "#57606a",
    # From the worst to the best, with growing contrast to the paper.
    "level1": "#c9ced4",
    "level2": "#a3b4c6",
    "level3": "#6f93b7",
    "level4": "#2f6ca3",
    "level5": "#0b3557",
}
DARK = {
    "paper": "#12161b",
    "raised": "#1c2229",
    "ink": "#e6edf3",
    "muted": "#a5b0bb",
    "grid": "#343c45",
    "link": "#79b8ff",
    "winner": "#ff9a4d",
    "tied": "#56b4e9",
    "others": "#77808a",
    "series1": "#56b4e9",
    "series2": "#2fc99a",
    "series3": "#e39cc4",
    "series4": "#9ad2f5",
    "series5": "#f0c24b",
    "series6": "#a5b0bb",
    "level1": "#4a525b",
    "level2": "#5d7288",
    "level3": "#6f9bc4",
    "level4": "#8fc5f0",
    "level5": "#e3f2ff",
}
CIVIDIS = ["#00224e", "#35456c", "#666970", "#948e77", "#c8b866", "#fee838"]
"""From dark to light, evenly in grey too; the same for light and dark pages."""


def colour(name: str) -> str:
    """A colour of the theme, as figures and styles write it."""
    assert name in LIGHT
    return f"var(--{name})"


PATTERN = {"fillmode": "overlay", "fgcolor": colour("paper"), "size": 6}
"""The pattern of bars, which tells them apart without their colour."""


def scale() -> list[list[Any]]:
    """The colour scale of heat maps."""
    return [[index / (len(CIVIDIS) - 1), each] for index, each in enumerate(CIVIDIS)]


def variables(palette: dict[str, str]) -> str:
    """The palette as CSS declarations."""
    return " ".join(f"--{name}: {value};" for name, value in palette.items())


def filled_in(figure_json: str, palette: dict[str, str]) -> dict[str, Any]:
    """A figure with its colours filled in, as the page does it."""
    for name, value in palette.items():
        figure_json = figure_json.replace(f'"{colour(name)}"', f'"{value}"')
    filled: dict[str, Any] = json.loads(figure_json)
    return filled
