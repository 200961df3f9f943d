"""What a head tells people of its studies: the events, and which of them are new."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict

from mnist_tune.spec.study_spec import Spec
from mnist_tune.text.visible import visible, without_passwords
from mnist_tune.text.wording import configuration, counted, first_line

if TYPE_CHECKING:  # it loads Optuna, for which a head's start need not wait
    from mnist_tune.results.outcomes import Outcome
    from mnist_tune.results.trial_result import TrialResult

LONGEST = 1_000
"""The most characters of a reason, or of a text in a configuration."""


class Kind(StrEnum):
    """What has happened."""

    FINISHED = "finished"
    """Every cell has ended."""
    STOPPED = "stopped"
    """A condition of the study's [stop] holds: no further cell is begun."""
    HOLE = "hole"
    """A cell has failed for good: its retry budget is spent."""
    NEW_BEST = "new_best"
    """Another configuration leads the ranking."""


class Event(BaseModel):
    """An event as it is sent. Each kind has all fields; what does not apply to it is None."""

    model_config = ConfigDict(extra="forbid")

    id: str
    """The same each time that the event is sent."""
    event: Kind
    study: str
    time: AwareDatetime
    """When it happened, in UTC."""
    text: str
    """The event in one line, for people."""
    configuration: dict[str, Any] | None = None
    """That of the best, or of the hole's trial."""
    value: float | None = None
    """The best's mean objective over its seeds."""
    metric: str | None = None
    unit: str | None = None
    seeds: int | None = None
    """How many seeds the value is the mean of."""
    provisional: bool | None = None
    """Whether more seeds of the best are to come."""
    cell: int | None = None
    trial: int | None = None
    reason: str | None = None
    cells: dict[str, int] | None = None
    """How many cells have ended in each way."""


class Told(BaseModel):
    """What has been told of a study."""

    model_config = ConfigDict(extra="forbid")

    finished: int | None = None
    """The number of the trial that was the last one to end when the study was finished."""
    stopped: str | None = None
    """When the study's [stop] has stopped it, in ISO 8601; None if it goes on."""
    best: str | None = None
    """The configuration that leads, as JSON."""
    holes: frozenset[int] = frozenset()
    """The numbers of the trials with which cells failed for good."""


def news(name: str, uid: str, spec: Spec, outcome: Outcome, told: Told) -> tuple[list[Event], Told]:
    """The events that have not been told of the study, oldest first, and what has been told after them."""
    now = Told(
        finished=outcome.last.number if outcome.is_finished and outcome.last is not None else None,
        stopped=None if outcome.stopped is None else outcome.stopped.when.isoformat(),
        best=None if outcome.best is None else _text_of(outcome.best.parameters),
        holes=frozenset(each.number for each in outcome.holes),
    )
    write = _Writer(name, uid, spec, outcome)
    events = [write.hole(each) for each in outcome.holes if each.number not in told.holes]
    if now.best is not None and now.best != told.best:
        events.append(write.new_best())
    if now.stopped is not None and now.stopped != told.stopped:
        events.append(write.stopped())
    events.sort(key=lambda event: event.time)
    if now.finished is not None and now.finished != told.finished:
        events.append(write.finished())
    return events, now


class _Writer:
    """Writes the events of one study."""

    def __init__(self, name: str, uid: str, spec: Spec, outcome: Outcome) -> None:
        self._name = name
        self._uid = uid
        self._job = spec.description
        self._n_cells = spec.n_cells
        self._outcome = outcome

    def hole(self, trial: TrialResult) -> Event:
        failure = trial.failure or {}
        reason = _clean(without_passwords(str(failure.get("reason", "")))[:LONGEST])
        what = f"cell {trial.cell} has failed for good ({configuration(trial.parameters)})"
        return self._event(
            Kind.HOLE,
            trial.number,
            trial.ended,
            f"{what}: {first_line(reason)}",
            configuration=_bounded(trial.parameters),
            cell=trial.cell,
            trial=trial.number,
            reason=reason,
        )

    def new_best(self) -> Event:
        best = self._outcome.best
        assert best is not None
        ended = [each.ended for each in best.attempts.values() if each.ended is not None]
        which = [_text_of(best.parameters), sorted(each.number for each in best.attempts.values())]
        text = f"{self._leads()} leads now"
        return self._event(Kind.NEW_BEST, which, max(ended, default=None), text, **self._best())

    def finished(self) -> Event:
        outcome = self._outcome
        assert outcome.last is not None
        pruned = sum(each.state == "pruned" for each in outcome.finished)
        complete = len(outcome.finished) - pruned
        cells = {
            "total": self._n_cells,
            "complete": complete,
            "pruned": pruned,
            "failed": self._n_cells - complete - pruned,
        }
        failed = f", {cells['failed']:,} failed for good" if cells["failed"] else ""
        best = f"; {self._leads()} leads" if outcome.best is not None else ""
        text = (
            f"finished: {complete + pruned:,} of {counted(self._n_cells, 'cell')} have a result{failed}{best}"
        )
        return self._event(
            Kind.FINISHED, outcome.last.number, outcome.ended, text, cells=cells, **self._best()
        )

    def stopped(self) -> Event:
        stopped = self._outcome.stopped
        assert stopped is not None
        why = _clean(stopped.told(self._job))
        best = f"; {self._leads()} leads" if self._outcome.best is not None else ""
        text = f"stopped: {why}{best}"
        which = stopped.when.isoformat()
        return self._event(Kind.STOPPED, which, stopped.when, text, reason=why, **self._best())

    def _best(self) -> dict[str, Any]:
        best, metric = self._outcome.best, self._job.of_objective
        if best is None:
            return {}
        return {
            "configuration": _bounded(best.parameters),
            "value": best.mean,
            "metric": self._job.objective,
            "unit": metric.unit or None,
            "seeds": best.n,
            "provisional": best.is_provisional,
            "trial": best.first.number,
        }

    def _leads(self) -> str:
        best = self._outcome.best
        assert best is not None
        return f"{configuration(best.parameters)} with {self._job.text(best.mean)}"

    def _event(self, kind: Kind, which: Any, time: datetime | None, text: str, **what: Any) -> Event:
        named = json.dumps([self._uid, kind, which])
        return Event(
            id=hashlib.sha256(named.encode()).hexdigest()[:32],
            event=kind,
            study=_clean(self._name),
            time=time or datetime.now(UTC),
            text=f"study '{visible(self._name)}': {text}",
            **what,
        )


def _text_of(parameters: dict[str, Any]) -> str:
    return json.dumps(_bounded(parameters), sort_keys=True)


def _bounded(parameters: dict[str, Any]) -> dict[str, Any]:
    return {
        _clean(name): _clean(value[:LONGEST]) if isinstance(value, str) else value
        for name, value in parameters.items()
    }


def _clean(text: str) -> str:
    """The text with a mark in place of what UTF-8 cannot write; JSON can name such characters."""
    return text.encode("utf-8", "replace").decode("utf-8")
