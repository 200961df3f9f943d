"""Which part of an axis shows how the attempts differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from mnist_tune.jobs.metric import PERCENT
from mnist_tune.report.section import ends, is_winner
from mnist_tune.results.study_results import Results
from mnist_tune.results.trial_result import TrialResult


def values_of(attempts: Sequence[TrialResult], metric: str) -> list[float]:
    """The values of a metric in all epochs, without infinite ones and those that are no numbers."""
    found = (epoch[metric] for attempt in attempts for epoch in attempt.history)
    return [value for value in found if value is not None and math.isfinite(value)]


def close_up(drawn: Sequence[TrialResult], results: Results) -> list[float] | None:
    """The range of the winner's later epochs, or None if the range of all shows their differences too."""
    name, sign = results.job.objective, results.job.sign
    winner = [attempt for attempt in drawn if is_winner(results, attempt)]
    later = [replace(attempt, history=attempt.history[len(attempt.history) // 2 :]) for attempt in winner]
    # Turned over for a minimised objective, so that good values are above.
    near, far = ([sign * value for value in values_of(those, name)] for those in (later, drawn))
    if not near:
        return None
    (bottom, _), (lowest, top) = ends(near), ends(far)
    least = 0.1 if results.job.of_objective.unit == PERCENT else 1e-3 * abs(top)
    room = max(top - bottom, least)
    if top - lowest < 5 * room or not room:
        return None
    return sorted([sign * (bottom - room), sign * (top + 0.2 * room)])
