"""A real worker process whose trials take a moment: python -m tests.toy_worker STUDY SECONDS."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from optuna.trial import Trial

from mnist_tune.database import storage_url
from mnist_tune.stop import StopRequest
from mnist_tune.storage import open_storage
from mnist_tune.studies import open_study
from mnist_tune.worker import Log, work


def main(name: str, seconds: float) -> None:
    def run_trial(trial: Trial, on_batch: Callable[[], None], log: Log) -> float:
        for epoch in (1, 2):
            on_batch()
            time.sleep(seconds / 2)
            trial.report(40.0 + epoch, epoch)
        return 42.0

    stop = StopRequest()
    stop.listen()
    print(work(open_study(open_storage(storage_url()), name), run_trial, stop, print).value)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
