"""What a model gets right and wrong on test data, as a table for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from mnist_tune.jobs.description import JobDescription
from mnist_tune.jobs.evaluation import Classes, Evaluation
from mnist_tune.jobs.metric import words
from mnist_tune.terminal.compact_table import compact_table
from mnist_tune.text.wording import percent

MOST_COLUMNS = 20
"""With more classes, the confusion matrix is left to the report and to `--json`."""


def evaluation_tables(evaluation: Evaluation, job: JobDescription) -> RenderableType:
    """The metrics in a line; of a classifier also how each class is told, and the confusion matrix."""
    line = Text(", ".join(_parts(evaluation, job)))
    return line if evaluation.classes is None else Group(_confusion(evaluation.classes), line)


def _parts(evaluation: Evaluation, job: JobDescription) -> Iterator[str]:
    (first, value), *others = evaluation.metrics.items()
    how = job.metric(job.on_test_data(first))
    usual = job.options.get("dataset")
    is_usual = evaluation.dataset is None or (usual is not None and usual.default == evaluation.dataset)
    of = "" if is_usual else f" of {evaluation.dataset}"
    on = f" on {evaluation.n_cases:,} {evaluation.cases}" if evaluation.n_cases else ""
    yield f"test {words(first)} {how.text(value)}{on}{of}"
    for name, each in others:
        yield f"{words(name)} {job.metric(job.on_test_data(name)).text(each)}"


def _confusion(classes: Classes) -> RenderableType:
    n = len(classes.names) if len(classes.names) <= MOST_COLUMNS else 0
    table = compact_table(f"true {classes.one}", "accuracy", *(f"read as {number}" for number in range(n)))
    rows = zip(classes.accuracies, classes.confusion_matrix, strict=True)
    for number, (accuracy, counts) in enumerate(rows):
        table.add_row(classes.label(number), percent(accuracy), *map(str, counts[:n]))
    return table
