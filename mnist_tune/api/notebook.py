"""A study as a notebook shows it: HTML that survives when JupyterLab removes what it does not trust.

It uses tables, lists and `progress`, but no scripts, style sheets or colours, so that it fits any theme. All
stored values are shown as plain text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from mnist_tune.jobs.metric import words
from mnist_tune.results.evidence import seeds_of
from mnist_tune.results.ranking import Place
from mnist_tune.results.standing import totals
from mnist_tune.results.study_results import Results
from mnist_tune.spec.conditions import SEED
from mnist_tune.terminal.events import conclusion
from mnist_tune.text.visible import visible
from mnist_tune.text.wording import counted, parameter

MOST_RANKED = 20
LEFT = "text-align: left"
RIGHT = "text-align: right"


def notebook_html(results: Results) -> str:
    """The study's progress, its ranking with verdicts, and what to know about it."""
    cells = results.cells
    ended = cells.complete + cells.pruned + cells.failed
    share = f'<progress value="{ended}" max="{max(cells.total, 1)}"></progress>'
    parts = [f"<p><strong>{_text(results.name)}</strong> {share} {_text(totals(results))}</p>"]
    if results.ranking:
        parts += _ranking(results)
    if lines := list(conclusion(results)):
        parts.append(f"<ul>{''.join(f'<li>{_text(line)}</li>' for line in lines)}</ul>")
    return f"<div>{''.join(parts)}</div>"


def problem_html(name: str, problem: str) -> str:
    """The HTML for a study that cannot be read."""
    return f"<div><p><strong>{_text(name)}</strong> cannot be read: {_text(problem)}</p></div>"


def _ranking(results: Results) -> Iterator[str]:
    names = [name for name in results.spec.search.axes if name != SEED]
    head = ["rank", *names, words(results.job.objective), "standard error", "seeds", "verdict"]
    places = results.ranking[:MOST_RANKED]
    rows = "".join(f"<tr>{_cells('td', _place(results, place, names))}</tr>" for place in places)
    yield f"<table><thead><tr>{_cells('th', head)}</tr></thead><tbody>{rows}</tbody></table>"
    if more := len(results.ranking) - len(places):
        yield f"<p>... and {_text(counted(more, 'more configuration'))}</p>"


def _place(results: Results, place: Place, names: Iterable[str]) -> list[str]:
    candidate = place.candidate
    error = candidate.standard_error
    return [
        str(place.rank),
        *(parameter(candidate.parameters.get(name, "")) for name in names),
        results.job.text(candidate.mean),
        results.job.of_objective.number(error),
        seeds_of(candidate),
        results.verdict(place),
    ]


def _cells(tag: str, texts: list[str]) -> str:
    """One row of a table; the last cell, the verdict, is words, and the others are numbers or short."""
    styles = [RIGHT] * (len(texts) - 1) + [LEFT]
    return "".join(
        f'<{tag} style="{style}">{_text(text)}</{tag}>' for text, style in zip(texts, styles, strict=True)
    )


def _text(stored: str) -> str:
    return escape(visible(stored))
