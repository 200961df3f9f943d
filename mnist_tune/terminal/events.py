"""Describes a study in lines of text: what has happened, what to know, what to do next."""

from __future__ import annotations

from collections.abc import Iterator

from mnist_tune.queue.worker_registry import WorkerState
from mnist_tune.results import unsaved_files
from mnist_tune.results.eta import epochs_of, own_epochs
from mnist_tune.results.standing import objective, totals
from mnist_tune.results.study_results import Results
from mnist_tune.results.trial_result import State, TrialResult
from mnist_tune.text.wording import configuration, counted, first_line, parameters_text

MOST_MISSING = 10
"""How many cells that failed for good are named one by one."""
MOST_PROBLEMS = 20
"""How many damaged values are named one by one; the others are counted."""


def events(before: Results, now: Results) -> Iterator[str]:
    """What has happened between two readings of a study, one line for each event."""
    if now.control is not before.control:
        yield f"the study is {now.control}{f': {now.why_stopped}' if now.why_stopped else ''}"
    revisions = now.spec.search.revisions or []
    for revision in revisions[len(before.spec.search.revisions or []) :]:
        has_grown = revision.race is None and not revision.closed
        yield f"the study has grown by {revision.told}" if has_grown else revision.told
    workers = {(worker.name, worker.started): worker.state for worker in before.workers}
    for worker in now.workers:
        if (worker.name, worker.started) not in workers:
            yield f"worker {first_line(worker.name)} is here, on {first_line(worker.device)}"
    known = {attempt.number: attempt for attempt in before.attempts}
    standing = totals(now)
    for attempt in now.attempts:
        yield from attempt_events(known.get(attempt.number), attempt, now, standing)
    for worker in now.workers:
        old_state = workers.get((worker.name, worker.started))
        if worker.state != old_state and worker.state in (
            WorkerState.SILENT,
            WorkerState.DRAINING,
            WorkerState.LEFT,
        ):
            why = f": {first_line(worker.departure)}" if worker.departure else ""
            state = worker.state if worker.state == WorkerState.LEFT else f"is {worker.state}"
            yield f"worker {first_line(worker.name)} {state}{why}"


def attempt_events(
    old: TrialResult | None, attempt: TrialResult, now: Results, standing: str
) -> Iterator[str]:
    """What has happened to an attempt since the reading `old`; the totals in `standing` go with its end."""
    if _has_begun(attempt) and not (old and _has_begun(old)):
        yield f"trial {attempt.number} begins: {parameters_text(attempt.parameters)}"
    told = len(own_epochs(old)) if old else 0
    for epoch in own_epochs(attempt)[told:]:
        yield f"trial {attempt.number} {epoch.line(epochs_of(now, attempt), now.job)}"
    yield from unsaved_files.events(old, attempt)
    if attempt.stale and not (old and old.stale):
        yield f"trial {attempt.number} is stale: its worker has fallen silent"
    if old is not None and old.state == attempt.state:
        return
    if attempt.was_extended:
        yield f"trial {attempt.number} is extended: it {first_line((attempt.failure or {})['reason'])}"
    elif attempt.state in (State.COMPLETE, State.PRUNED, State.FAILED):
        reason = f": {first_line(attempt.failure['class'])}" if attempt.failure else ""
        yield f"trial {attempt.number} {attempt.state}{reason}; {standing}"


def _has_begun(attempt: TrialResult) -> bool:
    """Whether an attempt has begun. A sampled cell is claimed a moment before it gets its parameters."""
    return bool(attempt.parameters) if attempt.state == State.RUNNING else attempt.state != State.WAITING


def conclusion(results: Results, most: int | None = MOST_MISSING) -> Iterator[str]:
    """What to know about a study and to do next: damage, missing cells, warnings, the best, its export.

    At most `most` of the missing cells are named.
    """
    problems = results.problems
    yield from (f"damaged: {problem}" for problem in problems[:MOST_PROBLEMS])
    if len(problems) > MOST_PROBLEMS:
        more = len(problems) - MOST_PROBLEMS
        yield f"damaged: ... and {more:,} more; all of them: mnist-tune verify {results.name}"
    for attempt in results.holes[:most]:
        reason = first_line((attempt.failure or {}).get("reason", "unknown"))
        cell = f"cell {attempt.cell} ({parameters_text(attempt.parameters)})"
        yield f"missing: {cell} failed for good: {reason}"
    if most is not None and len(results.holes) > most:
        others = counted(len(results.holes) - most, "more cell")
        yield f"missing: ... and {others}; all of them: mnist-tune status {results.name} --all"
    if results.cells.failed:
        yield f"put back what is missing with: mnist-tune retry {results.name} --failed"
    yield from (f"warning: {warning}" for warning in results.warnings)
    yield from (f"exhausted: {why}" for why in results.left_out)
    if results.why_stopped:
        yield f"stopped: {results.why_stopped}; go on with: mnist-tune resume {results.name}"
    best = results.best
    if results.is_finished and best is None and results.ended_early:
        yield "no configuration is ranked: the pruner has ended at least one trial of each"
    if best is not None:
        yield f"{results.best_word}: {configuration(best.parameters)} with {objective(best, results.job)}"
        yield from results.evidence
    if results.is_over and best is not None:
        yield f"export it with: mnist-tune export {results.name} --output best.toml"
