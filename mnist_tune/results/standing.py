"""How a study stands, in one line: its cells by state, the best so far, the time left."""

from __future__ import annotations

from datetime import UTC, datetime

from mnist_tune.contract.study import Control
from mnist_tune.jobs.description import JobDescription
from mnist_tune.results.candidates import Candidate
from mnist_tune.results.eta import Pace
from mnist_tune.results.evidence import seeds_of
from mnist_tune.results.study_results import Results
from mnist_tune.results.trial_result import State
from mnist_tune.text.wording import duration


def totals(results: Results) -> str:
    """One line: how many cells are in which state, the best so far, the time left."""
    cells = results.cells
    parts = [f"{cells.complete + cells.pruned}/{cells.total} {'cell' if cells.total == 1 else 'cells'}"]
    parts += [
        f"{count} {state}"
        for state, count in cells.in_states(State.PRUNED, State.RUNNING, State.WAITING, State.FAILED)
    ]
    if results.control is not Control.RUNNING:
        parts.append(results.control)
    if results.race is not None:
        parts.append(results.race.short)
    if results.best is not None:
        parts.append(f"{results.best_word} {objective(results.best, results.job)}")
    seconds = Pace(results, datetime.now(UTC)).seconds_left()
    if seconds is not None:
        parts.append(f"ETA {duration(seconds)}")
    return ", ".join(parts)


def objective(candidate: Candidate, job: JobDescription) -> str:
    """The mean objective of a configuration, with its standard error and seeds, or its trial."""
    n = seeds_of(candidate)
    if candidate.standard_error is not None:
        metric = job.of_objective
        mean, unit = metric.number(candidate.mean), f" {metric.unit}" if metric.unit else ""
        return f"{mean} ± {metric.number(candidate.standard_error)}{unit} ({n} seeds)"
    seeds = f", {n} seeds" if candidate.is_provisional else ""
    return f"{job.text(candidate.mean)} (trial {candidate.first.number}{seeds})"
