"""A study's progress for the terminal: tables for people, one line per event for logs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mnist_tune.configuration import parameters_text
from mnist_tune.control import Control
from mnist_tune.results import Attempt, Results

if TYPE_CHECKING:
    from mnist_tune.evaluation import Evaluation
    from mnist_tune.verification import Verification

SYMBOLS = {"running": "▶", "failed": "✗", "complete": "✓", "pruned": "✂", "waiting": "·"}
"""Of each state, in the order in which a crowded table keeps them."""
NUMBERS = {"rank", "trial", "attempt", "epoch", "loss", "accuracy", "images/s", "checked"}
"""Columns that are easier to compare when aligned to the right."""


def overview(results: Results, max_rows: int = 1_000) -> RenderableType:
    """Each cell's latest attempt, then the totals; of many cells, those where most happens."""
    table = _table("trial", *_axes(results), "state", "epoch", "loss", "accuracy", "images/s")
    busiest = sorted(results.latest, key=lambda attempt: list(SYMBOLS).index(attempt.state))[:max_rows]
    epochs = results.spec.training.epochs
    for attempt in sorted(busiest, key=lambda attempt: attempt.number):
        last = attempt.history[-1] if attempt.history else None
        total = attempt.parameters.get("epochs", epochs)
        table.add_row(
            str(attempt.number),
            *_values(results, attempt),
            _state(attempt),
            f"{len(attempt.history)}/{total}",
            f"{last['validation_loss']:.4f}" if last else "",
            f"{last['validation_accuracy']:.2f} %" if last else "",
            f"{last['images_per_second']:,.0f}" if last else "",
        )
    hidden = len(results.latest) - len(busiest)
    more = [Text(f"... and {hidden} more cells")] if hidden else []
    return Group(table, *more, Text(totals(results)))


def totals(results: Results) -> str:
    """One line: how many cells are in which state, the best so far, the time left."""
    cells = results.cells
    parts = [f"{cells.complete + cells.pruned}/{cells.total} cells"]
    parts += [
        f"{count} {state}"
        for state, count in (("running", cells.running), ("waiting", cells.waiting), ("failed", cells.failed))
        if count
    ]
    if results.control is not Control.RUNNING:
        parts.append(results.control)
    if results.best is not None:
        parts.append(f"best {results.best.value:.2f} % (trial {results.best.number})")
    seconds = seconds_left(results)
    if seconds is not None:
        parts.append(f"ETA {duration(seconds)}")
    return ", ".join(parts)


def ranking(results: Results) -> RenderableType:
    """The completed cells, best first."""
    table = _table(
        "rank", "trial", *_axes(results), "validation accuracy", "validation loss", "training loss", "time"
    )
    for rank, attempt in enumerate(results.ranking, start=1):
        last = attempt.history[-1] if attempt.history else {}
        table.add_row(
            str(rank),
            str(attempt.number),
            *_values(results, attempt),
            f"{attempt.value:.2f} %",
            f"{last['validation_loss']:.4f}" if last else "",
            f"{last['training_loss']:.4f}" if last else "",
            clock(sum(epoch["seconds"] for epoch in attempt.history)),
        )
    return table


def conclusion(results: Results) -> Iterator[str]:
    """What to know of a study and do next: missing cells, warnings, the winner and how to export it."""
    for attempt in results.holes:
        reason = _first_line((attempt.failure or {}).get("reason", "unknown"))
        cell = f"cell {attempt.cell} ({parameters_text(attempt.parameters)})"
        yield f"missing: {cell} failed for good: {reason}"
    yield from (f"warning: {warning}" for warning in results.warnings)
    best = results.best
    if results.is_finished and best is not None:
        yield f"best: trial {best.number} with {best.value:.2f} % ({parameters_text(best.parameters)})"
        yield f"export it with: mnist-tune export {results.name} --output best.toml"


def attempts_table(results: Results) -> RenderableType:
    """Every attempt: parameters, state, the accuracy of each epoch, worker."""
    table = _table("trial", "attempt", *_axes(results), "state", "accuracy per epoch", "worker")
    for attempt in results.attempts:
        accuracies = " ".join(f"{epoch['validation_accuracy']:.2f}" for epoch in attempt.history)
        table.add_row(
            str(attempt.number),
            str(attempt.attempt),
            *_values(results, attempt),
            _state(attempt),
            accuracies,
            _first_line(attempt.worker or ""),
        )
    return table


def evaluation_tables(evaluation: Evaluation) -> RenderableType:
    """Test accuracy, accuracy per class, and the confusion matrix."""
    table = _table("true digit", "accuracy", *(f"read as {digit}" for digit in range(10)))
    for digit, counts in enumerate(evaluation.confusion_matrix):
        table.add_row(str(digit), f"{evaluation.per_class_accuracy[digit]:.2f} %", *map(str, counts))
    headline = (
        f"test accuracy {evaluation.accuracy:.2f} % on {evaluation.n_images:,} images, "
        f"loss {evaluation.loss:.4f}"
    )
    return Group(table, Text(headline))


def verification_report(verification: Verification) -> RenderableType:
    """Every check with what came of it, then what was found, line by line."""
    table = _table("check", "what is promised", "checked", "verdict")
    lines = []
    for outcome in verification.outcomes:
        checked = "" if outcome.checked is None else f"{outcome.checked:,}"
        table.add_row(outcome.check, outcome.promise, checked, outcome.verdict)
        for finding in outcome.findings:
            lines.append(f"{outcome.kind}: {outcome.check}: {_first_line(str(finding))}")
    return Group(table, *map(Text, lines), Text(verification.verdict))


def clock(seconds: float) -> str:
    """Seconds as a stopwatch shows them: 6:55, 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def events(before: Results, now: Results) -> Iterator[str]:
    """What has happened between two readings of a study, one line per event."""
    known = {attempt.number: attempt for attempt in before.attempts}
    for attempt in now.attempts:
        old = known.get(attempt.number)
        if attempt.state != "waiting" and (old is None or old.state == "waiting"):
            yield f"trial {attempt.number} begins: {parameters_text(attempt.parameters)}"
        for epoch in attempt.history[len(old.history) if old else 0 :]:
            yield (
                f"trial {attempt.number} epoch {epoch['epoch']}: training loss {epoch['training_loss']:.4f}, "
                f"validation loss {epoch['validation_loss']:.4f}, "
                f"validation accuracy {epoch['validation_accuracy']:.2f} %"
            )
        if attempt.state in ("complete", "pruned", "failed") and (old is None or old.state != attempt.state):
            reason = f": {attempt.failure['class']}" if attempt.failure else ""
            yield f"trial {attempt.number} {attempt.state}{reason}; {totals(now)}"


def seconds_left(results: Results) -> float | None:
    """Epochs to go, at the pace of the epochs so far, shared by the trials that run now."""
    epochs = [epoch for attempt in results.attempts for epoch in attempt.history]
    if not epochs or results.is_finished or not results.cells.running:
        return None
    to_go = sum(
        attempt.parameters.get("epochs", results.spec.training.epochs) - len(attempt.history)
        for attempt in results.attempts
        if attempt.state in ("waiting", "running")
    )
    pace = sum(epoch["seconds"] for epoch in epochs) / len(epochs)
    return float(pace * to_go / results.cells.running)


def duration(seconds: float) -> str:
    """Seconds as people say them: 45 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def workers_table(results: Results) -> RenderableType:
    """Every worker: where it runs, on what, which trial, how fast, when it was last heard of."""
    table = _table("worker", "device", "state", "trial", "images/s", "last beat")
    for worker in results.workers:
        table.add_row(
            worker.name,
            worker.device,
            f"{worker.state}: {_first_line(worker.departure)}" if worker.departure else worker.state,
            "" if worker.trial is None else str(worker.trial),
            "" if worker.images_per_second is None else f"{worker.images_per_second:,.0f}",
            f"{duration(worker.seconds_since_beat)} ago",
        )
    return table


def failures(results: Results) -> Iterator[str]:
    """Why attempts failed, one line each."""
    for attempt in results.attempts:
        if attempt.failure is not None:
            reason = _first_line(attempt.failure["reason"])
            yield f"trial {attempt.number} failed: {attempt.failure['class']}: {reason}"


def _first_line(text: str) -> str:
    # A reason may hold anything, terminal escape sequences too.
    return "".join(filter(str.isprintable, text.split("\n", 1)[0]))


def _state(attempt: Attempt) -> str:
    return f"{SYMBOLS[attempt.state]} {'stale' if attempt.stale else attempt.state}"


def _axes(results: Results) -> list[str]:
    return list(results.spec.search.axes)


def _values(results: Results, attempt: Attempt) -> list[str]:
    return [str(attempt.parameters.get(name, "")) for name in _axes(results)]


def _table(*columns: str) -> Table:
    # Narrow gaps and headers that break between words: the table fits into 80 columns.
    table = Table(box=box.SIMPLE_HEAD, padding=0)
    for column in columns:
        words = column.replace("_", " ").split()
        table.add_column(
            " ".join(words),
            justify="right" if column in NUMBERS else "left",
            no_wrap=len(words) == 1,
            min_width=max(map(len, words)),
        )
    return table
