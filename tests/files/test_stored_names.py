"""The name of a file in a storage is checked before it becomes a path."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from mnist_tune.files import stored_names
from mnist_tune.files.checkpoints import checkpoint_key

TOKEN = "9f3c" * 8
KEY = checkpoint_key(2**40, TOKEN, 1_000)
ID = str(uuid.uuid5(uuid.UUID(hex=TOKEN), "log.txt"))


@pytest.mark.parametrize(
    ("check", "name"),
    [
        (stored_names.study_uid, TOKEN),
        (stored_names.checkpoint_key, KEY),
        (stored_names.artifact_id, ID),
        (
            stored_names.artifact_id,
            "0b7a8e2c-3d5f-4a6b-9c1d-2e3f4a5b6c7d",
        ),  # as Optuna and its dashboard make them
    ],
)
def test_a_name_as_we_make_it_is_taken_and_every_other_refused(
    check: Callable[[object], str], name: str
) -> None:
    assert check(name) == name
    wrong = [
        None,
        7,
        True,
        [name],
        {"key": name},
        name.encode(),
        "",
        ".",
        "..",
        "/",
        f"/{name}",
        f"../{name}",
    ]
    wrong += [
        f"{name}/",
        f"{name}/..",
        f"x/{name}",
        f"{name}\n",
        f"{name}\0",
        f" {name}",
        name.upper(),
        name * 9,
    ]
    for found in wrong:
        with pytest.raises(ValueError, match=", and not "):
            check(found)


def test_the_refusal_of_a_name_is_one_short_line() -> None:
    with pytest.raises(ValueError, match="the uid is ") as refusal:
        stored_names.study_uid("\x1b]52;c;\n" * 1_000)
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) < 200


def test_a_file_is_inside_its_folder_or_nowhere(tmp_path: Path) -> None:
    assert stored_names.inside(tmp_path, KEY) == tmp_path / KEY
    for name in ("", ".", "..", "/etc/passwd", "a/b", "../a", "a\0"):
        with pytest.raises(OSError, match="it is no name of a file"):
            stored_names.inside(tmp_path, name)


@pytest.mark.parametrize("name", [KEY, f"{KEY}.tmp", f"{KEY}.{TOKEN[:16]}.tmp"])
def test_a_checkpoint_and_what_was_left_of_one_are_known_by_their_names(name: str) -> None:
    assert stored_names.is_of_a_checkpoint(name)
    assert not stored_names.is_of_a_checkpoint(f"{name}.bak")
    assert not stored_names.is_of_a_checkpoint("notes.txt")
