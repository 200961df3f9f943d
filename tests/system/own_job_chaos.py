"""Campaigns against a user's own job: its workers, and all that they start, are killed, stalled and cut off.

    python -m tests.system.chaos --job command --kills 500
    python -m tests.system.chaos --job function --postgres --seeds 2

The workers are real ones. They have training processes, and these have a command and its watchdog.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.engine import make_url

from mnist_tune.spec.reading import load_spec
from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.guarded import open_storage
from mnist_tune.storage.named import ENVIRONMENT_VARIABLE
from mnist_tune.study.store import create_study, open_study
from tests.support.commands import run_command
from tests.support.evident_jobs import EPOCH_SECONDS, NAME, Kind, evident_job
from tests.support.storage_faults import closed
from tests.system.connection_cuts import fresh_database
from tests.system.own_job_promises import Redone, broken_promises
from tests.system.worker_fleet import Cruelty, Victim, WorkerFleet

VICTIMS: dict[Kind, dict[Victim, float]] = {
    "function": {"worker": 4, "training process": 4, "fork server": 0.15},
    "command": {"worker": 3, "training process": 3, "command": 3, "watchdog": 3, "fork server": 0.15},
}
"""Who is chosen how often."""


@dataclass(frozen=True)
class Campaign:
    """A study of a user's job. `server` is PostgreSQL's; without it the study is in a file."""

    kind: Kind
    folder: Path
    seed: int
    server: str | None = None
    cells: int = 200
    epoch_seconds: float = 0.05
    heartbeat: float = 0.5
    grace: float = 2.0
    cruelty: Cruelty | None = None


@dataclass(frozen=True)
class Report:
    """The result of a campaign."""

    campaign: Campaign
    kills: int
    stalls: int
    drains: int
    cuts: int
    attempts: int
    redone: Redone
    seconds: float
    problems: list[str]
    done: str = field(repr=False, default="")

    def __str__(self) -> str:
        verdict = "; ".join(self.problems[:10]) or "every promise kept"
        return (
            f"{self.campaign.kind}-{self.campaign.seed}: {self.campaign.cells} cells, {self.kills} kills "
            f"({self.done}), {self.stalls} stalls, {self.drains} drains, {self.cuts} cuts, "
            f"{self.attempts} attempts, {self.redone}, {self.seconds:.0f} s: {verdict}"
        )


def run_campaign(campaign: Campaign) -> Report:
    """Run a campaign to its end and check the study."""
    spec = evident_job(campaign.folder, campaign.kind, campaign.cells, campaign.heartbeat, campaign.grace)
    with tempfile.TemporaryDirectory(prefix="chaos-") as temporary:
        url = f"sqlite:///{campaign.folder}/studies.db"
        if campaign.server is not None:
            url = fresh_database(campaign.server, f"chaos_{campaign.kind}_{campaign.seed}")
        creating = open_storage(storage_url(url), create=True)
        create_study(creating, load_spec(spec))
        creating.engine.dispose()
        cruelty = campaign.cruelty or Cruelty(VICTIMS[campaign.kind])
        fleet = WorkerFleet(
            [*("worker", NAME, *_consent(campaign)), *_files(campaign.folder), "--threads", "1"],
            {
                ENVIRONMENT_VARIABLE: url,
                EPOCH_SECONDS: str(campaign.epoch_seconds),
                "TMPDIR": temporary,
            },
            campaign.folder / "output",
            lambda: _cut(url),
            cruelty,
            campaign.seed,
        )
        began = time.monotonic()
        fleet.torment(campaign.grace)
        fleet.let_all_leave()
        seconds = time.monotonic() - began
        study = open_study(open_storage(storage_url(url)), NAME)
        redone = Redone()
        problems = fleet.problems + broken_promises(
            study, campaign.folder, _undisturbed(campaign), Path(temporary), fleet.deeds, redone
        )
        attempts = len(study.optuna_study().trials)
        study.storage.engine.dispose()
    kills = fleet.count("kill")
    return Report(
        campaign,
        kills.total(),
        fleet.count("stall").total(),
        fleet.count("drain").total(),
        fleet.count("cut").total(),
        attempts,
        redone,
        seconds,
        problems,
        ", ".join(f"{victim} {number}" for victim, number in sorted(kills.items())),
    )


def own_job_campaigns(
    kind: Kind, folder: Path, seeds: Iterable[int], server: str | None, cells: int
) -> Iterator[Report]:
    """Run a campaign with each seed, one after the other: this process's own fork server is a victim."""
    for seed in seeds:
        yield run_campaign(Campaign(kind, folder / f"{kind}-{seed}", seed, server, cells))


def _consent(campaign: Campaign) -> list[str]:
    if campaign.kind == "command":
        return ["--allow-command", str(campaign.folder)]
    return ["--job", f"{campaign.folder / NAME}.py:train"]


def _files(folder: Path) -> list[str]:
    return ["--checkpoints", str(folder / "checkpoints"), "--artifacts", str(folder / "artifacts")]


def _undisturbed(campaign: Campaign) -> Path:
    """Run the same study in a folder of its own, where nobody disturbs it; returns the folder."""
    folder = campaign.folder / "undisturbed"
    spec = evident_job(folder, campaign.kind, campaign.cells, campaign.heartbeat, campaign.grace)
    answer = run_command(
        *("run", str(spec), "--workers", "2", "--threads", "1", *_files(folder)),
        folder=folder,
        environment={EPOCH_SECONDS: "0"},
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return folder


def _cut(url: str) -> ExitStack:
    """Keep all workers from the storage until the stack is closed."""
    stack = ExitStack()
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        other = stack.enter_context(
            closing(sqlite3.connect(str(parsed.database), timeout=120, isolation_level=None))
        )
        other.execute("BEGIN IMMEDIATE")
    else:
        stack.enter_context(closed(parsed))
    return stack
