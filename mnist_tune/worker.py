"""One worker process: claim a cell, run it, say how it ended, until the study is finished."""

from __future__ import annotations

import enum
import os
import socket
from collections.abc import Callable

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import Trial

from mnist_tune.configuration import parameters_text
from mnist_tune.failures import AttemptFailed, Failure
from mnist_tune.lease import Lease, LeaseLost
from mnist_tune.queue import Claim, Queue
from mnist_tune.stop import Interrupted, StopRequest
from mnist_tune.storage import STORAGE_ERRORS
from mnist_tune.studies import OpenStudy

STAND_BY_SECONDS = 1.0  # how soon a cell that another worker gave back is picked up

Log = Callable[[str], None]
RunTrial = Callable[[Trial, Callable[[], None], Log], float]


class Ended(enum.Enum):
    """Why a worker left."""

    FINISHED = "the study is finished"
    ENOUGH = "ran as many trials as it was asked to"
    STOPPED = "was asked to stop"


def worker_name() -> str:
    """This process, as it is named in trials and reports."""
    return f"{socket.gethostname()}:{os.getpid()}"


def work(
    study: OpenStudy, run_trial: RunTrial, stop: StopRequest, log: Log, max_trials: int | None = None
) -> Ended:
    """Run trials of the study until it is finished, `max_trials` are done, or a stop is requested."""
    queue = study.queue()
    optuna_study = study.optuna_study()
    done = 0
    while not stop.requested:
        if done == max_trials:
            return Ended.ENOUGH
        for number in queue.put_back_stale():
            log(f"trial {number}: its worker is gone; put the cell back")
        claim = queue.claim(worker_name())
        if claim is not None:
            run_attempt(study, optuna_study, queue, claim, run_trial, stop, log)
            done += 1
        elif queue.is_finished():
            return Ended.FINISHED
        else:
            stop.wait(STAND_BY_SECONDS)  # others run the last cells; one may yet come back
    return Ended.STOPPED


def run_attempt(
    study: OpenStudy,
    optuna_study: optuna.Study,
    queue: Queue,
    claim: Claim,
    run_trial: RunTrial,
    stop: StopRequest,
    log: Log,
) -> None:
    """Run one claimed trial and store how it ended."""

    def say(line: str) -> None:
        log(f"trial {claim.number}: {line}")

    def give_back(failure: Failure) -> None:
        say(f"{failure.kind}: {failure.reason.splitlines()[0]}")
        if not queue.give_back(claim, failure):
            say("its lease was lost before")

    settings = study.spec.lease
    with Lease(lambda: queue.beat(claim), settings.heartbeat_interval, settings.grace_period) as lease:

        def on_batch() -> None:
            lease.check()
            stop.check()

        try:
            trial = study.optuna_trial(optuna_study, claim.trial_id, claim.number)
            say(f"begins with {parameters_text(trial.params) or 'a new draw'}")
            value = run_trial(trial, on_batch, say)
            lease.check()
            queue.complete(claim, value)
            say(f"complete: validation accuracy {value:.2f} %")
        except (LeaseLost, UpdateFinishedTrialError):
            say("the lease is lost; abandoned, another worker has the cell")
        except Interrupted as interruption:
            give_back(Failure("preempted", str(interruption)))
        except AttemptFailed as failed:
            give_back(failed.failure)
        except STORAGE_ERRORS:
            raise  # not the trial's fault: its lease runs out, and the cell is put back
        except Exception as error:
            give_back(Failure.of_exception(error))
