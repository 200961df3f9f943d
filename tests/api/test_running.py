"""`mnist_tune.run` in scripts: how it ends, and what it does not touch."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import mnist_tune
from mnist_tune.contract.study import Control
from mnist_tune.queue.control import set_control
from mnist_tune.results.reading import read_results
from mnist_tune.study.store import open_study
from tests.support.process_tree import descendants
from tests.support.specs import ONE_CELL, STUDIES
from tests.support.studies import new_study, open_file
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("mnist_directory")

SPEC = (
    ONE_CELL
    + """
[training]
epochs = 2
precision = "fp32"

[data]
train_size = 200
validation_size = 100
"""
)
LONG = SPEC.replace("epochs = 2", "epochs = 300")

SCRIPT = """
print("begun")
import signal
import mnist_tune
before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
try:
    print(mnist_tune.run("spec.toml", workers=1, storage="studies.db").status.finished)
finally:
    print(before == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)))
"""
"""A script without a guard, like most short ones."""


def start(folder: Path, text: str) -> subprocess.Popen[str]:
    """The script in `folder`, on this spec."""
    new_study(folder, text)
    script = folder / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, "-u", str(script)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(STUDIES.parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_a_script_without_a_guard_runs_once(tmp_path: Path) -> None:
    out, err = start(tmp_path, SPEC).communicate(timeout=300)
    assert err == ""
    lines = out.splitlines()
    assert (lines[0], lines[-2:]) == ("begun", ["True", "True"])
    assert lines.count("begun") == 1


@pytest.mark.slow
def test_ctrl_c_lets_the_epoch_end_and_then_interrupts_the_script(tmp_path: Path) -> None:
    script = start(tmp_path, LONG)
    study = open_study(open_file(tmp_path), "tiny")
    wait_until(lambda: any(attempt.history for attempt in read_results(study).attempts))
    started = descendants(script.pid)
    script.send_signal(signal.SIGINT)
    out, err = script.communicate(timeout=300)
    assert err.endswith("KeyboardInterrupt\n")
    assert "stopping: the workers finish their epochs; " in out
    told, restored = out.splitlines()[-2:]
    assert (told, restored) == (
        "study 'tiny' is not finished: 0/1 cell, 1 waiting; the same call goes on", "True"
    )  # fmt: skip
    stopped, waiting = read_results(study).attempts
    assert (stopped.failure and stopped.failure["class"], waiting.state) == ("preempted", "waiting")
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in started))


@pytest.mark.slow
def test_it_runs_in_a_thread_that_hears_of_no_signals(tmp_path: Path) -> None:
    new_study(tmp_path, SPEC)
    studies: list[mnist_tune.Study] = []
    thread = threading.Thread(
        target=lambda: studies.append(
            mnist_tune.run(tmp_path / "spec.toml", tmp_path / "studies.db", workers=1, progress=False)
        )
    )
    thread.start()
    thread.join()
    assert [study.status.finished for study in studies] == [True]


def test_a_study_whose_workers_leave_early_is_an_error_that_says_how_it_stands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = new_study(tmp_path, SPEC)
    set_control(opened.storage, opened.study_id, Control.CANCELLED)
    told = "^study 'tiny' is not finished: 0/1 cell, 1 waiting, cancelled; the same call goes on$"
    with pytest.raises(mnist_tune.MnistTuneError, match=told):
        mnist_tune.run(tmp_path / "spec.toml", tmp_path / "studies.db", workers=1)


def test_what_a_worker_that_cannot_work_said_is_in_the_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = new_study(tmp_path, SPEC)
    monkeypatch.setattr("mnist_tune.worker.pool.__version__", "0.0.1")  # which no worker follows
    told = r"^study 'tiny' is not finished: 0/1 cell, 1 waiting; worker \d+ exited with 2: .* 0\.0\.1;"
    with pytest.raises(mnist_tune.MnistTuneError, match=told):
        mnist_tune.run(tmp_path / "spec.toml", tmp_path / "studies.db", workers=1, progress=False)
    assert read_results(opened).cells.waiting == 1
