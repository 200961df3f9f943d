"""A sweep deletes the checkpoints that no attempt needs, and no others."""

from __future__ import annotations

from pathlib import Path

from mnist_tune.files.checkpoints import (
    CheckpointFolder,
    checkpoint_key,
    save,
    sweep,
)
from tests.support.checkpoint_files import HALF_WRITTEN, NEW, STATE, TOKEN, names_in


def test_a_sweep_deletes_what_no_trial_points_to_and_no_running_trial_may_be_about_to(
    folder: CheckpointFolder,
) -> None:
    referenced, orphan, of_running = (checkpoint_key(trial, TOKEN, 1) for trial in (3, 4, 5))
    kept = [referenced, of_running, f"{of_running}{HALF_WRITTEN}"]
    of_version_0_5 = f"{orphan}.tmp"
    gone = [orphan, f"{orphan}{HALF_WRITTEN}", f"{referenced}{HALF_WRITTEN}", of_version_0_5]
    gone.append(checkpoint_key(55, TOKEN, 1))
    for name in kept + gone:
        folder.write(name, STATE)
    assert sweep(folder, folder.keys(), {referenced}, running={5}) == len(gone)
    assert names_in(folder) == set(kept)


def test_a_sweep_spares_what_was_saved_since_the_folder_was_listed(folder: CheckpointFolder) -> None:
    folder.write(checkpoint_key(4, TOKEN, 1), STATE)
    listed = folder.keys()
    folder.write(checkpoint_key(6, TOKEN, 1), STATE)
    assert sweep(folder, listed, set(), running=set()) == 1
    assert folder.keys() == [checkpoint_key(6, TOKEN, 1)]


def test_two_workers_may_sweep_at_once(folder: CheckpointFolder) -> None:
    folder.write(checkpoint_key(4, TOKEN, 1), STATE)
    listed = folder.keys()
    for _ in range(2):
        sweep(folder, listed, set(), running=set())
    assert folder.keys() == []


def test_the_folders_of_a_finished_study_go_unless_they_hold_something(tmp_path: Path) -> None:
    ours = tmp_path / "checkpoints"
    one, other = (CheckpointFolder(ours / uid, parent=ours) for uid in ("one", "other"))
    for folder in (one, other):
        save(folder, NEW, 2, STATE)
    one.remove_if_empty()
    assert one.keys() == [NEW]
    one.delete(NEW)
    one.remove_if_empty()
    assert not one.path.exists()
    assert other.keys() == [NEW]
    other.delete(NEW)
    other.remove_if_empty()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_a_person_named_stays_when_it_is_empty(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path / "named" / "uid")
    folder.write(NEW, STATE)
    folder.delete(NEW)
    folder.remove_if_empty()
    assert list(tmp_path.iterdir()) == [tmp_path / "named"]


def test_a_sweep_leaves_what_is_no_checkpoint(folder: CheckpointFolder) -> None:
    folder.write(NEW, STATE)
    others = {"notes.txt", "7-notes.txt", f"{NEW}.bak", "model.pt.tmp"}
    for name in others:
        (folder.path / name).write_text("somebody's own")
    assert sweep(folder, folder.keys(), set(), running=set()) == 1
    assert {path.name for path in folder.path.iterdir()} == others
