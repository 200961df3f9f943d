"""A small team's first day: a head on one machine, and one line on each of two others."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mnist_tune.results.reading import read_results
from tests.support.machines import Machine, machines, may_make_machines
from tests.support.specs import TINY_SPEC, write_spec
from tests.support.studies import opened_file
from tests.support.tmux import Terminal, terminal
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not may_make_machines(), reason="only root may make network namespaces"),
]
SPEC = TINY_SPEC.replace("train_size = 200", "train_size = 2000")  # long enough for each to have some cells
JOINING = re.compile(r"^  (MNIST_TUNE_STORAGE=\S+ .*\S) *$", re.MULTILINE)
MNIST_TUNE = str(Path(sys.executable).with_name("mnist-tune"))


@pytest.fixture
def three() -> Iterator[list[Machine]]:
    with machines(3) as made:
        yield made


def joined(line: str, machine: Machine, home: Path) -> subprocess.Popen[str]:
    """A worker that the printed line has started on a machine, by a person who has nothing else there."""
    home.mkdir()
    environment = {
        "HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "MNIST_TUNE_DATA": os.environ["MNIST_TUNE_DATA"],
    }
    return subprocess.Popen(
        machine.command("sh", "-c", line),
        cwd=home,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def shown(screen: Terminal) -> str:
    return "\n".join(screen.screen())


@pytest.mark.usefixtures("mnist_directory")
def test_one_line_joins_each_machine(three: list[Machine], tmp_path: Path) -> None:
    laptop, *others = three
    folder = tmp_path / "laptop"
    folder.mkdir()
    write_spec(folder, SPEC)
    subprocess.run([MNIST_TUNE, "create-study", "spec.toml"], cwd=folder, check=True)
    with terminal() as screen:
        screen.start(laptop.command(MNIST_TUNE, "serve", "--host", "0.0.0.0"), folder, 400, 20)
        wait_until(lambda: JOINING.search(shown(screen)) is not None)
        (line,) = JOINING.findall(shown(screen))
        assert f"https://{laptop.address}:8080#sha256=" in line
        workers = [joined(line, machine, tmp_path / machine.name) for machine in others]
        said = [worker.communicate(timeout=300)[0] for worker in workers]
        assert [worker.returncode for worker in workers] == [0, 0], said
        screen.press("C-c")
        wait_until(lambda: "ENDED WITH 0" in shown(screen))
        assert "Traceback" not in shown(screen)
    results = read_results(opened_file(folder / "mnist-tune.db", "tiny"))
    assert results.is_finished
    assert not results.cells.failed
    assert not results.without_weights
    assert len({trial.worker for trial in results.complete}) == 2
    assert not any("mnt_" in words for words in said)
    subprocess.run([MNIST_TUNE, "verify", "tiny"], cwd=folder, check=True, capture_output=True)
