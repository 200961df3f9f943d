"""Campaigns against the queue: workers killed and stalled at random moments until a study is finished.

    python -m tests.chaos --kills 10000 --harsh
    python -m tests.chaos --seeds 20 --postgres

Every campaign is a study of its own. Its workers are forked off a loaded process that has no threads and no
open database, so that a new one is at work a few milliseconds after another was killed.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP
from typing import Any

from mnist_tune.database import storage_url
from mnist_tune.storage import open_storage
from mnist_tune.studies import OpenStudy, create_study, open_study
from mnist_tune.worker import Ended
from tests.loaded import FORK, run_each
from tests.logged_job import Job, LoggedStorage, StepLog
from tests.postgres_server import postgres_server
from tests.promises import STEPS, broken_promises
from tests.support import tiny_spec, work

SPEC = """
[study]
name = "{name}"

[search.grid]
seed = {seeds}

[training]
epochs = 4

[lease]
heartbeat_interval = {heartbeat}
grace_period = {grace}

[retry]
lost = -1

[limits]
checkpoint_interval = 0
"""


@dataclass(frozen=True)
class Campaign:
    """A study and how its workers are treated. Times in seconds; `kill_every` on average."""

    url: str
    folder: Path
    seed: int
    cells: int = 200
    epoch_seconds: float = 0.05
    workers: int = 8
    kill_every: float = 0.3
    stalled_at_once: int = 1
    heartbeat: float = 1.0
    limit: float = 300.0

    @property
    def grace(self) -> float:
        return 3 * self.heartbeat

    @property
    def name(self) -> str:
        return f"chaos-{self.seed}"


HARSH = {"kill_every": 0.05, "heartbeat": 0.1, "workers": 12, "limit": 600.0}
"""Settings under which a worker lives for half a second."""


@dataclass
class Report:
    """What came of a campaign."""

    campaign: Campaign
    kills: int = 0
    stalls: int = 0
    seconds: float = 0.0
    attempts: int = 0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        verdict = "; ".join(self.problems[:10]) or "every promise kept"
        return (
            f"{self.campaign.name}: {self.campaign.cells} cells, {self.kills} kills, {self.stalls} stalls, "
            f"{self.attempts - self.campaign.cells} attempts lost, {self.seconds:.0f} s: {verdict}"
        )


def wage(campaign: Campaign) -> Report:
    """Run a campaign to its end and see what is left. Call in a process that has no threads."""
    study = _prepare(campaign)
    crowd = Crowd(campaign, study)
    began = time.monotonic()
    crowd.harass()
    problems = crowd.disperse()
    seconds = time.monotonic() - began
    problems += (campaign.folder / "errors").read_text("utf-8").splitlines()
    problems += broken_promises(study, campaign.folder)
    attempts = len(study.optuna_study().trials)
    study.storage.engine.dispose()
    return Report(campaign, crowd.kills, crowd.stalls, seconds, attempts, problems)


def _prepare(campaign: Campaign) -> OpenStudy:
    """The study, new, as its workers find it in their memory: known, and not connected to."""
    campaign.folder.mkdir(parents=True, exist_ok=True)
    url = storage_url(campaign.url)
    seeds = list(range(campaign.cells))
    text = SPEC.format(name=campaign.name, seeds=seeds, heartbeat=campaign.heartbeat, grace=campaign.grace)
    creating = open_storage(url, create=True)
    create_study(creating, tiny_spec(campaign.folder, text))
    creating.engine.dispose()
    storage = LoggedStorage(url, StepLog(campaign.folder / STEPS))
    study = open_study(storage, campaign.name)
    storage.engine.dispose()
    return study


class Crowd:
    """So many workers alive at any time, whatever happens to them."""

    def __init__(self, campaign: Campaign, study: OpenStudy) -> None:
        self.kills = 0
        self.stalls = 0
        self._campaign = campaign
        self._study = study
        self._random = random.Random(campaign.seed)
        self._workers = [self._start() for _ in range(campaign.workers)]
        self._stalled: dict[ForkProcess, float] = {}
        """When each is to go on: late enough that others have its cell by then."""
        self._deadline = time.monotonic() + campaign.limit

    def harass(self) -> None:
        """Kill and stall workers until one leaves because the study is finished."""
        while time.monotonic() < self._deadline:
            pause = self._random.uniform(0, 2 * self._campaign.kill_every)
            wait([worker.sentinel for worker in self._workers], timeout=pause)
            self._wake(time.monotonic())
            if any(worker.exitcode is not None for worker in self._workers):
                return
            victim = self._random.choice([one for one in self._workers if one not in self._stalled])
            if len(self._stalled) < self._campaign.stalled_at_once:
                self._stall(victim)
            else:
                self._kill(victim)

    def disperse(self) -> list[str]:
        """Let all leave; what is wrong with how they left."""
        self._wake(float("inf"))
        problems = []
        for worker in self._workers:
            worker.join(timeout=max(0.0, self._deadline - time.monotonic()))
            if worker.exitcode != 0:
                problems.append(f"worker {worker.pid} has not left well: {worker.exitcode}")
                worker.kill()
                worker.join()
        return problems

    def _start(self) -> ForkProcess:
        worker = FORK.Process(target=_live, args=(self._campaign, self._study))
        worker.start()
        return worker

    def _kill(self, victim: ForkProcess) -> None:
        victim.kill()
        victim.join()
        if victim.exitcode == -SIGKILL:  # it may have left a moment ago
            self._workers[self._workers.index(victim)] = self._start()
            self.kills += 1

    def _stall(self, victim: ForkProcess) -> None:
        assert victim.pid is not None
        os.kill(victim.pid, SIGSTOP)
        self.stalls += 1
        self._stalled[victim] = time.monotonic() + self._campaign.grace * self._random.uniform(0.8, 2.0)

    def _wake(self, now: float) -> None:
        for worker in [one for one, until in self._stalled.items() if until <= now]:
            del self._stalled[worker]
            assert worker.pid is not None
            with suppress(ProcessLookupError):  # it had left just before it was to be stalled
                os.kill(worker.pid, SIGCONT)


def _live(campaign: Campaign, study: OpenStudy) -> None:
    """A worker's life."""
    errors = os.open(campaign.folder / "errors", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(errors, sys.stderr.fileno())
    steps = StepLog(campaign.folder / STEPS)
    job = Job(study, campaign.folder, steps, in_epoch=lambda _: time.sleep(campaign.epoch_seconds))
    ended = work(study, job, log=lambda _: None, files=campaign.folder)
    if ended is not Ended.FINISHED:
        sys.exit(f"left because it {ended.value}")


def campaigns(url: str | None, folder: Path, seeds: Iterable[int], **settings: Any) -> list[Campaign]:
    """One for each seed, in the database at `url`, else in an SQLite file of its own."""
    places = {seed: folder / f"chaos-{seed}" for seed in seeds}
    return [
        Campaign(url or f"sqlite:///{place}/studies.db", place, seed, **settings)
        for seed, place in places.items()
    ]


def main() -> None:
    """Wage campaigns until all are won or one is lost; each gets a line, and all together one."""
    parser = argparse.ArgumentParser(description="Kill and stall workers until studies are finished.")
    amount = parser.add_mutually_exclusive_group(required=True)
    amount.add_argument("--seeds", type=int, default=0, help="how many campaigns")
    amount.add_argument("--kills", type=int, default=0, help="as many campaigns as it takes to kill so many")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--cells", type=int, default=Campaign.cells)
    parser.add_argument("--at-once", type=int, default=1, help="how many campaigns at a time")
    parser.add_argument("--harsh", action="store_true", help="let no worker live for long")
    parser.add_argument("--postgres", action="store_true", help="on a server, started for this")
    options = parser.parse_args()
    settings = {"cells": options.cells} | (HARSH if options.harsh else {})
    total = waged = 0
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(postgres_server(folder)) if options.postgres else None
        while waged < options.seeds or total < options.kills:
            seeds = range(options.first + waged, options.first + waged + options.at_once)
            for report in run_each(wage, campaigns(url, folder, seeds, **settings), options.at_once):
                print(report, flush=True)
                total, waged = total + report.kills, waged + 1
                if report.problems:
                    sys.exit(1)
    print(f"{total:,} kills survived in {waged} campaigns")


if __name__ == "__main__":
    main()
