"""A real worker process whose trials take a moment: python -m tests.toy_worker STUDY SECONDS."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from mnist_tune.attempt import Attempt
from mnist_tune.database import storage_url
from mnist_tune.stop import StopRequest
from mnist_tune.storage import open_storage
from mnist_tune.studies import open_study
from tests.support import epoch, work


def main(name: str, seconds: float) -> None:
    def run_trial(attempt: Attempt) -> float:
        for number in (1, 2):
            attempt.check()
            time.sleep(seconds / 2)
            attempt.epoch_done(epoch(number, 40.0 + number))
        return 42.0

    stop = StopRequest()
    stop.listen()
    print(work(open_study(open_storage(storage_url()), name), run_trial, stop, files=Path.cwd()).value)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
