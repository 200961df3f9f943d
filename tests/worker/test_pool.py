"""A pool of workers: what other users of the machine see of it."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from mnist_tune import __version__
from mnist_tune.hardware.placement import Placement
from mnist_tune.storage.named import ENVIRONMENT_VARIABLE
from mnist_tune.worker.pool import Pool
from tests.support.commands import STORED
from tests.support.process_tree import descendants
from tests.support.studies import open_file


def test_the_argv_of_a_pools_workers_has_no_url(tmp_path: Path) -> None:
    open_file(tmp_path, create=True)
    pool = Pool("nothing", {ENVIRONMENT_VARIABLE: f"sqlite:///{tmp_path}/{STORED}"})
    pool.start([Placement("cpu"), Placement("cpu")])
    seen = set()
    while pool.is_alive():  # all of them, the fork server as well
        ours = ",".join(map(str, descendants(os.getpid())))
        listed = subprocess.run(
            ["ps", "-ww", "-o", "pid=,args=", "-p", ours], capture_output=True, text=True, check=False
        ).stdout
        seen |= {line for line in listed.splitlines() if "mnist" in line}
        time.sleep(0.01)
    workers = {
        line.split()[0] for line in seen if f"worker nothing --pooled {__version__} --device cpu" in line
    }
    assert len(workers) == 2
    listed = "\n".join(seen)
    assert "fork-server" in listed
    assert "sqlite" not in listed
    # They had the URL all the same: they looked for the study there.
    assert ["no study 'nothing' in this storage" in failure for failure in pool.failures()] == [True, True]
