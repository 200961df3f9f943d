"""Campaigns against a user's own job: its workers, and all that they start, are killed, stalled and cut off.

    python -m tests.system.chaos --job command --kills 500
    python -m tests.system.chaos --job function --postgres --seeds 2
    python -m tests.system.chaos --head --kills 2000

The workers are real ones. They have training processes, and these have a command and its watchdog. Some
campaigns are through a head, which is a victim too; answers of it are lost on their way.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from mnist_tune.serve.spool import spool
from mnist_tune.spec.reading import load_spec
from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.guarded import open_storage
from mnist_tune.storage.named import ENVIRONMENT_VARIABLE
from mnist_tune.study.store import create_study, open_study
from tests.support.commands import run_command
from tests.support.evident_jobs import EPOCH_SECONDS, NAME, Kind, evident_job
from tests.system.connection_cuts import fresh_database
from tests.system.deeds import Cruelty, Victim
from tests.system.own_job_promises import Redone, broken_promises
from tests.system.ways_to_a_study import ON_THEIR_WAY, Way, direct, through_a_head
from tests.system.worker_fleet import WorkerFleet

VICTIMS: dict[Kind, dict[Victim, float]] = {
    "function": {"worker": 4, "training process": 4, "fork server": 0.15},
    "command": {"worker": 3, "training process": 3, "command": 3, "watchdog": 3, "fork server": 0.15},
}
"""Who is chosen how often."""
HEAD_AS_OFTEN = 2.0
"""How often a head is chosen for each time that another is. While it starts it cannot be."""
EVERY_WITH_A_HEAD = 0.45
"""While a head starts, which takes a second or two, no worker can do anything: they would never be done."""


@dataclass(frozen=True)
class Campaign:
    """A study of a user's job. `server` is PostgreSQL's; without it the study is in a file.

    With `head` the workers know a head alone.
    """

    kind: Kind
    folder: Path
    seed: int
    server: str | None = None
    cells: int = 200
    epoch_seconds: float = 0.05
    heartbeat: float = 0.5
    grace: float = 2.0
    cruelty: Cruelty | None = None
    head: bool = False

    def usual_cruelty(self) -> Cruelty:
        """What is done to whom."""
        victims = dict(VICTIMS[self.kind])
        if not self.head:
            return Cruelty(victims)
        del victims["fork server"]  # the head's own is this process's too
        with_head: dict[Victim, float] = victims | {"head": HEAD_AS_OFTEN * sum(victims.values())}
        return Cruelty(with_head, every=EVERY_WITH_A_HEAD)


@dataclass(frozen=True)
class Report:
    """The result of a campaign."""

    campaign: Campaign
    kills: int
    stalls: int
    drains: int
    cuts: int
    lost: int
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
            f"{self.lost} answers lost, "
            f"{self.attempts} attempts, {self.redone}, {self.seconds:.0f} s: {verdict}"
        )


def run_campaign(campaign: Campaign) -> Report:
    """Run a campaign to its end and check the study."""
    spec = evident_job(campaign.folder, campaign.kind, campaign.cells, campaign.heartbeat, campaign.grace)
    with ExitStack() as stack:
        temporary = stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-"))
        url = f"sqlite:///{campaign.folder}/studies.db"
        if campaign.server is not None:
            url = fresh_database(campaign.server, f"chaos_{campaign.kind}_{campaign.seed}")
        creating = open_storage(storage_url(url), create=True)
        create_study(creating, load_spec(spec))
        creating.engine.dispose()
        way = direct(url, campaign.folder)
        if campaign.head:
            way = stack.enter_context(through_a_head(url, campaign.folder, campaign.seed))
        fleet = WorkerFleet(
            ["worker", NAME, *_consent(campaign), *way.options, "--threads", "1"],
            {
                ENVIRONMENT_VARIABLE: way.url,
                EPOCH_SECONDS: str(campaign.epoch_seconds),
                "TMPDIR": temporary,
            },
            campaign.folder / "output",
            way,
            campaign.cruelty or campaign.usual_cruelty(),
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
        problems += _of_the_head(way, campaign.folder)
        attempts = len(study.optuna_study().trials)
        study.storage.engine.dispose()
    kills = fleet.count("kill")
    return Report(
        campaign,
        kills.total(),
        fleet.count("stall").total(),
        fleet.count("drain").total(),
        fleet.count("cut").total(),
        fleet.count("lose").total(),
        attempts,
        redone,
        seconds,
        problems,
        ", ".join(f"{victim} {number}" for victim, number in sorted(kills.items())),
    )


def own_job_campaigns(
    kind: Kind, folder: Path, seeds: Iterable[int], server: str | None, cells: int, *, head: bool = False
) -> Iterator[Report]:
    """Run a campaign with each seed, one after the other: this process's own fork server is a victim."""
    for seed in seeds:
        yield run_campaign(Campaign(kind, folder / f"{kind}-{seed}", seed, server, cells, head=head))


def _consent(campaign: Campaign) -> list[str]:
    if campaign.kind == "command":
        return ["--allow-command", str(campaign.folder)]
    return ["--job", f"{campaign.folder / NAME}.py:train"]


def _of_the_head(way: Way, folder: Path) -> Iterator[str]:
    """Errors that a head has printed, and states that are left on their way to it."""
    if way.head is None:
        return
    marks = ("Traceback", "/api/", "Exception", "silent workers are not seen")
    yield from (f"the head: {line}" for line in way.head.printed() if any(mark in line for mark in marks))
    parent = folder / ON_THEIR_WAY
    with spool(parent):  # the next worker clears up after those that were killed
        pass
    yield from (f"left on its way: {path}" for path in parent.rglob("*"))


def _undisturbed(campaign: Campaign) -> Path:
    """Run the same study in a folder of its own, where nobody disturbs it; returns the folder."""
    folder = campaign.folder / "undisturbed"
    spec = evident_job(folder, campaign.kind, campaign.cells, campaign.heartbeat, campaign.grace)
    answer = run_command(
        *("run", str(spec), "--workers", "2", "--threads", "1", *direct("", folder).options),
        folder=folder,
        environment={EPOCH_SECONDS: "0"},
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return folder
