"""All metrics by epoch for every cell, with the winner highlighted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mnist_tune.jobs.description import Binomial
from mnist_tune.jobs.metric import words
from mnist_tune.report.panels import finish, logarithmic, panels
from mnist_tune.report.ranges import close_up, values_of
from mnist_tune.report.section import (
    Picture,
    choices,
    is_winner,
    number,
    plain,
    searched,
    short_name,
    table,
)
from mnist_tune.report.theme import colour
from mnist_tune.results.scales import OF_AN_AXIS, is_logarithmic
from mnist_tune.results.study_results import Results
from mnist_tune.results.trial_result import State, TrialResult
from mnist_tune.spec.conditions import SEED
from mnist_tune.text.wording import counted

MOST_NAMED = 12
"""How many configurations get a line and a name each; more are drawn as groups."""
SERIES = [f"series{number}" for number in range(1, 7)]
DASHES = ["dash", "dot", "dashdot", "longdash", "longdashdot", "solid"]
SYMBOLS = ["square", "diamond", "triangle-up", "x", "triangle-down", "cross", "star", "pentagon"]


@dataclass(frozen=True)
class _Panel:
    title: str
    metric: str
    """The metric's name."""
    suffix: str = ""
    range: list[float] | None = None
    """The part of the vertical axis that is shown; None for all of it."""


def _panels(results: Results) -> list[_Panel]:
    """A panel for each metric; the objective's is the last, unless it is measured after all epochs."""
    names = results.metrics if results.job.test_metric is None else results.metrics[:-1]
    units = ((name, results.job.metric(name).unit) for name in names)
    return [_Panel(words(name), name, f" {unit}" if unit else "") for name, unit in units]


@dataclass(frozen=True)
class _Group:
    """Attempts that are drawn as one trace, with gaps between them."""

    name: str
    attempts: Sequence[TrialResult]
    line: dict[str, Any]
    marker: dict[str, Any]
    is_casing: bool = False
    """Whether it is only a border for the line drawn over it, without name and hover text."""


def curves(results: Results) -> Picture:
    """The picture of how the metrics changed over epochs."""
    drawn = [attempt for attempt in results.latest if attempt.history]
    question = "How did the cells learn?"
    if not drawn:
        return Picture("curves", question, "No epoch is done yet.")
    groups = _groups(results, drawn)
    epochs = max(attempt.history[-1].epoch for attempt in drawn)
    shown, closer = _panels(results), close_up(drawn, results)
    if not shown:
        return Picture("curves", question, "No epoch has a metric.", tables=[_table(results, drawn)])
    if closer is not None:
        shown.append(replace(shown[-1], title=f"{shown[-1].title}, close up", range=closer))
    figure = panels([panel.title for panel in shown], least_width=400, height=300, most=2 if closer else 3)
    for index, panel in enumerate(shown):
        axis = "" if index == 0 else str(index + 1)
        for group in groups:
            figure.add_scatter(
                **_points(group.attempts, panel.metric),
                name=group.name,
                legendgroup=group.name,
                showlegend=index == 0 and not group.is_casing,
                mode="lines+markers" if group.marker else "lines",  # thousands of markers are slow
                line=group.line,
                marker=group.marker,
                xaxis=f"x{axis}",
                yaxis=f"y{axis}",
                **_hover(group, panel),
            )
        vertical, values = figure.layout[f"yaxis{axis}"], values_of(drawn, panel.metric)
        if panel.suffix:
            vertical.ticksuffix = panel.suffix
        if panel.range is not None:
            vertical.range = panel.range
        elif is_logarithmic(results.job, panel.metric, values, OF_AN_AXIS):
            vertical.update(logarithmic(min(values), max(values), panel.suffix))
            figure.layout.annotations[index].text += " (logarithmic)"
        figure.layout[f"xaxis{axis}"].update(title={"text": "epoch"}, tick0=0, dtick=-(-epochs // 8))
    answer = _answer(results, drawn) + (_caution(results) if closer is not None else "")
    return Picture("curves", question, answer, finish(figure), [_table(results, drawn)])


def _groups(results: Results, drawn: Sequence[TrialResult]) -> list[_Group]:
    """The groups of attempts to draw; the winner comes last, so that it is on top."""
    winner = [attempt for attempt in drawn if is_winner(results, attempt)]
    rest = [attempt for attempt in drawn if not is_winner(results, attempt)]
    is_few = len(_by_name(results, rest)) < MOST_NAMED
    groups = _named(results, rest) if is_few else _summed_up(results, rest)
    if winner:
        name = f"{results.best_word}: {_configuration(results, winner[0])}" + _seeds(winner)
        line = {"color": colour("winner"), "width": 4}
        if not is_few:  # in greyscale the winner's line is as grey as the many below it
            casing = {"color": colour("paper"), "width": 9}
            groups.append(_Group(name, winner, casing, {}, is_casing=True))
        groups.append(_Group(name, winner, line, {"symbol": "circle", "size": 9, "color": colour("winner")}))
    return groups


def _named(results: Results, rest: Sequence[TrialResult]) -> list[_Group]:
    groups = []
    for index, (name, attempts) in enumerate(_by_name(results, rest).items()):
        shade = colour(SERIES[index % len(SERIES)])
        line = {"color": shade, "width": 1.5, "dash": DASHES[(index + index // len(SERIES)) % len(DASHES)]}
        marker = {"symbol": SYMBOLS[index % len(SYMBOLS)], "size": 6, "color": shade}
        groups.append(_Group(name + _seeds(attempts), attempts, line, marker))
    return groups


def _summed_up(results: Results, rest: Sequence[TrialResult]) -> list[_Group]:
    tied = {attempt.number for one in results.tied for attempt in one.attempts.values()}
    others = [each for each in rest if each.number not in tied]
    as_good = [each for each in rest if each.number in tied]
    groups = []
    for name, ours, shade, dash in (
        ("others", others, "others", "solid"),
        (f"tied with the {results.best_word}", as_good, "tied", "dot"),
    ):
        if ours:
            line = {"color": colour(shade), "width": 1, "dash": dash}
            groups.append(_Group(f"{name}, {len(ours):,}", ours, line, {}))
    return groups


def _by_name(results: Results, attempts: Sequence[TrialResult]) -> dict[str, list[TrialResult]]:
    grouped: dict[str, list[TrialResult]] = {}
    for attempt in attempts:
        grouped.setdefault(_configuration(results, attempt), []).append(attempt)
    return grouped


def _configuration(results: Results, attempt: TrialResult) -> str:
    parameters = {name: value for name, value in attempt.parameters.items() if name != SEED}
    return plain(short_name(results, parameters))


def _seeds(attempts: Sequence[TrialResult]) -> str:
    return f", {len(attempts)} seeds" if len(attempts) > 1 else ""


def _points(attempts: Sequence[TrialResult], metric: str) -> dict[str, list[Any]]:
    """The points of all attempts as one trace, since many traces take a browser seconds."""
    x: list[int | None] = []
    y: list[float | None] = []
    trials: list[int | None] = []
    for attempt in attempts:
        for epoch in attempt.history:
            value = epoch[metric]
            x.append(epoch.epoch)
            y.append(None if value is None else float(f"{value:.5g}"))
            trials.append(attempt.number)
        for values in (x, y, trials):
            values.append(None)
    return {"x": x[:-1], "y": y[:-1], "customdata": trials[:-1]}


def _hover(group: _Group, panel: _Panel) -> dict[str, str]:
    if group.is_casing:
        return {"hoverinfo": "skip"}
    words = f"trial %{{customdata}}, epoch %{{x}}: %{{y}}{panel.suffix}"
    return {"hovertemplate": f"{words}<extra>{group.name}</extra>"}


def _answer(results: Results, drawn: Sequence[TrialResult]) -> str:
    epochs = max(attempt.history[-1].epoch for attempt in drawn)
    pruned = sum(attempt.state == State.PRUNED for attempt in drawn)
    early = f", {pruned:,} of them pruned: their lines end early" if pruned else ""
    said = (
        f"{len(drawn):,} of {counted(results.cells.total, 'cell')}, up to {counted(epochs, 'epoch')}{early}."
    )
    best = results.best
    if best is None:
        return said
    first = best.first.history
    job = results.job
    began, ended = (first[0][job.objective], first[-1][job.objective]) if first else (None, None)
    if began is None or ended is None:
        return said
    return (
        f"{said} The {results.best_word} (thick line, round markers) went from {job.text(began)} after "
        f"epoch 1 to {job.text(ended)} after epoch {first[-1].epoch} (trial {best.first.number})."
    )


def _caution(results: Results) -> str:
    assert results.best is not None  # without a winner there is no close-up
    deviation, noise = results.measure.deviation(results.best.mean), results.job.noise
    if deviation is None:
        return " The close-up magnifies."
    margin = 1.96 * deviation
    if not isinstance(noise, Binomial):
        return f" The close-up magnifies: one reading is uncertain by ± {results.job.text(margin)}."
    return (
        f" The close-up magnifies: one reading of {results.spec.n_cases:,} validation {noise.cases} is "
        f"uncertain by ± {results.job.of_objective.number(margin)} points."
    )


def _table(results: Results, drawn: Sequence[TrialResult]) -> Any:
    names = searched(results)
    job = results.job

    def goodness(attempt: TrialResult) -> list[float]:
        return [job.sign * value for value in attempt.objective_values[-1:]]

    def last(attempt: TrialResult, name: str) -> float | None:
        is_measured = name == job.objective and job.test_metric is not None
        return attempt.value if is_measured else attempt.history[-1][name]

    ranked = sorted(drawn, key=goodness, reverse=True)
    rows = [
        [
            str(attempt.number),
            *(number(attempt.parameters.get(name, ""), choices(results, name)) for name in names),
            attempt.state,
            str(attempt.history[-1].epoch),
            *(job.metric(name).text(last(attempt, name)) for name in results.metrics),
        ]
        for attempt in ranked
    ]
    columns = ["trial", *names, "state", "epochs", *map(words, results.metrics)]
    return table(columns, rows, "best")
