"""What a study says of itself, as plain values that stay as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mnist_tune.results.ranking import Place
from mnist_tune.results.study_results import Cells, Results


@dataclass(frozen=True)
class StudyStatus:
    """How a study stands, at one reading of it."""

    name: str
    cells: Cells
    """How many cells are in which state: total, waiting, running, complete, pruned, failed."""
    finished: bool
    """Whether every cell has ended; those that count as failed will not be tried again."""
    control: str
    """running, paused or cancelled: whether workers may take cells."""
    evidence: tuple[str, ...]
    """What the ranking shows and what it does not, one sentence each."""
    warnings: tuple[str, ...]
    """What makes the cells less comparable than they look, and what does not count at all."""
    problems: tuple[str, ...]
    """What is stored of the study and cannot be read."""


@dataclass(frozen=True)
class RankedConfiguration:
    """One configuration in the ranking. Accuracies are in percent, of the validation images."""

    rank: int
    parameters: dict[str, Any]
    """The searched fields but the seed."""
    mean: float
    """The accuracy after the last epoch, its mean over the seeds."""
    standard_error: float | None
    """Of the mean; None of a single seed, which tells nothing of it."""
    seeds: tuple[int, ...]
    """Those that it has been trained with."""
    provisional: bool
    """Whether seeds of it are missing, which may change its place."""
    verdict: str
    """best, tied, behind or no common seed; before the end of a study it may change, and says so."""
    p_value: float | None
    """That the first is ahead by luck alone, corrected for all comparisons; None if they are not compared."""
    trials: tuple[int, ...]
    """The numbers of its trials."""


def status_of(results: Results) -> StudyStatus:
    """How the study stands."""
    return StudyStatus(
        name=results.name,
        cells=results.cells,
        finished=results.is_finished,
        control=str(results.control),
        evidence=tuple(results.evidence),
        warnings=tuple(results.warnings),
        problems=tuple(results.problems),
    )


def ranking_of(results: Results) -> tuple[RankedConfiguration, ...]:
    """The places of the study's ranking, best first."""
    return tuple(_ranked(place, results) for place in results.ranking)


def _ranked(place: Place, results: Results) -> RankedConfiguration:
    candidate = place.candidate
    return RankedConfiguration(
        rank=place.rank,
        parameters=dict(candidate.parameters),
        mean=candidate.mean,
        standard_error=candidate.standard_error,
        seeds=tuple(sorted(candidate.attempts)),
        provisional=candidate.is_provisional,
        verdict=str(results.verdict(place)),
        p_value=place.p_value,
        trials=tuple(sorted(attempt.number for attempt in candidate.attempts.values())),
    )
