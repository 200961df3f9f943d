"""Cells whose results come from an older study, so that their times and workers are that study's."""

from __future__ import annotations

from collections import Counter

from mnist_tune.results.study_results import Results
from mnist_tune.results.trial_result import TrialResult
from mnist_tune.text.wording import first_line


def ran_here(results: Results) -> list[TrialResult]:
    """The attempts that were not taken over, so that their times and workers are this study's."""
    return [attempt for attempt in results.attempts if attempt.reused is None]


def taken_over(results: Results) -> str:
    """How many cells were taken over from which study; empty if none were."""
    studies = Counter(
        first_line(str(attempt.reused["study"])) for attempt in results.attempts if attempt.reused is not None
    )
    return " ".join(_sentence(count, study) for study, count in studies.items())


def _sentence(count: int, study: str) -> str:
    return f"{count:,} cell{'s were' if count > 1 else ' was'} taken over from {study}."
