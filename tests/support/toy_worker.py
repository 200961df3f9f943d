"""A worker process whose trials take a moment: python -m tests.support.toy_worker STUDY SECONDS [options]."""

from __future__ import annotations

import argparse
import os
import queue
import select
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mnist_tune.errors import MnistTuneError
from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.guarded import open_storage
from mnist_tune.study.store import open_study
from mnist_tune.worker.signals import StopRequest
from mnist_tune.worker.trial import Trial
from tests.support.made_studies.epochs import made_epoch
from tests.support.studies import work

STEP_SECONDS = 0.05


def main() -> None:
    """Work on the study that the command line names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("study")
    parser.add_argument("seconds", type=float, help="that a trial takes")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--max-trials", type=int)
    parser.add_argument("--steps", type=Path, help="file that gets a line for every training step")
    given = parser.parse_args()

    def note_step() -> None:
        if given.steps is not None:
            with given.steps.open("a", encoding="ascii") as steps:
                steps.write("step\n")

    def run_trial(trial: Trial) -> float:
        return follow(trial, given.epochs, given.seconds / given.epochs, note_step)

    if "FAKETIME" in os.environ:
        # libfaketime checks whether a sleep should be over before it checks its argument.
        time.sleep = sleep_by_select
    stop = StopRequest()
    stop.listen()
    try:
        study = open_study(open_storage(storage_url()), given.study)
        print(work(study, run_trial, stop, max_trials=given.max_trials, files=Path.cwd()).value)
    except MnistTuneError as error:
        sys.exit(f"toy worker: {error}")


def sleep_by_select(seconds: Any) -> None:
    select.select([], [], [], seconds)


def follow(trial: Trial, epochs: int, seconds: float, note_step: Callable[[], None]) -> float:
    """Follow a training that runs in a thread, as the real one runs in its process."""
    done: queue.SimpleQueue[int] = queue.SimpleQueue()
    over = threading.Event()

    def train() -> None:
        for number in range(1, epochs + 1):
            for _ in range(max(1, round(seconds / STEP_SECONDS))):
                if over.wait(STEP_SECONDS):
                    return
                note_step()
            done.put(number)

    training = threading.Thread(target=train, name="training")
    training.start()
    try:
        number = 0
        while number < epochs:
            trial.check()
            try:
                number = done.get(timeout=STEP_SECONDS)
            except queue.Empty:
                continue
            trial.epoch_done(made_epoch(number, 40.0 + number))
        return 40.0 + epochs
    finally:
        over.set()
        training.join()


if __name__ == "__main__":
    main()
