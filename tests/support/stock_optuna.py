"""Studies that a program without mnist-tune opens and changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from mnist_tune.study.open_study import OpenStudy
from mnist_tune.verification import verify
from mnist_tune.worker.trial import Trial
from tests.support.made_studies.epochs import made_epoch
from tests.support.specs import TWO_CELLS, lease_lines

GRID_SPEC = TWO_CELLS + "\n[training]\nepochs = 1\n" + lease_lines(0.05, 0.3)
SAMPLED_SPEC = """
[study]
name = "tiny"

[search]
sampler = "tpe"
n_trials = 2

[search.space]
learning_rate = {low = 0.0001, high = 0.1, log = true}

[training]
epochs = 1
"""


def stock_study(folder: Path, name: str = "tiny", **options: Any) -> optuna.Study:
    """The study as a program without mnist-tune opens it."""
    return optuna.load_study(study_name=name, storage=RDBStorage(f"sqlite:///{folder}/studies.db", **options))


def train_one_epoch(trial: Trial) -> float:
    """A job of one epoch."""
    trial.epoch_done(made_epoch(1, 50.0 + trial.claim.number), last=True)
    return 50.0 + trial.claim.number


def broken_promises_of(study: OpenStudy, folder: Path) -> list[str]:
    """The findings of `verify` about broken promises, one line each."""
    verification = verify(study.storage, study.name, folder / "artifacts", folder / "checkpoints")
    return [f"{outcome.check}: {finding}" for outcome in verification.broken for finding in outcome.findings]


def by_optimize(study: optuna.Study) -> None:
    study.optimize(lambda _: 99.0, n_trials=2)


def by_telling_it(study: optuna.Study) -> None:
    study.tell(study.ask(), state=TrialState.FAIL)
