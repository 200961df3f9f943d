"""The head's own pages: templates that are filled in, and what browsers are told to refuse."""

from __future__ import annotations

import functools
from importlib import resources
from typing import Any

from jinja2 import Environment
from markupsafe import Markup
from starlette.responses import HTMLResponse

from mnist_tune.report.templates import allowed, templates
from mnist_tune.report.theme import DARK, LIGHT, variables

GUARDED = {
    "X-Content-Type-Options": "nosniff",
    # Without its own origin, which `no-referrer` would hide, a login would be taken for another site's.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""Headers of all that browsers show."""
FRAMELESS = "frame-ancestors 'none'; base-uri 'none'; object-src 'none'"
"""The part of the content policy that holds for every page."""


def html(template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """The page that this template makes of the values."""
    return HTMLResponse(
        rendered(template, **values),
        status,
        {**GUARDED, "Content-Security-Policy": _policy(), "Cache-Control": "no-store"},
    )


def rendered(template: str, **values: Any) -> Markup:
    """The markup that this template makes of the values."""
    own = {"style": Markup(_style()), "script": Markup(_script())}
    return Markup(_templates().get_template(template).render(own, **values))


@functools.cache
def _policy() -> str:
    """Only our own style and script are used, and they reach this head only."""
    return (
        f"default-src 'none'; script-src {allowed(_script())}; style-src {allowed(_style())}; "
        f"img-src data:; connect-src 'self'; form-action 'self'; {FRAMELESS}"
    )


@functools.cache
def _templates() -> Environment:
    return templates("mnist_tune.serve", "templates")


@functools.cache
def _style() -> str:
    """The style as it stands in the page: its hash is in the policy."""
    dark = f"@media (prefers-color-scheme: dark) {{ :root {{ {variables(DARK)} }} }}"
    return f"\n:root {{ {variables(LIGHT)} }}\n{dark}\n{_read('pages.css')}"


@functools.cache
def _script() -> str:
    return _read("home.js")


def _read(name: str) -> str:
    return (resources.files("mnist_tune.serve") / "templates" / name).read_text(encoding="utf-8")
