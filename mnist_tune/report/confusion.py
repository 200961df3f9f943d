"""Pictures of which classes the winner's model tells apart on test data."""

from __future__ import annotations

from collections.abc import Sequence

from mnist_tune.jobs.evaluation import Classes, Evaluation
from mnist_tune.report.panels import finish, panels
from mnist_tune.report.section import Picture, Table, plain
from mnist_tune.report.theme import colour
from mnist_tune.results.intervals import of_cases
from mnist_tune.text.wording import percent


def confusion(evaluation: Evaluation, classes: Classes, whose: str) -> Picture:
    """The picture of which classes are taken for which."""
    matrix, names, one = classes.confusion_matrix, classes.names, classes.one
    n = range(len(matrix))
    # In two layers: beside the many right answers no mistake would have a colour.
    wrong = [[None if i == j else matrix[i][j] for j in n] for i in n]
    right = [[matrix[i][j] if i == j else None for j in n] for i in n]
    most = max((count or 0 for row in wrong for count in row), default=0)
    figure = panels([""], height=430)
    for counts, scale, font in (
        (wrong, [[0, colour("paper")], [1, colour("tied")]], {}),
        (right, [[0, colour("raised")], [1, colour("raised")]], {"color": colour("muted")}),
    ):
        figure.add_heatmap(
            x=[plain(name) for name in names],
            y=[plain(name) for name in names],
            z=counts,
            text=[[f"{count}" if count else "" for count in row] for row in counts],
            texttemplate="%{text}",
            textfont=font,
            hovertemplate="a %{y} read as %{x}: %{z:,}<extra></extra>",
            hoverongaps=False,
            colorscale=scale,
            zmin=0,
            zmax=max(most, 1),
            showscale=False,
            xgap=2,
            ygap=2,
        )
    figure.layout.xaxis.update(type="category", title={"text": "read as"}, showgrid=False)
    figure.layout.yaxis.update(
        type="category", title={"text": f"true {one}"}, showgrid=False, autorange="reversed"
    )
    rows = [[names[i], *(str(count) for count in row)] for i, row in enumerate(matrix)]
    numbers = Table([f"true {one}", *(f"read as {name}" for name in names)], rows)
    answer = _mistakes(matrix, names, evaluation.cases, whose)
    question = f"Which {classes.many} are taken for which?"
    return Picture("confusion", question, answer, finish(figure), [numbers])


def per_class(evaluation: Evaluation, classes: Classes, whose: str) -> Picture | None:
    """The picture of how well each class is read, and how certain that is; None without cases."""
    one = classes.one
    totals = [sum(row) for row in classes.confusion_matrix]
    known = [
        (name, value, of_cases(value, total), total)
        for name, value, total in zip(classes.names, classes.accuracies, totals, strict=True)
        if total
    ]
    if not known:
        return None
    figure = panels([""], height=max(120, 30 * len(known)))
    figure.add_scatter(
        x=[round(value, 3) for _, value, _, _ in known],
        y=[plain(name) for name, _, _, _ in known],
        mode="markers",
        marker={"size": 10, "color": colour("tied")},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [round(high - value, 3) for _, value, (_, high), _ in known],
            "arrayminus": [round(value - low, 3) for _, value, (low, _), _ in known],
            "color": colour("ink"),
            "thickness": 1.5,
            "width": 5,
        },
        showlegend=False,
        hovertemplate=f"{one} %{{y}}: %{{x}} %<extra></extra>",
    )
    figure.layout.xaxis.update(ticksuffix=" %", title={"text": "test accuracy, 95 % interval"})
    figure.layout.yaxis.update(type="category", title={"text": one}, autorange="reversed")
    worst = min(known, key=lambda one: one[1])
    best = max(known, key=lambda one: one[1])
    overlap = worst[2][1] >= best[2][0]
    answer = (
        f"Best is the {best[0]} with {percent(best[1])}, worst the {worst[0]} with {percent(worst[1])}; "
        + (
            "their intervals overlap: the order may be luck."
            if overlap
            else "their intervals do not overlap."
        )
        + f" Wilson's intervals, {whose}."
    )
    rows = [
        [name, percent(value), f"{low:.2f} to {percent(high)}", f"{total:,}"]
        for name, value, (low, high), total in known
    ]
    numbers = Table([one, "test accuracy", "95 % interval", evaluation.cases], rows)
    question = f"Which {classes.many} are hard?"
    return Picture("classes", question, answer, finish(figure), [numbers])


def _mistakes(matrix: Sequence[Sequence[int]], names: Sequence[str], cases: str, whose: str) -> str:
    pairs = sorted(
        ((count, i, j) for i, row in enumerate(matrix) for j, count in enumerate(row) if i != j and count),
        key=lambda one: -one[0],
    )
    if not pairs:
        return f"None of the {cases} were read wrong ({whose})."
    named = ", ".join(f"{names[i]} as {names[j]} ({count})" for count, i, j in pairs[:3])
    total = sum(count for count, _, _ in pairs)
    return f"{total:,} {cases} were read wrong, most often {named} ({whose}). Grey: how many were read right."
