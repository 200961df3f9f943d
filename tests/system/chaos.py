"""Campaigns against the queue: workers are killed and stalled at random moments until a study is finished.

    python -m tests.system.chaos --kills 10000 --harsh
    python -m tests.system.chaos --seeds 20 --postgres
    python -m tests.system.chaos --seeds 2 --job command
    python -m tests.system.chaos --kills 2000 --head

Every campaign has a study of its own. Its workers are forked from a loaded process without threads and open
databases, so that a new one works a few milliseconds after another was killed. With `--job` or `--head` they
are the real ones, and run a user's own job: see `own_job_chaos`.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from optuna.trial import TrialState

from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.guarded import open_storage
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.store import create_study, open_study
from mnist_tune.worker.loop import Ended
from tests.support.forked_processes import run_each
from tests.support.logged_job import Job, LoggedStorage, StepLog
from tests.support.postgres_server import postgres_server
from tests.support.specs import tiny_spec
from tests.support.studies import work
from tests.system.own_job_chaos import own_job_campaigns
from tests.system.process_pool import ProcessPool, Treatment
from tests.system.promise_checks import STEPS, broken_promises

SPEC = """
[study]
name = "{name}"

{search}

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

GRID = """[search.grid]
seed = {seeds}
"""
SAMPLED = """[search]
sampler = "tpe"
n_trials = {cells}

[search.space]
seed = {{low = 0, high = 4294967295}}
optimizer = ["Adam", "SGD"]
batch_size = {{low = 16, high = 512, log = true, when = {{optimizer = "SGD"}}}}

[pruner]
name = "successive_halving"
min_resource = 1
reduction_factor = 2
"""


@dataclass(frozen=True)
class Campaign:
    """A study, and what is done to its workers. Times are in seconds."""

    url: str
    folder: Path
    seed: int
    cells: int = 200
    epoch_seconds: float = 0.05
    heartbeat: float = 1.0
    sampled: bool = False
    """Whether the search is TPE with ASHA; otherwise it is a grid."""
    treatment: Treatment = field(default_factory=Treatment)

    @property
    def grace(self) -> float:
        return 3 * self.heartbeat

    @property
    def name(self) -> str:
        return f"chaos-{self.seed}"


HARSH = {"heartbeat": 0.1, "treatment": Treatment(workers=12, kill_every=0.05)}
"""Settings with which a worker lives for half a second."""


@dataclass(frozen=True)
class Report:
    """The result of a campaign."""

    campaign: Campaign
    kills: int
    stalls: int
    seconds: float
    attempts: int
    problems: list[str]
    pruned: int = 0

    def __str__(self) -> str:
        verdict = "; ".join(self.problems[:10]) or "every promise kept"
        return (
            f"{self.campaign.name}: {self.campaign.cells} cells, {self.pruned} pruned, {self.kills} kills, "
            f"{self.stalls} stalls, {self.attempts - self.campaign.cells} attempts lost, "
            f"{self.seconds:.0f} s: {verdict}"
        )


def run_campaign(campaign: Campaign) -> Report:
    """Run a campaign to its end and check the study. Call it in a process without threads."""
    study = _prepare(campaign)
    began = time.monotonic()
    pool = ProcessPool(partial(_live, campaign, study), campaign.treatment, campaign.seed)
    pool.kill_and_stall(campaign.grace)
    problems = pool.let_all_leave()
    seconds = time.monotonic() - began
    study.storage.deadline.seconds = math.inf  # checks may take longer
    problems += (campaign.folder / "errors").read_text("utf-8").splitlines()
    problems += broken_promises(study, campaign.folder)
    trials = study.optuna_study().trials
    pruned = sum(trial.state == TrialState.PRUNED for trial in trials)
    study.storage.engine.dispose()
    return Report(campaign, pool.kills, pool.stalls, seconds, len(trials), problems, pruned)


def _prepare(campaign: Campaign) -> OpenStudy:
    """The campaign's new study, opened in this process but not connected, so that workers can be forked."""
    campaign.folder.mkdir(parents=True, exist_ok=True)
    url = storage_url(campaign.url)
    template = SAMPLED if campaign.sampled else GRID
    search = template.format(seeds=list(range(campaign.cells)), cells=campaign.cells)
    text = SPEC.format(name=campaign.name, search=search, heartbeat=campaign.heartbeat, grace=campaign.grace)
    creating = open_storage(url, create=True)
    create_study(creating, tiny_spec(campaign.folder, text))
    creating.engine.dispose()
    storage = LoggedStorage(url, StepLog(campaign.folder / STEPS))
    study = open_study(storage, campaign.name)
    storage.engine.dispose()
    return study


def _live(campaign: Campaign, study: OpenStudy) -> None:
    """Be a worker until the study is finished."""
    errors = os.open(campaign.folder / "errors", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(errors, sys.stderr.fileno())
    steps = StepLog(campaign.folder / STEPS)
    states = campaign.folder / "checkpoints" / study.uid
    job = Job(study.spec, states, steps, in_epoch=lambda _: time.sleep(campaign.epoch_seconds))
    ended = work(study, job, log=lambda _: None, files=campaign.folder)
    if ended is not Ended.FINISHED:
        sys.exit(f"left because it {ended.value}")


def campaigns(url: str | None, folder: Path, seeds: Iterable[int], **settings: Any) -> list[Campaign]:
    """A campaign for each seed, in the database at `url`, else in an SQLite file of its own."""
    places = {seed: folder / f"chaos-{seed}" for seed in seeds}
    return [
        Campaign(url or f"sqlite:///{place}/studies.db", place, seed, **settings)
        for seed, place in places.items()
    ]


def main() -> None:
    """Run campaigns until all are passed or one fails; prints a line for each, and one for all."""
    parser = argparse.ArgumentParser(description="Kill and stall workers until studies are finished.")
    amount = parser.add_mutually_exclusive_group(required=True)
    amount.add_argument("--seeds", type=int, default=0, help="how many campaigns")
    amount.add_argument("--kills", type=int, default=0, help="as many campaigns as it takes to kill so many")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--cells", type=int, default=Campaign.cells)
    parser.add_argument("--at-once", type=int, default=1, help="how many campaigns at a time")
    parser.add_argument("--harsh", action="store_true", help="let no worker live for long")
    parser.add_argument("--sampled", action="store_true", help="TPE and ASHA instead of a grid")
    parser.add_argument("--workers", type=int, help="how many at any time")
    parser.add_argument("--postgres", action="store_true", help="on a server, started for this")
    parser.add_argument("--head", action="store_true", help="through a head, which is a victim too")
    parser.add_argument("--job", choices=["function", "command"], help="a user's job instead of the toy")
    options = parser.parse_args()
    settings: dict[str, Any] = {"cells": options.cells} | (HARSH if options.harsh else {})
    settings["sampled"] = options.sampled
    if options.workers:
        treatment = settings.get("treatment", Treatment())
        settings["treatment"] = replace(treatment, workers=options.workers)
    total = waged = 0
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(postgres_server(folder)) if options.postgres else None
        while waged < options.seeds or total < options.kills:
            seeds = range(options.first + waged, options.first + waged + options.at_once)
            for report in (
                own_job_campaigns(
                    options.job or "function", folder, seeds, url, options.cells, head=options.head
                )
                if options.job or options.head
                else run_each(run_campaign, campaigns(url, folder, seeds, **settings), options.at_once)
            ):
                print(report, flush=True)
                total, waged = total + report.kills, waged + 1
                if report.problems:
                    sys.exit(1)
    print(f"{total:,} kills survived in {waged} campaigns")


if __name__ == "__main__":
    main()
