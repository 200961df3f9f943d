"""Runs a trial in the training process: stores each epoch, keeps to the limits, returns the value."""

from __future__ import annotations

import signal
import time

from mnist_tune.failures import AttemptFailed, Failure
from mnist_tune.files.checkpoints import Checkpoint
from mnist_tune.jobs.description import JobDescription
from mnist_tune.jobs.metric import words
from mnist_tune.jobs.metrics import EpochMetrics, unfinished
from mnist_tune.spec.more_epochs import with_epochs
from mnist_tune.spec.study_spec import Spec
from mnist_tune.worker.child import ANSWER_SECONDS, LOOK_SECONDS, ProcessDied, TrainingProcess
from mnist_tune.worker.messages import (
    Abandon,
    Began,
    Drain,
    EpochDone,
    Failed,
    Measured,
    Ready,
    Refused,
    Run,
    Said,
    StateSaved,
    Stopped,
    Trained,
)
from mnist_tune.worker.signals import Interrupted
from mnist_tune.worker.trial import Trial


class Objective:
    """The job's objective, as its function reports it."""

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
            if not self._process.is_ready:  # else the trial's log has what was printed
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
        finally:
            self._process.prints_to(None)

    def _follow(self, trial: Trial) -> float:
        limits = trial.claim.limits
        job, epochs = self._spec.description, self._spec_of(trial).epochs(trial.parameters)
        began = time.monotonic()
        if self._process.is_ready:
            self._run(trial)
        values: list[float | None] = []
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
                case Ready():
                    self._run(trial)
                    if told_to_drain:
                        self._process.send(Drain())
                case Refused(message):
                    self._process.kill()  # it is ending, so the next trial cannot use it
                    raise AttemptFailed(Failure("exception", message))
                case Began() as message:
                    _note_beginning(trial, message, epochs)
                    values = [_value(done, job) for done in message.history]
                case EpochDone(metrics, checkpoint, problem):
                    values.append(_value(metrics, job))
                    trial.say(metrics.line(epochs, job))
                    if problem:
                        trial.no_checkpoint(problem)
                    trial.epoch_done(metrics, checkpoint, last=metrics.epoch == epochs)
                case StateSaved(checkpoint):
                    trial.state_saved(checkpoint)
                case Said(line):
                    trial.say(line)
                case Measured(evaluation):
                    trial.measured(evaluation)
                case Trained(files):
                    if early := unfinished(len(values), epochs):
                        self._process.kill()
                        raise AttemptFailed(Failure("exception", early))
                    for name, content in files.items():
                        trial.keep_file(name, content)
                    return _counted(trial, values, job)
                case Stopped(epoch):
                    reason = f"{trial.stop_reason}; stopped after epoch {epoch}"
                    raise AttemptFailed(Failure("preempted", reason))
                case Failed(failure):
                    self._bury_if_broken(failure)
                    raise AttemptFailed(failure)

    def _run(self, trial: Trial) -> None:
        """Have the process run the trial. What it has printed by now, as it loaded the job, is no trial's."""
        claim = trial.claim
        self._process.prints_to(trial.printed)
        settings, limits = self._spec_of(trial).configuration(trial.parameters), claim.limits
        states = limits.checkpoint_interval, limits.keep_last
        self._process.send(Run(settings, claim.checkpoint, claim.trial_id, claim.token, *states))

    def _spec_of(self, trial: Trial) -> Spec:
        """The spec with the epochs that the study had when the trial was claimed: it may be given more."""
        return with_epochs(self._spec, trial.claim.epochs)

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
                    # It had completed an epoch more.
                    case EpochDone(checkpoint=Checkpoint() as checkpoint) | StateSaved(checkpoint):
                        trial.discard(checkpoint)
                    case Ready() | Stopped() | Trained():
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
        done = len(message.history)
        trial.say(f"goes on after epoch {done}")
        note = {"epoch": done, "checkpoint": checkpoint.key}
        trial.resumed(message.history, note, last=len(message.history) == epochs)


def _value(metrics: EpochMetrics, job: JobDescription) -> float | None:
    value = metrics[job.objective]
    assert value is not None or job.test_metric is not None  # the host refuses a report without it
    return value


def _counted(trial: Trial, values: list[float | None], job: JobDescription) -> float:
    """The value with which a trial of these epochs ends. Raises AttemptFailed."""
    if job.test_metric is None:
        return job.counted_value([value for value in values if value is not None])
    if trial.evaluation is None:
        raise AttemptFailed(Failure("exception", "the job was not measured on test data"))
    value = trial.evaluation.metrics[job.test_metric]
    if not job.of_objective.holds(value):
        name = words(job.objective)
        raise AttemptFailed(
            Failure("exception", f"the {name} is {value:g}, outside the limits of the metric")
        )
    return value


def _of_death(death: ProcessDied) -> Failure:
    reason = "\n".join([f"the training process {death}", *death.last_words])
    code = death.ending.code if death.ending else None
    if code == -signal.SIGKILL:
        first, *rest = reason.split("\n")
        said = f"{first}; the kernel does that, and says no more, when memory runs out"
        return Failure("lost", "\n".join([said, *rest]))
    # If nobody saw how the process ended, the trial is not blamed.
    return Failure("lost" if death.ending and code is None else "exception", reason)
