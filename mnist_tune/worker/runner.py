"""Runs a trial in the training process: stores each epoch, keeps to the limits, returns the value."""

from __future__ import annotations

import signal
import time

from mnist_tune.failures import AttemptFailed, Failure
from mnist_tune.files.checkpoints import Checkpoint
from mnist_tune.jobs.metrics import EpochMetrics
from mnist_tune.jobs.model_folder import MODEL_FILE
from mnist_tune.spec.study_spec import Spec
from mnist_tune.worker.child import ANSWER_SECONDS, LOOK_SECONDS, ProcessDied, TrainingProcess
from mnist_tune.worker.messages import (
    Abandon,
    Began,
    Drain,
    EpochDone,
    Failed,
    Refused,
    Run,
    Stopped,
    Trained,
)
from mnist_tune.worker.signals import Interrupted
from mnist_tune.worker.trial import Trial


class Objective:
    """The job's objective: the validation accuracy, in percent, after the last epoch."""

    def __init__(self, spec: Spec, process: TrainingProcess) -> None:
        self._spec = spec
        self._process = process

    def __call__(self, trial: Trial) -> float:
        """Run the trial.

        Raises:
            AttemptFailed: the training failed, died, took too long, or was drained.
            Interrupted: the worker was told a second time to stop.
            LeaseLost: another worker may have the cell.
            Pruned: the study's pruner has ended it.
        """
        if not self._process.is_running:  # the last one was killed
            self._process.start()
        try:
            return self._follow(trial)
        except ProcessDied as death:
            for line in death.last_words:
                trial.say(f"the training process said: {line}")
            raise AttemptFailed(_of_death(death)) from None
        except Interrupted:
            self._process.kill()  # a second request should not wait for the end of a batch
            raise
        except AttemptFailed:
            raise
        except BaseException:
            self._abandon(trial)
            raise

    def _follow(self, trial: Trial) -> float:
        claim, limits = trial.claim, trial.claim.limits
        config = self._spec.training_config(trial.parameters)
        began = time.monotonic()
        self._process.send(
            Run(config, claim.checkpoint, claim.trial_id, claim.token, limits.checkpoint_interval)
        )
        accuracy: float | None = None
        told_to_drain = False
        while True:
            trial.check()
            if trial.is_to_drain and not told_to_drain:
                self._process.send(Drain())
                told_to_drain = True
                trial.say("is asked to stop: at the end of the epoch")
            if 0 < limits.timeout < time.monotonic() - began:
                self._process.kill()
                raise AttemptFailed(
                    Failure("timeout", f"took longer than limits.timeout, {limits.timeout:g} s")
                )
            match self._process.receive(LOOK_SECONDS):
                case Refused(message):
                    self._process.kill()  # it is ending, so the next trial cannot use it
                    raise AttemptFailed(Failure("exception", message))
                case Began() as message:
                    _note_beginning(trial, message, config.epochs)
                    if message.history:
                        accuracy = _accuracy(message.history[-1])
                case EpochDone(metrics, checkpoint, problem):
                    accuracy = _accuracy(metrics)
                    trial.say(metrics.line(config.epochs))
                    if problem:
                        trial.no_checkpoint(problem)
                    trial.epoch_done(metrics, checkpoint, last=metrics.epoch == config.epochs)
                case Trained(weights):
                    if accuracy is None:
                        self._process.kill()
                        raise AttemptFailed(Failure("exception", "the training ended before its first epoch"))
                    trial.keep_file(MODEL_FILE, weights)
                    return accuracy
                case Stopped(epoch):
                    reason = f"{trial.stop_reason}; stopped after epoch {epoch}"
                    raise AttemptFailed(Failure("preempted", reason))
                case Failed(failure):
                    self._bury_if_broken(failure)
                    raise AttemptFailed(failure)

    def _bury_if_broken(self, failure: Failure) -> None:
        if failure.kind != "non_finite":
            self._process.kill()  # its memory or device may be in a bad state

    def _abandon(self, trial: Trial) -> None:
        """Tell the process to stop the trial, and wait until it is free; kill it if it is silent.

        Its messages are about this trial until it answers.
        """
        self._process.send(Abandon())
        deadline = time.monotonic() + ANSWER_SECONDS
        try:
            while time.monotonic() < deadline:
                match self._process.receive(LOOK_SECONDS):
                    case EpochDone(checkpoint=Checkpoint() as checkpoint):  # it had completed an epoch more
                        trial.discard(checkpoint)
                    case Stopped() | Trained():
                        return
                    case Failed(failure):
                        self._bury_if_broken(failure)
                        return
        except ProcessDied:
            return
        self._process.kill()


def _note_beginning(trial: Trial, message: Began, epochs: int) -> None:
    trial.began(message.environment)
    checkpoint = trial.claim.checkpoint
    if checkpoint is None:
        return
    if message.problem:
        trial.say(f"begins at the first epoch: {message.problem}")
        trial.resumed([], {"epoch": 0, "problem": message.problem})
    else:
        trial.say(f"goes on after epoch {checkpoint.epoch}")
        note = {"epoch": checkpoint.epoch, "checkpoint": checkpoint.key}
        trial.resumed(message.history, note, last=len(message.history) == epochs)


def _accuracy(metrics: EpochMetrics) -> float:
    assert metrics.validation_accuracy is not None  # a study has validation images
    return metrics.validation_accuracy


def _of_death(death: ProcessDied) -> Failure:
    reason = "\n".join([f"the training process {death}", *death.last_words])
    code = death.ending.code if death.ending else None
    if code == -signal.SIGKILL:
        first, *rest = reason.split("\n")
        said = f"{first}; the kernel does that, and says no more, when memory runs out"
        return Failure("lost", "\n".join([said, *rest]))
    # If nobody saw how the process ended, the trial is not blamed.
    return Failure("lost" if death.ending and code is None else "exception", reason)
