"""A head whose disk is full: on a real file system of a megabyte or two."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.mount_namespace import run_with_mounts

KEEPS_FILES = """
import json
from pathlib import Path
from mnist_tune.contract.study import new_token
from mnist_tune.files.locations import Folder, Folders
from mnist_tune.serve.client import Head
from mnist_tune.serve.remote_study import RemoteStudy
from mnist_tune.serve.roles import Role
from mnist_tune.serve.room import Room
from tests.support.contract_calls import ME, taken
from tests.support.heads import running
from tests.support.specs import TWO_CELLS
from tests.support.studies import new_study, opened_again

here = Path.cwd()
study = new_study(here, TWO_CELLS)
places = Folders(Folder(here / "small/checkpoints"), Folder(here / "small/artifacts"))
with running(opened_again(study).storage, here, places, room=Room([], free_disk=0)) as head:
    worker = RemoteStudy(Head(head.address), "tiny", here / "spool")
    worker.register(ME)
    claim = taken(worker)
    worker.keep_files(claim, {"a": b"x" * 400_000})
    # The head looks first, so a full disk is met while a file arrives only if it fills up meanwhile.
    Room.reserved.__wrapped__.__globals__["shutil"].disk_usage = lambda folder: type("", (), {"free": 10**9})
    said = []
    for _ in range(2):
        try:
            worker.keep_files(claim, {"a": b"y" * 2_000_000})
        except OSError as error:
            said.append(str(error))
    files = [path for path in (here / "small").rglob("*") if path.is_file()]
    content = [path.read_bytes()[:2].decode() for path in files]
    worker.record(claim, {"user": {"environment": {}}})
    worker.complete(claim, 90.0, {})
    print(json.dumps([said, content, head.is_well(), [line for line in head.lines]]))
"""


@pytest.mark.slow
def test_a_file_for_which_the_disk_is_too_small_is_refused_and_the_old_one_stays(tmp_path: Path) -> None:
    mounts = "mkdir small\nmount -t tmpfs -o size=1M none small"
    done = run_with_mounts(mounts, KEEPS_FILES, tmp_path)
    assert done.stderr == ""
    assert done.stdout == '[["No space left on device", "No space left on device"], ["xx"], true, []]\n'


WITH_THE_DATABASE = """
import os
from pathlib import Path
from mnist_tune.contract.study import StorageAway
from mnist_tune.serve.client import Head
from mnist_tune.serve.remote_study import RemoteStudy
from tests.support.contract_calls import ME, taken
from tests.support.heads import running
from tests.support.specs import TWO_CELLS
from tests.support.studies import new_study, opened_again

small = Path.cwd() / "small"
study = new_study(small, TWO_CELLS)
with running(opened_again(study).storage, small) as head:
    worker = RemoteStudy(Head(head.address), "tiny", small / "spool")
    worker.register(ME)
    claim = taken(worker)
    filler = os.open(small / "filler", os.O_WRONLY | os.O_CREAT)
    try:
        while os.write(filler, bytes(1024)):
            pass
    except OSError as error:
        print(error.strerror)
    for _ in range(2):
        try:
            worker.record(claim, {"user": {"log": "x" * 100_000}})
        except StorageAway as error:
            print(error)
    os.truncate(small / "filler", 0)
    worker.record(claim, {"user": {"log": "x" * 100_000}})
    worker.complete(claim, 90.0, {})
    print(worker.standing(), head.lines)
"""


@pytest.mark.slow
def test_a_worker_waits_while_not_even_the_database_has_room(tmp_path: Path) -> None:
    mounts = "mkdir small\nmount -t tmpfs -o size=2M none small"
    done = run_with_mounts(mounts, WITH_THE_DATABASE, tmp_path)
    assert done.stderr == ""
    full = "database or disk is full\n"
    assert done.stdout == f"No space left on device\n{full}{full}Standing.OPEN []\n"
