"""Weights and states that could not be kept are reported before, during and after the training."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_tune.files.checkpoints import Checkpoint
from mnist_tune.files.writable import check_folders
from mnist_tune.hardware.placement import Placement
from mnist_tune.jobs.mnist.network import MODEL_FILE
from mnist_tune.processes import fork_server
from mnist_tune.results.reading import read_results
from mnist_tune.results.unsaved_files import first_events
from mnist_tune.storage.named import ENVIRONMENT_VARIABLE
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.terminal.events import events
from mnist_tune.worker.pool import Pool
from mnist_tune.worker.trial import Trial
from tests.support.commands import Command
from tests.support.made_studies.epochs import made_epoch
from tests.support.mount_namespace import run_with_mounts
from tests.support.specs import TWO_CELLS, write_spec
from tests.support.studies import new_study, work
from tests.support.waiting import wait_until

NO_FOLDER = "File exists"
"""The system's error for a folder whose name belongs to a file."""
WITHOUT_ROOM = """
from pathlib import Path
from mnist_tune.files.writable import check_folders

try:
    with Path("disk/filler").open("wb", buffering=0) as sink:
        while True:
            sink.write(bytes(4096))
except OSError:
    pass
print(check_folders(Path("elsewhere"), Path("disk/artifacts")))
"""


def trains(trial: Trial) -> float:
    """A job that keeps weights."""
    trial.epoch_done(made_epoch(1, 50.0))
    trial.keep_file(MODEL_FILE, b"weights")
    return 50.0


@pytest.fixture
def finished(tmp_path: Path) -> OpenStudy:
    """A study of two cells whose weights could not be written."""
    (tmp_path / "artifacts").write_text("no folder")
    study = new_study(tmp_path, TWO_CELLS)
    work(study, trains)
    return study


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_stored(
    tmp_path: Path, command: Command
) -> None:
    (tmp_path / "file").touch()
    spec = str(write_spec(tmp_path))
    for option, kept in (("--artifacts", "weights and logs"), ("--checkpoints", "states to go on from")):
        answer = command("run", spec, option, str(tmp_path / "file"))
        said = f"mnist-tune: {option}: {tmp_path / 'file'} cannot keep {kept} (Not a directory); "
        assert (answer.code, answer.err) == (2, said + "name another folder\n")
    assert not (tmp_path / "studies.db").exists()


def test_a_worker_refuses_a_folder_that_cannot_be_written(tmp_path: Path, command: Command) -> None:
    new_study(tmp_path)
    (tmp_path / "file").touch()
    answer = command("worker", "tiny", "--artifacts", str(tmp_path / "file"))
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(
        f"mnist-tune: --artifacts: {tmp_path / 'file'} cannot keep weights and logs "
    )


def test_to_look_at_the_folders_leaves_nothing_behind(tmp_path: Path) -> None:
    assert check_folders(tmp_path / "a" / "checkpoints", tmp_path / "artifacts") == []
    assert list(tmp_path.iterdir()) == []


def test_a_folder_on_a_full_disk_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    answer = run_with_mounts("mount -t tmpfs -o size=64k none disk", WITHOUT_ROOM, tmp_path)
    says = "disk/artifacts: No space left on device: until there is room, no weights and logs are kept"
    assert answer.stdout == f"{[says]}\n", answer.stderr


def test_weights_that_could_not_be_kept_are_named_by_status(finished: OpenStudy, command: Command) -> None:
    answer = command("status", "tiny")
    assert f"warning: no weights were kept of trials 0, 1: {NO_FOLDER}" in answer.out.splitlines()
    assert answer.code == 0  # no cell is missing
    assert command("status", "tiny", "--json").json["trials"][0]["not_kept"] == {"weights": NO_FOLDER}


def test_a_run_that_could_not_keep_weights_says_so_and_exits_with_1(
    finished: OpenStudy, tmp_path: Path, command: Command
) -> None:
    answer = command("run", str(write_spec(tmp_path, TWO_CELLS)))
    assert f"warning: no weights were kept of trials 0, 1: {NO_FOLDER}" in answer.out.splitlines()
    assert "with 50.00 %" in answer.out  # the results are all there
    assert answer.code == 1


def test_a_worker_says_and_stores_at_once_what_it_could_not_keep(tmp_path: Path) -> None:
    (tmp_path / "artifacts").write_text("no folder")
    study = new_study(tmp_path, TWO_CELLS)
    before = read_results(study)
    lines: list[str] = []
    work(study, trains, log=lines.append, max_trials=1)
    assert f"trial 0: its weights could not be kept as an artifact: {NO_FOLDER}" in lines
    loss = f"trial 0: its weights could not be kept: {NO_FOLDER}"
    assert loss in list(events(before, read_results(study)))
    assert list(first_events(before.attempts, read_results(study).attempts)) == [loss]


def test_a_live_view_tells_a_loss_once_and_not_for_every_trial(finished: OpenStudy, tmp_path: Path) -> None:
    now = read_results(finished)
    assert [attempt.not_kept for attempt in now.attempts] == [{"weights": NO_FOLDER}] * 2
    before = read_results(finished)
    assert list(first_events(before.attempts, now.attempts)) == []
    before.attempts.clear()
    assert list(first_events(before.attempts, now.attempts)) == [
        f"trial 0: its weights could not be kept: {NO_FOLDER}"
    ]


def test_a_log_that_could_not_be_kept_is_no_loss_since_the_storage_has_it(tmp_path: Path) -> None:
    (tmp_path / "artifacts").write_text("no folder")
    study = new_study(tmp_path, TWO_CELLS)
    work(study, lambda _: 50.0)
    results = read_results(study, with_logs=True)
    assert results.without_weights == []
    assert "complete: validation accuracy 50.00 %" in (results.attempts[0].log or "")


def test_a_state_that_could_not_be_saved_is_told_until_one_is(tmp_path: Path) -> None:
    study = new_study(tmp_path, TWO_CELLS)
    warnings: list[list[str]] = []
    lines: list[str] = []

    def saves_nothing_at_first(trial: Trial) -> float:
        for number in (1, 2):
            trial.no_checkpoint("No space left on device")
            trial.epoch_done(made_epoch(number, 50.0))
            warnings.append(read_results(study).warnings)
        trial.epoch_done(made_epoch(3, 50.0), Checkpoint("1-a-3.pt", "0" * 64, 3))
        warnings.append(read_results(study).warnings)
        return 50.0

    work(study, saves_nothing_at_first, log=lines.append, max_trials=1)
    told = "no state to go on from was kept of trial 0: No space left on device"
    assert warnings == [[told], [told], []]
    assert lines.count("trial 0: no checkpoint was saved: No space left on device") == 1
    assert read_results(study).warnings == []


def test_a_run_whose_workers_have_no_room_for_what_they_say_tells_why_none_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fork_server, "begin", lambda _: None)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    pool = Pool("tiny", {ENVIRONMENT_VARIABLE: f"sqlite:///{tmp_path}/studies.db"})
    pool.start([Placement("cpu")])
    wait_until(lambda: not pool.is_alive())
    assert pool.failures() == ["a worker cannot be started: No such file or directory"]
    assert pool.exit_code() == 1
