"""How many cells of a study are in each state."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from mnist_tune.results.trial_result import State


@dataclass(frozen=True)
class Cells:
    """How many cells are in each state; `failed` counts cells that nobody will try again."""

    total: int
    waiting: int
    running: int
    complete: int
    pruned: int
    failed: int

    def in_states(self, *states: State) -> list[tuple[State, int]]:
        """How many cells are in each of these states, in this order, without states that no cell is in."""
        counts = asdict(self)
        return [(state, counts[state]) for state in states if counts[state]]
