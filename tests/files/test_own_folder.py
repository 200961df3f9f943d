"""A folder of one process: others see when the process was killed, and take no other for abandoned."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mnist_tune.files.own_folder import clear_up, own_folder

PREFIX = ".ours-"
HOLDS_ONE = f"""
import sys, time
from pathlib import Path
from mnist_tune.files.own_folder import own_folder
with own_folder(Path(sys.argv[1]), "{PREFIX}") as folder:
    (folder / "content").write_text("content")
    print(folder, flush=True)
    time.sleep(600)
"""


@contextmanager
def holder(parent: Path) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """A process that has a folder, and is killed after the block."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS_ONE, str(parent)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield Path(process.stdout.readline().strip()), process
    finally:
        process.kill()
        process.communicate()


def test_what_a_killed_process_has_left_is_removed_and_what_another_uses_is_not(tmp_path: Path) -> None:
    (tmp_path / f"{PREFIX}without-a-lock").mkdir()
    (tmp_path / "others").mkdir()
    with holder(tmp_path) as (living, _), holder(tmp_path) as (killed, process):
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert killed.is_dir()
        with own_folder(tmp_path, PREFIX) as ours:
            assert {path.name for path in tmp_path.iterdir()} == {
                living.name,
                ours.name,
                f"{PREFIX}without-a-lock",
                "others",
            }
        assert not ours.exists()
        assert (living / "content").exists()
    clear_up(tmp_path, PREFIX)
    assert not living.exists()


def test_nothing_is_left_where_a_child_of_a_killed_process_still_writes(tmp_path: Path) -> None:
    for number in range(30):
        folder = tmp_path / f"{PREFIX}{number}"
        folder.mkdir()
        (folder / ".lock").touch()
        has_begun, has_ended = threading.Event(), threading.Event()

        def write(folder: Path, has_begun: threading.Event, has_ended: threading.Event) -> None:
            try:
                for name in itertools.count():
                    (folder / f"{name}.tmp").touch()
                    has_begun.set()
            except FileNotFoundError:
                has_ended.set()

        threading.Thread(target=write, args=(folder, has_begun, has_ended)).start()
        assert has_begun.wait(60)
        clear_up(tmp_path, PREFIX)
        assert has_ended.wait(60)
        clear_up(tmp_path, PREFIX)  # what was written while the first was at it
    assert list(tmp_path.iterdir()) == []


def test_a_link_with_the_prefix_leads_nowhere(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.mkdir()
    for name in (".lock", "content"):
        (target / name).write_text(name)
    (tmp_path / f"{PREFIX}link").symlink_to(target)
    clear_up(tmp_path, PREFIX)
    assert (target / "content").exists()


def test_many_at_once_lose_none(tmp_path: Path) -> None:
    problems: list[BaseException] = []

    def use() -> None:
        try:
            for _ in range(20):
                with own_folder(tmp_path, PREFIX) as folder:
                    (folder / "content").write_text("content")
                    assert (folder / "content").read_text() == "content"
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert list(tmp_path.iterdir()) == []


def test_where_none_can_be_made_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"), own_folder(tmp_path / "none", PREFIX):
        pass
