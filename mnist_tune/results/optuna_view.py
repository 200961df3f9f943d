"""The completed cells as a study in memory, for Optuna's plots and importances: all of one reading."""

from __future__ import annotations

import optuna
from optuna.trial import TrialState, create_trial

from mnist_tune.records.distributions import distributions
from mnist_tune.results.study_results import Results


def stand_in(results: Results) -> optuna.Study:
    """A study of the completed attempts, in their order, numbered anew."""
    axes = distributions(results.spec)
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # nobody is to hear of a study that is not there
    try:
        study = optuna.create_study(direction="maximize")
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
