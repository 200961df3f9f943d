"""A study's attempts and epochs as pandas DataFrames; pandas itself is optional."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mnist_tune.errors import UserError
from mnist_tune.jobs.metric import SECONDS
from mnist_tune.results.eta import own_epochs
from mnist_tune.results.reading import STATES
from mnist_tune.results.study_results import Results
from mnist_tune.results.trial_result import TrialResult
from mnist_tune.text.visible import visible
from mnist_tune.text.wording import first_line

if TYPE_CHECKING:
    import pandas as pd

OPTUNA_STATES = {ours: optunas.name for optunas, ours in STATES.items()}
"""Optuna's names for our states of an attempt, as in Optuna's own `trials_dataframe`."""


def trials_dataframe(results: Results) -> pd.DataFrame:
    """One row for each attempt: Optuna's columns under Optuna's names, then ours."""
    import_pandas("trials_dataframe")
    import pandas as pd

    parameters = _parameter_columns(results)
    rows = [
        {
            "number": attempt.number,
            "value": attempt.value,
            "datetime_start": attempt.started,
            "datetime_complete": attempt.ended,
            **_parameters(attempt),
            "state": OPTUNA_STATES[attempt.state],
            "cell": attempt.cell,
            "attempt": attempt.attempt,
            "epochs": len(attempt.history),
            "worker": _text(attempt.worker),
            "device_name": _text(attempt.environment.get("device_name")),
            "failure": _text((attempt.failure or {}).get("class")),
            "failure_reason": _text((attempt.failure or {}).get("reason")),
        }
        for attempt in results.attempts
    ]
    frame = pd.DataFrame(
        rows,
        columns=[
            *("number", "value", "datetime_start", "datetime_complete", "duration", *parameters, "state"),
            *("cell", "attempt", "epochs", "worker", "device_name", "failure", "failure_reason"),
        ],
    )
    frame["value"] = frame["value"].astype(float)
    for column in ("datetime_start", "datetime_complete"):
        # A stored time may be outside the range of pandas.
        frame[column] = pd.to_datetime(frame[column], utc=True, errors="coerce")
    frame["duration"] = frame["datetime_complete"] - frame["datetime_start"]
    return frame


def history_dataframe(results: Results) -> pd.DataFrame:
    """One row for each epoch of an attempt, in their order."""
    import_pandas("history_dataframe")
    import pandas as pd

    rate = [results.job.rate] if results.job.rate else []
    metrics = ["epoch", *results.metrics, *rate, SECONDS]
    parameters = _parameter_columns(results)
    rows = [
        {"number": attempt.number, "cell": attempt.cell, **_parameters(attempt)}
        | epoch.as_json()
        | {"inherited": index < len(attempt.history) - len(own_epochs(attempt))}
        for attempt in results.attempts
        for index, epoch in enumerate(attempt.history)
    ]
    frame = pd.DataFrame(rows, columns=["number", "cell", *parameters, *metrics, "inherited"])
    measured = [name for name in metrics if name != "epoch"]
    frame[measured] = frame[measured].astype(float)
    return frame


def import_pandas(method: str) -> None:
    """Check that pandas is installed.

    Raises:
        UserError: it is not.
    """
    try:
        import pandas  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "pandas":  # pandas is there, but not something that it needs
            raise
        raise UserError(f"{method}: needs pandas; run pip install 'mnist-tune[dataframe]'") from None


def _parameter_columns(results: Results) -> Sequence[str]:
    """The columns of the searched fields, even if no trial has a value of one yet."""
    return [f"params_{visible(name)}" for name in results.parameters]


def _parameters(attempt: TrialResult) -> dict[str, Any]:
    return {
        f"params_{visible(name)}": visible(value) if isinstance(value, str) else value
        for name, value in attempt.parameters.items()
    }


def _text(stored: object) -> str | None:
    return None if stored is None else first_line(str(stored))
