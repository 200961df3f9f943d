"""Results as a storage would give them, for studies of any size and in any state."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from mnist_tune.contract.study import Control
from mnist_tune.queue.worker_registry import WorkerRow, WorkerState
from mnist_tune.results.study_results import Results
from mnist_tune.results.trial_result import State, TrialResult
from mnist_tune.spec.study_spec import Spec
from tests.support.made_studies.epochs import EPOCH_SECONDS, made_epoch
from tests.support.specs import MnistSpec

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
Grid = dict[str, list[Any]]
EIGHT_CELLS: Grid = {"learning_rate": [0.001, 0.0001], "batch_size": [64, 128], "optimizer": ["Adam", "SGD"]}
THOUSAND_CELLS: Grid = EIGHT_CELLS | {"seed": list(range(125))}
HOST = "gpu-1.example"


def mnist_spec(content: dict[str, Any]) -> Spec:
    """The spec of a study of the MNIST job."""
    return MnistSpec.model_validate(content)


def made_results(
    grid: Grid = EIGHT_CELLS,
    *,
    name: str = "grid",
    done: int = 3,
    failed: int = 1,
    running: int = 2,
    epochs: int = 10,
    epochs_done: int = 4,
    workers: Sequence[WorkerRow] | None = None,
    control: Control = Control.RUNNING,
) -> Results:
    """A study whose first cells are done, the next have failed, the next run, and the others wait."""
    training = {} if "epochs" in grid else {"epochs": epochs}
    spec = mnist_spec({"study": {"name": name}, "search": {"grid": grid}, "training": training})
    axes = spec.search.axes
    states = ["complete"] * done + ["failed"] * failed + ["running"] * running
    points = itertools.product(*axes.values())
    attempts = [
        made_attempt(
            number,
            state,
            dict(zip(axes, point, strict=True)),
            epochs if state == "complete" else 0 if state == "waiting" else epochs_done,
        )
        for number, (state, point) in enumerate(
            zip(itertools.chain(states, itertools.repeat("waiting")), points, strict=False)
        )
    ]
    at_work = [
        made_worker(attempt.worker or "", attempt.number)
        for attempt in attempts
        if attempt.state == "running"
    ]
    return Results(spec, attempts, control, list(at_work if workers is None else workers))


def made_attempt(number: int, state: str, parameters: dict[str, Any], epochs_done: int = 0) -> TrialResult:
    """The first attempt at a cell, with this many epochs; one that runs is at the very end of its last."""
    history = [
        made_epoch(epoch, 50.0 + 40.0 * epoch / (epoch + 1), EPOCH_SECONDS)
        for epoch in range(1, epochs_done + 1)
    ]
    is_over = state in ("complete", "failed")
    return TrialResult(
        number=number,
        cell=number,
        attempt=1,
        state=State(state),
        parameters=parameters,
        value=history[-1]["validation_accuracy"] if history and state == "complete" else None,
        history=history,
        worker=None if state == "waiting" else f"{HOST}:{1000 + number}",
        environment={},
        resumed=None,
        failure={"class": "non_finite", "reason": "training loss is nan"} if state == "failed" else None,
        started=None if state == "waiting" else NOW - timedelta(seconds=EPOCH_SECONDS * epochs_done),
        ended=NOW - timedelta(seconds=1_000 - number) if is_over else None,
        stale=False,
        objective="validation_accuracy",
    )


def made_worker(name: str, trial: int | None = None, state: str = "working") -> WorkerRow:
    """A worker's row in the registry."""
    host, _, pid = name.rpartition(":")
    return WorkerRow(name, host, int(pid), "cpu (a CPU)", NOW, 3.0, trial, None, WorkerState(state), None)


def completed_attempt(number: int, value: float, **parameters: Any) -> TrialResult:
    """A completed attempt with a value and without epochs."""
    return replace(made_attempt(number, "complete", parameters), value=value)


def grid_spec(**grid: list[Any]) -> Spec:
    """The spec of a grid over these values."""
    return mnist_spec({"study": {"name": "study"}, "search": {"grid": grid}})
