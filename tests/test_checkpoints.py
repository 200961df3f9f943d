"""Training states between two attempts: whole or not there, checked when read, cleared when not needed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from mnist_tune.checkpoints import (
    Checkpoint,
    CheckpointFolder,
    CheckpointUnusable,
    checkpoint_key,
    load,
    save,
    sweep,
)
from tests.mounts import run_with_mounts
from tests.support import run_python

STATE = b"weights" * 10_000

SAVE = """
import os, resource, signal
from pathlib import Path
from mnist_tune.checkpoints import CheckpointFolder, save

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

{before}
try:
    save(CheckpointFolder(Path("states")), "new", 2, b"weights" * 10_000)
except OSError as error:
    print(error.strerror)
"""
FILES_GROW_NO_LARGER = "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))"


@pytest.fixture
def folder(tmp_path: Path) -> CheckpointFolder:
    return CheckpointFolder(tmp_path / "states")


def names(folder: CheckpointFolder) -> set[str]:
    return set(folder.keys())


def test_what_was_saved_is_loaded(folder: CheckpointFolder) -> None:
    checkpoint = save(folder, "new", 2, STATE)
    assert checkpoint == Checkpoint("new", hashlib.sha256(STATE).hexdigest(), 2)
    assert load(folder, checkpoint) == STATE
    assert folder.keys() == ["new"]


def test_what_is_saved_again_replaces_what_was_there(folder: CheckpointFolder) -> None:
    before = save(folder, "new", 2, STATE)
    after = save(folder, "new", 2, b"other weights")
    assert load(folder, after) == b"other weights"
    with pytest.raises(CheckpointUnusable, match="its hash differs"):
        load(folder, before)


@pytest.mark.parametrize("damaged", [b"", STATE[:-1], STATE + b"\0", b"W" + STATE[1:]])
def test_a_checkpoint_that_is_not_what_was_written_is_not_used(
    folder: CheckpointFolder, damaged: bytes
) -> None:
    checkpoint = save(folder, "new", 2, STATE)
    (folder.path / "new").write_bytes(damaged)
    with pytest.raises(CheckpointUnusable, match="the checkpoint new is damaged: its hash differs"):
        load(folder, checkpoint)


def test_a_checkpoint_that_is_gone_is_told_from_one_that_cannot_be_read(folder: CheckpointFolder) -> None:
    checkpoint = save(folder, "new", 2, STATE)
    folder.delete("new")
    folder.delete("new")  # whether it is there or not
    with pytest.raises(CheckpointUnusable, match="the checkpoint new is not there"):
        load(folder, checkpoint)
    (folder.path / "new").mkdir()
    with pytest.raises(CheckpointUnusable, match="the checkpoint new cannot be read: Is a directory"):
        load(folder, checkpoint)


def test_a_folder_that_is_not_there_yet_holds_nothing(folder: CheckpointFolder) -> None:
    assert folder.keys() == []
    folder.delete("new")
    folder.remove_if_empty()
    with pytest.raises(CheckpointUnusable, match="is not there"):
        load(folder, Checkpoint("new", "", 2))


def test_a_full_disk_keeps_the_last_state_and_no_part_of_the_new_one(tmp_path: Path) -> None:
    (tmp_path / "states").mkdir()
    script = SAVE.format(before="save(CheckpointFolder(Path('states')), 'old', 1, b'old weights')")
    listing = "\nprint(*(f'{path.name} {path.read_bytes()}' for path in Path('states').iterdir()))"
    done = run_with_mounts("mount -t tmpfs -o size=32k none states", script + listing, tmp_path)
    assert done.stdout == "No space left on device\nold b'old weights'\n", done.stderr


def test_a_file_that_may_not_grow_keeps_the_last_state_and_no_part_of_the_new_one(
    folder: CheckpointFolder,
) -> None:
    old = save(folder, "old", 1, STATE)
    done = run_python(SAVE.format(before=FILES_GROW_NO_LARGER), folder.path.parent)
    assert done.stdout == "File too large\n", done.stderr
    assert folder.keys() == ["old"]
    assert load(folder, old) == STATE


@pytest.mark.parametrize(
    "death",
    [
        f"signal.signal(signal.SIGXFSZ, signal.SIG_DFL); {FILES_GROW_NO_LARGER}",
        "os.fsync = die",
        "os.replace = die",
    ],
    ids=["in the middle", "before it is on the disk", "before it has its name"],
)
def test_a_process_that_dies_while_it_writes_leaves_the_last_state_and_no_usable_half(
    folder: CheckpointFolder, death: str
) -> None:
    old = save(folder, "7-token-1.pt", 1, STATE)
    new = Checkpoint("7-token-2.pt", hashlib.sha256(STATE).hexdigest(), 2)
    done = run_python(SAVE.format(before=death).replace("new", new.key), folder.path.parent)
    assert done.returncode < 0, done.stderr
    assert names(folder) == {old.key, f"{new.key}.tmp"}
    assert load(folder, old) == STATE
    with pytest.raises(CheckpointUnusable, match="is not there"):
        load(folder, new)
    assert sweep(folder, folder.keys(), {old.key}, running=set()) == 1
    assert folder.keys() == [old.key]


def test_a_process_that_dies_when_the_state_has_its_name_leaves_it_whole(folder: CheckpointFolder) -> None:
    death = "replace = os.replace; os.replace = lambda *paths: (replace(*paths), die())"
    done = run_python(SAVE.format(before=death), folder.path.parent)
    assert done.returncode < 0, done.stderr
    assert load(folder, Checkpoint("new", hashlib.sha256(STATE).hexdigest(), 2)) == STATE


def test_a_sweep_deletes_what_no_trial_points_to_and_no_running_trial_may_be_about_to(
    folder: CheckpointFolder,
) -> None:
    referenced, orphan, of_running = (checkpoint_key(trial, "token", 1) for trial in (3, 4, 5))
    kept = [referenced, of_running, f"{of_running}.tmp"]
    gone = [orphan, f"{orphan}.tmp", f"{referenced}.tmp", checkpoint_key(55, "token", 1), "nobody's.pt"]
    for name in kept + gone:
        folder.write(name, STATE)
    assert sweep(folder, folder.keys(), {referenced}, running={5}) == len(gone)
    assert names(folder) == set(kept)


def test_a_sweep_spares_what_was_saved_since_the_folder_was_listed(folder: CheckpointFolder) -> None:
    folder.write(checkpoint_key(4, "token", 1), STATE)
    listed = folder.keys()
    folder.write(checkpoint_key(6, "token", 1), STATE)
    assert sweep(folder, listed, set(), running=set()) == 1
    assert folder.keys() == [checkpoint_key(6, "token", 1)]


def test_two_workers_may_sweep_at_once(folder: CheckpointFolder) -> None:
    folder.write(checkpoint_key(4, "token", 1), STATE)
    listed = folder.keys()
    for _ in range(2):
        sweep(folder, listed, set(), running=set())
    assert folder.keys() == []


def test_the_folders_of_a_finished_study_go_unless_they_hold_something(tmp_path: Path) -> None:
    one, other = (CheckpointFolder(tmp_path / "checkpoints" / uid) for uid in ("one", "other"))
    for folder in (one, other):
        save(folder, "new", 2, STATE)
    one.remove_if_empty()
    assert one.keys() == ["new"]
    one.delete("new")
    one.remove_if_empty()
    assert not one.path.exists()
    assert other.keys() == ["new"]
    other.delete("new")
    other.remove_if_empty()
    assert list(tmp_path.iterdir()) == []
