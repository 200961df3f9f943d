"""The process that clears up behind another one."""

from __future__ import annotations

from pathlib import Path

from tests.support.child_processes import run_python_in
from tests.support.waiting import wait_until

WATCHED = """
import sys
from pathlib import Path
from mnist_tune.processes.watchdog import Watchdog

watchdog = Watchdog()
watchdog.watch(Path(sys.argv[1]))
"""


def test_it_clears_up_after_an_interpreter_that_ends_and_leaves_no_file_open_there(tmp_path: Path) -> None:
    folder = tmp_path / "of the trial"
    folder.mkdir()
    done = run_python_in(tmp_path, "-X", "dev", "-c", WATCHED, str(folder))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    wait_until(lambda: not folder.exists())
