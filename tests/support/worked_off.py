"""A worker in this process, with trials of one epoch that takes no time."""

from __future__ import annotations

from mnist_tune.study.open_study import OpenStudy
from mnist_tune.worker.loop import Ended, RunTrial
from mnist_tune.worker.signals import StopRequest
from mnist_tune.worker.trial import Trial
from tests.support.made_studies.epochs import made_epoch
from tests.support.studies import work


def run_one_epoch(trial: Trial) -> float:
    """A job of one epoch."""
    trial.check()
    trial.epoch_done(made_epoch(1, 50.0 + trial.claim.number))
    trial.say("epoch 1")
    return 50.0 + trial.claim.number


def work_off(study: OpenStudy, run_trial: RunTrial, max_trials: int | None = None) -> tuple[Ended, list[str]]:
    lines: list[str] = []
    return work(study, run_trial, StopRequest(), lines.append, max_trials), lines
