"""The report as one HTML file that needs no network, and cannot make requests."""

from __future__ import annotations

from importlib import resources

from markupsafe import Markup
from plotly.offline import get_plotlyjs

from mnist_tune.report.contents import Report
from mnist_tune.report.panels import GAP, LEGEND_LINE, MARGIN
from mnist_tune.report.templates import allowed, templates
from mnist_tune.report.theme import DARK, LIGHT, variables

EARLY = "document.documentElement.classList.add('scripted');"
"""Runs before the page is drawn, so that texts for browsers without scripts do not flash up."""


def page(report: Report) -> str:
    """The text of the HTML file."""
    scripts = [EARLY, get_plotlyjs(), _read("page.js")]
    figures = {each.key: each.figure.to_json() for each in report.pictures if each.figure is not None}
    return (
        templates("mnist_tune.report", ".")
        .get_template("page.html")
        .render(
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
    )


def _policy(scripts: list[str]) -> str:
    """The content policy: only these scripts run, whatever a study has stored; nothing is fetched or sent."""
    return (
        f"default-src 'none'; script-src {allowed(*scripts)}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _inert(json_text: str) -> Markup:
    """JSON that cannot end the HTML element that contains it."""
    for character in "<>&\u2028\u2029":
        json_text = json_text.replace(character, f"\\u{ord(character):04x}")
    return Markup(json_text)


def _read(name: str) -> str:
    return resources.files("mnist_tune.report").joinpath(name).read_text(encoding="utf-8")
