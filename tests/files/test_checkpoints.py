"""Training states between two attempts: whole or not there, and checked when read."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from mnist_tune.files.checkpoints import (
    Checkpoint,
    CheckpointFolder,
    CheckpointUnusable,
    load,
    save,
    sweep,
)
from tests.support.checkpoint_files import NEW, OLD, STATE, names_in
from tests.support.commands import run_python
from tests.support.mount_namespace import run_with_mounts

SAVE = """
import os, resource, signal
from pathlib import Path
from mnist_tune.files.checkpoints import CheckpointFolder, save

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

{before}
try:
    save(CheckpointFolder(Path("states")), "NEW", 2, b"weights" * 10_000)
except OSError as error:
    print(error.strerror)
""".replace("NEW", NEW)
FILES_GROW_NO_LARGER = "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))"


def test_what_was_saved_is_loaded(folder: CheckpointFolder) -> None:
    checkpoint = save(folder, NEW, 2, STATE)
    assert checkpoint == Checkpoint(NEW, hashlib.sha256(STATE).hexdigest(), 2)
    assert load(folder, checkpoint) == STATE
    assert folder.keys() == [NEW]


def test_what_is_saved_again_replaces_what_was_there(folder: CheckpointFolder) -> None:
    before = save(folder, NEW, 2, STATE)
    after = save(folder, NEW, 2, b"other weights")
    assert load(folder, after) == b"other weights"
    with pytest.raises(CheckpointUnusable, match="its hash differs"):
        load(folder, before)


@pytest.mark.parametrize("damaged", [b"", STATE[:-1], STATE + b"\0", b"W" + STATE[1:]])
def test_a_checkpoint_that_is_not_what_was_written_is_not_used(
    folder: CheckpointFolder, damaged: bytes
) -> None:
    checkpoint = save(folder, NEW, 2, STATE)
    (folder.path / NEW).write_bytes(damaged)
    with pytest.raises(CheckpointUnusable, match=f"the checkpoint {NEW} is damaged: its hash differs"):
        load(folder, checkpoint)


def test_a_checkpoint_that_is_gone_is_told_from_one_that_cannot_be_read(folder: CheckpointFolder) -> None:
    checkpoint = save(folder, NEW, 2, STATE)
    folder.delete(NEW)
    folder.delete(NEW)  # whether it is there or not
    with pytest.raises(CheckpointUnusable, match=f"the checkpoint {NEW} is not there"):
        load(folder, checkpoint)
    (folder.path / NEW).mkdir()
    with pytest.raises(
        CheckpointUnusable, match=f"the checkpoint {NEW} cannot be read: it is not a regular file"
    ):
        load(folder, checkpoint)


def test_a_folder_that_is_not_there_yet_holds_nothing(folder: CheckpointFolder) -> None:
    assert folder.keys() == []
    folder.delete(NEW)
    folder.remove_if_empty()
    with pytest.raises(CheckpointUnusable, match="is not there"):
        load(folder, Checkpoint(NEW, "", 2))


def test_a_full_disk_keeps_the_last_state_and_no_part_of_the_new_one(tmp_path: Path) -> None:
    (tmp_path / "states").mkdir()
    script = SAVE.format(before=f"save(CheckpointFolder(Path('states')), '{OLD}', 1, b'old weights')")
    listing = "\nprint(*(f'{path.name} {path.read_bytes()}' for path in Path('states').iterdir()))"
    done = run_with_mounts("mount -t tmpfs -o size=32k none states", script + listing, tmp_path)
    assert done.stdout == f"No space left on device\n{OLD} b'old weights'\n", done.stderr


def test_a_file_that_may_not_grow_keeps_the_last_state_and_no_part_of_the_new_one(
    folder: CheckpointFolder,
) -> None:
    old = save(folder, OLD, 1, STATE)
    done = run_python(SAVE.format(before=FILES_GROW_NO_LARGER), folder.path.parent)
    assert done.stdout == "File too large\n", done.stderr
    assert folder.keys() == [OLD]
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
    old = save(folder, OLD, 1, STATE)
    new = Checkpoint(NEW, hashlib.sha256(STATE).hexdigest(), 2)
    done = run_python(SAVE.format(before=death), folder.path.parent)
    assert done.returncode < 0, done.stderr
    (half,) = names_in(folder) - {old.key}
    assert half.startswith(new.key)
    assert load(folder, old) == STATE
    with pytest.raises(CheckpointUnusable, match="is not there"):
        load(folder, new)
    assert sweep(folder, folder.keys(), {old.key}, running=set()) == 1
    assert folder.keys() == [old.key]


def test_a_process_that_dies_when_the_state_has_its_name_leaves_it_whole(folder: CheckpointFolder) -> None:
    death = "replace = os.replace; os.replace = lambda *paths: (replace(*paths), die())"
    done = run_python(SAVE.format(before=death), folder.path.parent)
    assert done.returncode < 0, done.stderr
    assert load(folder, Checkpoint(NEW, hashlib.sha256(STATE).hexdigest(), 2)) == STATE


@pytest.mark.parametrize(
    "key", ["/etc/hostname", "../others/7-x-1.pt", "", "..", f"{NEW}\0", f"{NEW}\n", None, 5]
)
def test_a_checkpoint_of_any_other_name_than_ours_is_not_looked_for(
    folder: CheckpointFolder, key: Any
) -> None:
    with pytest.raises(
        CheckpointUnusable, match=r"the key of a checkpoint is .*, and not TRIAL-TOKEN-EPOCH\.pt"
    ):
        load(folder, Checkpoint(key, "", 1))


def test_nothing_outside_of_the_folder_is_read_written_or_deleted(
    folder: CheckpointFolder, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"somebody's own")
    for key in (str(precious), "../precious", "sub/../../precious"):
        for action in (folder.read, folder.delete, lambda name: folder.write(name, STATE)):
            with pytest.raises(OSError, match="it is no name of a file"):
                action(key)
    assert precious.read_bytes() == b"somebody's own"


def test_a_link_or_a_pipe_in_a_checkpoints_place_is_not_read_and_nobody_waits_for_it(
    folder: CheckpointFolder, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_bytes(STATE)
    checkpoint = Checkpoint(NEW, hashlib.sha256(STATE).hexdigest(), 2)
    folder.path.mkdir()
    (folder.path / NEW).symlink_to(tmp_path / "secret")
    with pytest.raises(CheckpointUnusable, match="it is a link, not a file"):
        load(folder, checkpoint)
    (folder.path / NEW).unlink()
    os.mkfifo(folder.path / NEW)
    with pytest.raises(CheckpointUnusable, match="it is not a regular file"):
        load(folder, checkpoint)
    save(folder, NEW, 2, STATE)  # which takes the pipe's place
    assert load(folder, checkpoint) == STATE
