"""A study's status and ranking as plain, immutable values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mnist_tune.results.cell_counts import Cells
from mnist_tune.results.race_standing import RaceStanding
from mnist_tune.results.ranking import Place
from mnist_tune.results.study_results import Results


@dataclass(frozen=True)
class RaceStatus:
    """How a study's race over seeds stands."""

    seeds: int
    """How many seeds of each configuration were compared last; 0 before the first comparison."""
    over: bool
    """Whether nothing follows any more."""
    ending: str | None
    """one is best, equal for every purpose or tied; None while the race goes on."""
    still_in: tuple[dict[str, Any], ...]
    """The configurations that are still in the race, from the best on."""
    out: tuple[dict[str, Any], ...]
    """Those that were behind."""
    seeds_expected: int | None
    """About how many more seeds each will get; None if that is not known."""


@dataclass(frozen=True)
class StudyStatus:
    """The state of a study at the moment when it was read."""

    name: str
    cells: Cells
    """How many cells are in each state: total, waiting, running, complete, pruned, failed."""
    finished: bool
    """Whether every cell has ended; failed cells will not be tried again."""
    control: str
    """Whether workers may take cells: running, paused, cancelled or stopped."""
    stopped: str
    """Why [stop] has stopped the study; empty if it has not."""
    evidence: tuple[str, ...]
    """What the ranking shows and what it does not, one sentence each."""
    warnings: tuple[str, ...]
    """What makes the cells less comparable than they look, and what does not count at all."""
    problems: tuple[str, ...]
    """What is stored of the study but cannot be read."""
    race: RaceStatus | None
    """The race over seeds of a study with [replicates]."""


@dataclass(frozen=True)
class RankedConfiguration:
    """One configuration in the ranking."""

    rank: int
    parameters: dict[str, Any]
    """The searched fields, without the seed."""
    mean: float
    """The mean over the seeds of the values with which its trials ended."""
    standard_error: float | None
    """The standard error of the mean; None for a single seed, from which it cannot be computed."""
    seeds: tuple[int, ...]
    """The seeds with which the configuration has been trained."""
    provisional: bool
    """Whether seeds of the configuration are missing, so that its place may change."""
    verdict: str
    """best, tied, behind or no common seed; before the end of a study it says that it may change."""
    p_value: float | None
    """The probability that the first is ahead by luck alone, corrected for all comparisons, or None."""
    trials: tuple[int, ...]
    """The numbers of the configuration's trials."""


def status_of(results: Results) -> StudyStatus:
    """The status of a study from its results."""
    return StudyStatus(
        name=results.name,
        cells=results.cells,
        finished=results.is_finished,
        control=str(results.control),
        stopped=results.why_stopped,
        evidence=tuple(results.evidence),
        warnings=tuple(results.warnings),
        problems=tuple(results.problems),
        race=None if results.race is None else _race(results.race),
    )


def _race(race: RaceStanding) -> RaceStatus:
    contenders = race.contenders
    return RaceStatus(
        seeds=race.rounds[-1].seeds if race.rounds else 0,
        over=race.is_over,
        ending=race.ending and str(race.ending),
        still_in=tuple(each.parameters for each in contenders if not each.is_out),
        out=tuple(each.parameters for each in contenders if each.is_out),
        seeds_expected=race.seeds_expected,
    )


def ranking_of(results: Results) -> tuple[RankedConfiguration, ...]:
    """The places of a study's ranking, best first."""
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
