"""A worker that is told twice to stop while a state is on its way over a slow link: it leaves soon."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from mnist_tune.results.reading import read_results
from mnist_tune.spec.reading import load_spec
from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.guarded import open_storage
from mnist_tune.study.store import create_study, open_study
from mnist_tune.worker.signals import MOMENT
from tests.support.commands import start_command
from tests.support.head_processes import HeadProcess
from tests.support.tcp_proxy import tcp_proxy
from tests.support.waiting import wait_until
from tests.system.ways_to_a_study import ON_THEIR_WAY

pytestmark = pytest.mark.slow

SLOW = 100_000
"""Bytes in a second: a state takes ten minutes."""
SOON = 60
"""Within so many seconds the worker has left, on a busy machine too."""
JOB = """
import time
import torch
from mnist_tune import Hyperparameters, Trial, job

@job(objective="error", direction="minimize")
def train(settings: Hyperparameters, trial: Trial) -> None:
    model = torch.nn.Linear(4000, 4000)
    trial.keep(model=model)
    for epoch in trial.epochs():
        time.sleep(0.2)
        trial.report(error=1.0 / epoch)
"""
SPEC = """
[study]
name = "large"

[job]
file = "large.py:train"

[search.grid]
seed = [0]

[training]
epochs = 4

[limits]
checkpoint_interval = 0
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_stop_gives_up_a_state_on_its_way_and_gives_the_cell_back(
    tmp_path: Path, number: signal.Signals
) -> None:
    (tmp_path / "large.py").write_text(JOB, "utf-8")
    (tmp_path / "large.toml").write_text(SPEC, "utf-8")
    url = f"sqlite:///{tmp_path}/studies.db"
    create_study(open_storage(storage_url(url), create=True), load_spec(tmp_path / "large.toml"))
    study = open_study(open_storage(storage_url(url)), "large")
    with HeadProcess(url, tmp_path) as head, tcp_proxy(head.address) as link:
        link.slow_down(SLOW)
        worker = start_command(
            *("worker", "large", "--job", f"{tmp_path}/large.py:train"),
            *("--checkpoints", str(tmp_path / ON_THEIR_WAY)),
            folder=tmp_path,
            url=link.url,
        )
        wait_until(lambda: any((tmp_path / "checkpoints" / study.uid).glob("*")))  # it is being sent
        os.kill(worker.pid, number)
        with pytest.raises(AssertionError, match="not within"):  # the first stop waits for it
            wait_until(lambda: worker.poll() is not None, 3 * MOMENT)
        os.kill(worker.pid, number)
        out, err = worker.communicate(timeout=SOON)
    assert (worker.returncode, err) == (3, ""), out
    first, second = read_results(study).attempts
    assert (first.state, second.state) == ("failed", "waiting")
    assert first.failure is not None
    assert first.failure["class"] == "preempted"
    assert "told twice to stop" in first.not_kept["state"]
    assert len(first.history) == 1
    assert not any((tmp_path / ON_THEIR_WAY).iterdir())
