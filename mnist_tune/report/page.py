"""The report as one HTML file that needs no network, and cannot make requests."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from mnist_tune.report.contents import Report
from mnist_tune.report.panels import GAP, LEGEND_LINE, MARGIN
from mnist_tune.report.theme import DARK, LIGHT, variables
from mnist_tune.text.visible import visible_text

EARLY = "document.documentElement.classList.add('scripted');"
"""Runs before the page is drawn, so that texts for browsers without scripts do not flash up."""


def page(report: Report) -> str:
    """The text of the HTML file."""
    environment = Environment(
        loader=PackageLoader("mnist_tune.report", "."),
        autoescape=True,
        finalize=_visible,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    scripts = [EARLY, get_plotlyjs(), _read("page.js")]
    figures = {each.key: each.figure.to_json() for each in report.pictures if each.figure is not None}
    return environment.get_template("page.html").render(
        report=report,
        figures={key: _inert(text) for key, text in figures.items()},
        early=Markup(EARLY),
        scripts=[Markup(script) for script in scripts[1:]],
        policy=_policy(scripts),
        style=Markup(_read("page.css")),
        light=variables(LIGHT),
        dark=variables(DARK),
        arrangement={"margin": MARGIN, "gap": GAP, "legendLine": LEGEND_LINE},
    )


def _visible(value: object) -> object:
    """Make a value for the template safe to show; our own markup stays as it is."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return visible_text(value)


def _policy(scripts: list[str]) -> str:
    """The content policy: only these scripts run, whatever a study has stored; nothing is fetched or sent."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _inert(json_text: str) -> Markup:
    """JSON that cannot end the HTML element that contains it."""
    for character in "<>&\u2028\u2029":
        json_text = json_text.replace(character, f"\\u{ord(character):04x}")
    return Markup(json_text)


def _read(name: str) -> str:
    return resources.files("mnist_tune.report").joinpath(name).read_text(encoding="utf-8")
