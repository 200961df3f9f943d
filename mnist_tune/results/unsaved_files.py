"""Says in words which files of trials could not be written to the folders beside the storage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mnist_tune.results.trial_result import State, TrialResult
from mnist_tune.storage.keys import STATE, WEIGHTS
from mnist_tune.text.wording import first_line, listed

NOT_KEPT = {WEIGHTS: "its weights could not be kept", STATE: "no state to go on from could be kept"}
KEPT_NOTHING = {WEIGHTS: "no weights were kept of", STATE: "no state to go on from was kept of"}
MOST_NUMBERS = 10
"""How many trials a warning names."""


def warnings(without_weights: Sequence[TrialResult], latest: Sequence[TrialResult]) -> Iterator[str]:
    """What is missing in the folders, one line a kind; states count only for cells that may need them."""
    yield from _warning(WEIGHTS, without_weights)
    in_need = (State.RUNNING, State.FAILED)
    yield from _warning(STATE, [attempt for attempt in latest if attempt.state in in_need])


def events(old: TrialResult | None, attempt: TrialResult) -> Iterator[str]:
    """What could not be written of an attempt since the reading `old`."""
    for kind, reason in attempt.not_kept.items():
        if old is None or old.not_kept.get(kind) != reason:
            yield f"trial {attempt.number}: {NOT_KEPT[kind]}: {first_line(reason)}"


def first_events(before: Sequence[TrialResult], now: Sequence[TrialResult]) -> Iterator[str]:
    """What could not be written of any attempt, unless the same was so of one in `before`."""
    known = {loss for attempt in before for loss in attempt.not_kept.items()}
    for attempt in now:
        new = set(attempt.not_kept.items()) - known
        if new:
            known |= new
            yield from events(None, attempt)


def _warning(kind: str, attempts: Sequence[TrialResult]) -> Iterator[str]:
    without = [attempt for attempt in attempts if kind in attempt.not_kept]
    if without:
        numbers = listed([str(attempt.number) for attempt in without], MOST_NUMBERS)
        why = ", ".join(sorted({first_line(attempt.not_kept[kind]) for attempt in without}))
        yield f"{KEPT_NOTHING[kind]} {'trials' if len(without) > 1 else 'trial'} {numbers}: {why}"
