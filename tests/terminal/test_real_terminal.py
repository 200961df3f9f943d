"""The live view on a real terminal."""

from __future__ import annotations

import re
import shutil
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.commands import start_toy_worker
from tests.support.specs import TINY_SPEC, write_spec
from tests.support.studies import new_study
from tests.support.tmux import ENDED, Terminal, terminal
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed"),
    pytest.mark.usefixtures("mnist_directory"),
]

MNIST_TUNE = (sys.executable, "-m", "mnist_tune")
STORAGE = ("--storage", "sqlite:///studies.db")
# Long enough to be looked at.
SPEC = TINY_SPEC.replace("epochs = 2", "epochs = 8")
ROW = re.compile(r" *\d+ +0\.0*1 +(64|128) +(Adam|SGD) +(▶ running|✓ complete|· waiting)")


@pytest.fixture
def pane() -> Iterator[Terminal]:
    with terminal() as opened:
        yield opened


def shows_the_view(screen: list[str]) -> bool:
    return screen[0].startswith("tiny ")


def assert_is_whole(screen: list[str], width: int, height: int) -> None:
    """Wait for the view, complete and without remains of an earlier drawing."""
    assert len(screen) == height
    assert max(map(len, screen)) <= width
    assert re.fullmatch(r"tiny +[━╸─]+ +\d/8 cells( +(ETA .*|waiting for workers))?", screen[0])
    assert re.fullmatch(r"((, )?\d (running|waiting))*( +best .* \(trial \d\))?", screen[1])
    assert screen[2] == ""
    assert screen[4].split()[:5] == ["trial", "rate", "size", "optimizer", "state"]
    assert sum("optimizer" in line for line in screen) == 1
    rows = [line for line in screen[5:] if ROW.match(line)]
    assert len(rows) == 8 or f"... and {8 - len(rows)} more cells" in screen[5 + len(rows)]


def is_drawn_anew(pane: Terminal, width: int, height: int) -> bool:
    screen = pane.screen()
    try:
        assert_is_whole(screen, width, height)
    except (AssertionError, IndexError):
        return False
    return ("images/s       ETA" in screen[4]) == (width == 200) and len(screen[0]) > width - 30


def wait_for_the_end(pane: Terminal, code: int) -> str:
    wait_until(lambda: any(line.startswith(ENDED) for line in pane.screen()))
    screen = pane.screen()
    assert f"{ENDED} {code}" in screen
    return "\n".join(screen)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 50)])
def test_the_view_of_a_run_is_whole_from_its_beginning_to_its_end(
    pane: Terminal, tmp_path: Path, width: int, height: int
) -> None:
    pane.start([*MNIST_TUNE, "run", str(write_spec(tmp_path, SPEC)), *STORAGE], tmp_path, width, height)
    wait_until(lambda: shows_the_view(pane.screen()))
    frames = []
    while shows_the_view(screen := pane.screen()):
        frames.append(screen)
        time.sleep(0.05)
    for frame in frames:
        assert_is_whole(frame, width, height)
    seen = "\n".join(line for frame in frames for line in frame)
    assert re.search(r"▶ running .* [1-7]/8 .* %", seen)
    assert re.search(r"✓ complete .* 8/8 .* %", seen)
    assert re.search(r"cells +ETA \d+ s", seen)
    assert re.search(r"\S+:\d+ +working ", seen)
    end = wait_for_the_end(pane, 0)
    assert "export it with: mnist-tune export tiny --output best.toml" in end
    assert "▶" not in end


def test_a_run_is_resized_and_stopped(pane: Terminal, tmp_path: Path) -> None:
    spec = SPEC.replace("epochs = 8", "epochs = 200")
    pane.start([*MNIST_TUNE, "run", str(write_spec(tmp_path, spec)), *STORAGE], tmp_path, 80, 24)
    wait_until(lambda: shows_the_view(pane.screen()) and "▶ running" in "\n".join(pane.screen()))
    for width, height in ((60, 15), (200, 50), (80, 24)):
        pane.resize(width, height)
        wait_until(partial(is_drawn_anew, pane, width, height))
    pane.press("C-c")
    end = wait_for_the_end(pane, 3)
    assert "stopping: the workers finish their epochs" in end
    assert "not finished: 0/8 cells, 8 waiting; the same command goes on" in end
    assert "▶" not in end


def test_ctrl_c_ends_a_watch_at_once_and_gives_the_screen_back(pane: Terminal, tmp_path: Path) -> None:
    new_study(tmp_path, SPEC)
    worker = start_toy_worker(tmp_path, seconds=60.0)
    pane.start([*MNIST_TUNE, "status", "tiny", "--watch", *STORAGE], tmp_path, 80, 24)
    wait_until(lambda: shows_the_view(pane.screen()) and "▶ running" in "\n".join(pane.screen()))
    assert_is_whole(pane.screen(), 80, 24)
    pane.press("C-c")
    end = wait_for_the_end(pane, 3)
    assert end.split("\n")[0].startswith("tiny: 0/8 cells, 1 running, 7 waiting")
    assert worker.poll() is None
    worker.kill()
    worker.communicate()
