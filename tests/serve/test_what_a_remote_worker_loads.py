"""What a worker of a head loads, from its command line to its end, in its own process and in others."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

import pytest

from tests.support.commands import finish, start_command
from tests.support.own_jobs import own_job
from tests.support.served import serving
from tests.support.specs import STUDIES

HEAVY = {"optuna", "sqlalchemy", "torch"}
SPY = f"""
import os
import sys

def note(event, arguments):
    if event == "import" and arguments[0] in {HEAVY}:
        # Not when the process ends: some end without a goodbye.
        with open(os.environ["SEEN"], "a", encoding="ascii") as seen:
            seen.write(f"{{os.getpid()}} {{arguments[0]}}\\n")

sys.addaudithook(note)
"""
"""A `sitecustomize` of every Python process: which of them loads which heavy package."""


def loaded_by(seen: Path) -> dict[int, set[str]]:
    """What each process has loaded itself, by process id."""
    loaded = defaultdict(set)
    for line in seen.read_text(encoding="ascii").splitlines():
        pid, package = line.split()
        loaded[int(pid)].add(package)
    return loaded


@pytest.mark.slow
def test_a_worker_loads_neither_optuna_nor_a_database_and_leaves_torch_to_its_training(
    tmp_path: Path,
) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    home.mkdir()
    elsewhere.mkdir()
    created = finish(start_command("create-study", str(own_job(elsewhere)), folder=home))
    assert created.returncode == 0, created.stderr
    (elsewhere / "sitecustomize.py").write_text(SPY, encoding="utf-8")
    with serving(home) as head:
        environment = {
            "MNIST_TUNE_STORAGE": head,
            "PYTHONPATH": os.pathsep.join([str(elsewhere), str(STUDIES.parent)]),
            "SEEN": str(elsewhere / "seen"),
            "XDG_CACHE_HOME": str(elsewhere / "cache"),
        }
        worker = start_command("worker", "--job", "fit.py:train", folder=elsewhere, environment=environment)
        answer = finish(worker)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert answer.stderr == f"study 'fit', the only one in {head}\n"
    assert answer.stdout.count(": complete: ") == 2
    loaded = loaded_by(elsewhere / "seen")
    assert worker.pid not in loaded
    assert list(loaded.values()) == [{"torch"}]
