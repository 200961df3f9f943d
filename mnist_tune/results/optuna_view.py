"""The completed cells as a study in memory, for Optuna's plots and importances: one reading of it."""

from __future__ import annotations

import optuna
from optuna.trial import TrialState, create_trial

from mnist_tune.records.distributions import distributions
from mnist_tune.results.study_results import Results


def stand_in(results: Results) -> optuna.Study:
    """Optuna's study of the completed attempts, in their order, with new numbers."""
    axes = distributions(results.spec)
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # its log would tell of a study that does not exist
    try:
        study = optuna.create_study(direction=results.job.direction)
    finally:
        optuna.logging.set_verbosity(verbosity)
    study.add_trials(
        create_trial(
            state=TrialState.COMPLETE,
            params=attempt.parameters,
            distributions={name: axes[name] for name in attempt.parameters},
            value=attempt.value,
        )
        for attempt in results.complete
    )
    return study
