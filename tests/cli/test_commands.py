"""The command line as a user meets it: what is said where, exit codes, and what bad inputs leave behind."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import typer

from mnist_tune import __version__
from mnist_tune.cli import app
from mnist_tune.failures import Failure
from mnist_tune.hardware.placement import Placement
from mnist_tune.jobs.mnist import raw_files
from mnist_tune.jobs.mnist.hyperparameters import TrainingConfig
from mnist_tune.results.exports import load_configuration
from mnist_tune.results.reading import read_results
from mnist_tune.storage.engine import ENVIRONMENT_VARIABLE, storage_url
from mnist_tune.storage.keys import ENVIRONMENT
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.store import open_study
from mnist_tune.text.wording import parameters_text
from mnist_tune.worker.pool import Pool
from tests.papers.command_reference import commands
from tests.support.commands import STORED, Answer, Command, run_command
from tests.support.process_tree import descendants
from tests.support.specs import ONE_CELL, TINY_SPEC, write_spec
from tests.support.studies import new_study, open_file

COMMANDS = [name.split()[1:] for name, _ in commands()]
CONFIGURATION = """
[training]
epochs = 1
precision = "fp32"

[data]
train_size = 200
validation_size = 100
"""


@dataclass(frozen=True)
class FinishedRun:
    """A folder with a study that `run` has finished, and what `run` said."""

    folder: Path
    run: subprocess.CompletedProcess[str]

    @property
    def storage(self) -> tuple[str, str]:
        return "--storage", f"sqlite:///{self.folder}/{STORED}"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, mnist_directory: Path) -> FinishedRun:
    """The tiny study, run by real workers, once for all tests that only look at it."""
    folder = tmp_path_factory.mktemp("finished")
    spec = write_spec(folder)
    return FinishedRun(folder, run_command("run", str(spec), "--workers", "2", "--json", folder=folder))


def database_content(folder: Path) -> list[str]:
    """Everything that is stored in the folder's database."""
    if not (folder / STORED).exists():
        return []
    with sqlite3.connect(folder / STORED) as connection:
        return list(connection.iterdump())


def files_in(folder: Path) -> list[Path]:
    """Everything that lies in the folder but SQLite's own companions of an open database."""
    return sorted(path for path in folder.rglob("*") if not path.name.endswith(("-wal", "-shm")))


def complete_next_cell(study: OpenStudy, value: float, **environment: Any) -> None:
    """End the next cell with this value, as run on this environment."""
    queue = study.queue()
    claim = queue.claim("worker")
    assert claim is not None
    study.storage.set_trial_user_attr(claim.trial_id, ENVIRONMENT, environment)
    queue.complete(claim, value)


def fail_all_cells(study: OpenStudy, reason: str) -> None:
    """Fail every waiting cell, until its budget is spent."""
    queue = study.queue()
    while claim := queue.claim("worker"):
        queue.give_back(claim, Failure("non_finite", reason))


# create-study, studies, copy-study, delete-study


def test_create_study_again_changes_nothing_and_says_so(tmp_path: Path, command: Command) -> None:
    spec = write_spec(tmp_path)
    first = command("create-study", str(spec))
    stored = database_content(tmp_path)
    again = command("create-study", str(spec))
    assert (first.code, first.err, again.code, again.err) == (0, "", 0, "")
    assert first.out.startswith(f"created study 'tiny' with 8 cells in sqlite:///{tmp_path}/{STORED}\n")
    assert "mnist-tune worker tiny" in first.out
    assert "already, with the same spec" in again.out
    assert database_content(tmp_path) == stored


def test_create_study_under_another_name_is_another_study(tmp_path: Path, command: Command) -> None:
    spec = str(write_spec(tmp_path))
    command("create-study", spec)
    assert command("create-study", spec, "--name", "second").code == 0
    assert [study["study"] for study in command("studies", "--json").json] == ["tiny", "second"]


def test_create_study_answers_in_json_too(tmp_path: Path, command: Command) -> None:
    spec = str(write_spec(tmp_path))
    answers = [command("create-study", spec, "--json").json for _ in range(2)]
    expected = {"study": "tiny", "cells": 8, "reused": 0, "storage": f"sqlite:///{tmp_path}/{STORED}"}
    expected["notes"] = []
    assert answers == [expected | {"created": True}, expected | {"created": False}]


def test_studies_lists_what_the_storage_holds_with_its_progress(tmp_path: Path, command: Command) -> None:
    complete_next_cell(new_study(tmp_path), 97.5)
    assert command("studies").out == "tiny: 1/8 cells, 7 waiting, best so far 97.50 % (trial 0)\n"
    (listed,) = command("studies", "--json").json
    assert (listed["study"], listed["cells"]["complete"], listed["best"]["value"]) == ("tiny", 1, 97.5)


def test_studies_of_an_empty_storage_says_how_to_make_one(tmp_path: Path, command: Command) -> None:
    open_file(tmp_path, create=True)
    answer = command("studies")
    assert (answer.code, answer.out) == (0, "no studies; make one with: mnist-tune create-study SPEC\n")
    assert command("studies", "--json").json == []


def test_copy_study_says_what_was_put_back_and_how_to_go_on(tmp_path: Path, command: Command) -> None:
    assert new_study(tmp_path).queue().claim("worker") is not None
    answer = command("copy-study", "tiny", "--to", f"sqlite:///{tmp_path}/copy.db")
    assert answer.out == (
        "copied study 'tiny' (8 trials, 1 of them put back since they were running) "
        f"from sqlite:///{tmp_path}/{STORED} to sqlite:///{tmp_path}/copy.db\n"
        "start its workers with: mnist-tune worker tiny and the new --storage\n"
    )
    assert (answer.code, answer.err) == (0, "")


def test_copy_study_answers_in_json_too_and_copies_back(tmp_path: Path, command: Command) -> None:
    new_study(tmp_path)
    here, there = f"sqlite:///{tmp_path}/{STORED}", f"sqlite:///{tmp_path}/copy.db"
    assert command("copy-study", "tiny", "--to", there).code == 0
    answer = command("copy-study", "tiny", "--from", there, "--to", here, "--name", "again", "--json")
    copied = {"study": "tiny", "from": there, "to": here, "name": "again", "trials": 8, "put_back": 0}
    assert answer.json == copied | {"files": 0, "missing": 0}
    assert command("status", "again", "--json").json["cells"]["waiting"] == 8


def test_delete_study_asks_and_a_no_changes_nothing(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_study(tmp_path)
    stored = database_content(tmp_path)
    for reply in ("n\n", "\n", ""):
        monkeypatch.setattr(sys, "stdin", io.StringIO(reply))
        answer = command("delete-study", "tiny")
        assert answer.code == 1
        assert "Delete study 'tiny' with all its trials?" in answer.out + answer.err
        assert database_content(tmp_path) == stored


def test_delete_study_deletes_after_a_yes(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_study(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert command("delete-study", "tiny").code == 0
    assert command("studies", "--json").json == []


def test_delete_study_does_not_ask_with_yes(tmp_path: Path, command: Command) -> None:
    spec = str(write_spec(tmp_path))
    command("create-study", spec)
    assert command("delete-study", "tiny", "--yes") == Answer(0, "deleted study 'tiny'\n", "")
    assert "created" in command("create-study", spec).out


# status


def test_status_of_a_new_study_in_json(tmp_path: Path, command: Command) -> None:
    new_study(tmp_path)
    status = command("status", "tiny", "--json").json
    assert {"study", "cells", "best", "trials"} <= status.keys()
    assert status["study"] == "tiny"
    assert status["cells"] == {
        "total": 8,
        "waiting": 8,
        "running": 0,
        "complete": 0,
        "pruned": 0,
        "failed": 0,
    }
    assert status["best"] is None
    assert [trial["state"] for trial in status["trials"]] == ["waiting"] * 8
    assert status["trials"][0]["parameters"].keys() == {"learning_rate", "batch_size", "optimizer"}


def test_status_of_a_finished_study_names_the_winner_and_how_to_export_it(finished: FinishedRun) -> None:
    answer = run_command("status", "tiny", folder=finished.folder)
    best = read_results(open_study(open_file(finished.folder), "tiny")).best
    assert best is not None
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "tiny: 8/8 cells" in answer.stdout
    assert f"with {best.mean:.2f} % (trial {best.first.number})" in answer.stdout
    assert "mnist-tune export tiny --output best.toml" in answer.stdout
    assert not re.search(r"[^\n -~✓✗▶·✂▁▂▃▄▅▆▇█±]", answer.stdout), "control or odd characters"


def test_what_real_workers_stored_keeps_every_promise(finished: FinishedRun, command: Command) -> None:
    answer = command("verify", "tiny", *finished.storage, "--json")
    assert answer.code == 0
    assert answer.json["verdict"] == ("study 'tiny' keeps every promise: 8 cells (8 complete), 8 attempts")
    checked = {check["check"]: check["checked"] for check in answer.json["checks"]}
    assert checked["histories"] == checked["reports"] == checked["files"] == 8
    assert not any(check["findings"] for check in answer.json["checks"])


def test_status_writes_nothing(finished: FinishedRun) -> None:
    with sqlite3.connect(finished.folder / STORED) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content, before = (finished.folder / STORED).read_bytes(), database_content(finished.folder)
    run_command("status", "tiny", "--json", folder=finished.folder)
    assert (finished.folder / STORED).read_bytes() == content
    assert database_content(finished.folder) == before


def test_status_exits_with_1_when_a_finished_study_lacks_cells_and_names_them(
    tmp_path: Path, command: Command
) -> None:
    study = new_study(tmp_path)
    for value in range(7):
        complete_next_cell(study, 90.0 + value)
    fail_all_cells(study, "training loss is nan in epoch 1")
    answer = command("status", "tiny")
    (hole,) = read_results(study).holes
    missing = f"missing: cell 7 ({parameters_text(hole.parameters)}) failed for good: training loss is nan"
    assert answer.code == 1
    assert missing in answer.out
    assert command("status", "tiny", "--json").code == 1


def test_a_worker_on_a_study_that_ended_with_cells_missing_says_so_and_exits_with_1(
    tmp_path: Path, command: Command, mnist_directory: Path
) -> None:
    fail_all_cells(new_study(tmp_path), "training loss is nan in epoch 1")
    answer = command("worker", "tiny", "--data-dir", str(mnist_directory))
    assert (answer.code, answer.err) == (1, "")
    assert "cells are missing: see mnist-tune status tiny" in answer.out


def test_status_exits_with_0_while_cells_that_failed_wait_again(tmp_path: Path, command: Command) -> None:
    study = new_study(tmp_path)
    claim = study.queue().claim("worker")
    assert claim is not None
    study.queue().give_back(claim, Failure("exception", "it broke"))
    answer = command("status", "tiny")
    assert answer.code == 0
    assert "exception: it broke" in answer.out


@pytest.mark.parametrize("reason", ["[/tmp/x] is full", "list[int] of [red]apples[/red]", ":smile: [bold]"])
def test_status_shows_a_reason_with_brackets_as_it_is(tmp_path: Path, command: Command, reason: str) -> None:
    fail_all_cells(new_study(tmp_path), reason)
    answer = command("status", "tiny")
    assert (answer.code, answer.err) == (1, "")
    assert answer.out.count(reason) >= 8, answer.out


def test_status_passes_no_escape_sequence_of_a_stored_reason_on(tmp_path: Path, command: Command) -> None:
    fail_all_cells(new_study(tmp_path), "\x1b]0;title\x07\x1b[31mred")
    assert "\x1b" not in command("status", "tiny").out


def test_status_never_breaks_a_line_of_a_pipe(tmp_path: Path, command: Command) -> None:
    reason = "word " * 20 + "end"
    fail_all_cells(new_study(tmp_path), reason)
    assert command("status", "tiny").out.count(reason) >= 8


@pytest.mark.parametrize(
    ("key", "one", "other"),
    [("precision", "bf16", "fp32"), ("threads", 1, 4), ("device_name", "Fast GPU", "Slow CPU")],
)
def test_status_warns_when_cells_ran_on_different_grounds(
    tmp_path: Path, command: Command, key: str, one: object, other: object
) -> None:
    study = new_study(tmp_path)
    complete_next_cell(study, 90.0, **{key: one})
    assert "warning" not in command("status", "tiny").out
    complete_next_cell(study, 91.0, **{key: other})
    warning = f"cells differ in {key} ({one}, {other})"
    assert f"warning: {warning}" in command("status", "tiny").out
    (in_json,) = command("status", "tiny", "--json").json["warnings"]
    assert in_json.startswith(warning)


# run and export


def test_run_prints_the_results_as_json_and_tells_people_on_stderr(finished: FinishedRun) -> None:
    assert finished.run.returncode == 0, finished.run.stderr
    results = json.loads(finished.run.stdout)
    assert results["cells"]["complete"] == len(results["trials"]) == 8
    assert "study 'tiny' created in sqlite:///" in finished.run.stderr
    assert "validation accuracy" in finished.run.stderr
    assert "\x1b" not in finished.run.stderr


def test_run_of_a_finished_study_says_so_and_prints_the_ranking_again(finished: FinishedRun) -> None:
    again = run_command("run", str(finished.folder / "spec.toml"), folder=finished.folder)
    assert (again.returncode, again.stderr) == (0, "")
    first = again.stdout.splitlines()[0]
    assert first.startswith("study 'tiny' is finished already in sqlite:///")
    assert first.endswith(": all of its 8 cells have ended")
    assert "workers" not in again.stdout
    assert "validation accuracy" in again.stdout


def test_one_cell_and_one_worker_are_one(tmp_path: Path, command: Command, mnist_directory: Path) -> None:
    spec = write_spec(tmp_path, ONE_CELL + "[training]\nepochs = 1\n[data]\ntrain_size = 100\n")
    created = command("create-study", str(spec))
    assert created.out.startswith("created study 'tiny' with 1 cell in ")
    ran = run_command("run", str(spec), folder=tmp_path)
    assert ran.returncode == 0, ran
    assert ran.stdout.splitlines()[0].endswith(": 1 cell, 1 worker")
    assert command("studies").out.startswith("tiny: 1/1 cell, best ")


@pytest.mark.parametrize("format_", ["toml", "json", "yaml"])
def test_every_format_of_an_export_reads_back_as_the_same_configuration(
    tmp_path: Path, command: Command, finished: FinishedRun, format_: str
) -> None:
    results = read_results(open_study(open_file(finished.folder), "tiny"))
    assert results.best is not None
    printed = command("export", "tiny", *finished.storage, "--format", format_)
    path = tmp_path / f"best.{format_}"
    written = command("export", "tiny", *finished.storage, "--output", str(path))
    assert (printed.code, printed.err, written.code, written.err) == (0, "", 0, "")
    assert f"mnist-tune train {path}" in written.out
    assert path.read_text(encoding="utf-8") == printed.out
    configuration = load_configuration(path)
    assert configuration.training.model_dump() == {
        **TrainingConfig().model_dump(),
        **results.best.parameters,
        "epochs": 2,
        "seed": 0,
        "precision": "fp32",
    }
    assert configuration.data == results.spec.data
    assert configuration.origin["study"] == "tiny"
    assert configuration.origin["trial"] == results.best.first.number
    assert configuration.origin["validation_accuracy"] == results.best.mean
    assert configuration.origin["storage"] == f"sqlite:///{finished.folder}/{STORED}"
    assert configuration.origin["environment"]["threads"] == 1


def test_the_format_option_wins_over_the_suffix(
    tmp_path: Path, command: Command, finished: FinishedRun
) -> None:
    path = tmp_path / "best.txt"
    command("export", "tiny", *finished.storage, "--output", str(path), "--format", "json")
    assert json.loads(path.read_text(encoding="utf-8"))["origin"]["study"] == "tiny"


def test_an_export_into_a_missing_folder_is_refused(
    tmp_path: Path, command: Command, finished: FinishedRun
) -> None:
    answer = command("export", "tiny", *finished.storage, "--output", "nowhere/best.toml")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("mnist-tune: nowhere/best.toml: cannot be written: ")
    assert files_in(tmp_path) == []


# train and evaluate


def test_a_study_ends_in_a_model_that_is_measured_on_the_test_images(
    tmp_path: Path, command: Command, finished: FinishedRun
) -> None:
    command("export", "tiny", *finished.storage, "--output", "best.toml")
    trained = command("train", "best.toml", "--split", "--output", "out", "--seed", "5")
    assert (trained.code, trained.err) == (0, "")
    assert len(trained.out.splitlines()) == 3
    assert "mnist-tune evaluate out" in trained.out
    assert load_configuration(tmp_path / "out" / "config.toml").training.seed == 5
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text(encoding="utf-8"))
    assert (metrics["images"], len(metrics["history"])) == (200, 2)

    content = (tmp_path / "out" / "model.safetensors").read_bytes()
    again = command("train", "best.toml", "--split", "--output", "out")
    assert (again.code, again.out) == (2, "")
    assert "exists; name another folder with --output" in again.err
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == content

    answer = command("evaluate", "out", "--json")
    assert (answer.code, answer.err) == (0, "")
    measured = answer.json
    assert measured["n_images"] == 10_000
    assert len(measured["per_class_accuracy"]) == len(measured["confusion_matrix"]) == 10
    assert {len(row) for row in measured["confusion_matrix"]} == {10}
    assert sum(map(sum, measured["confusion_matrix"])) == 10_000
    right = sum(measured["confusion_matrix"][digit][digit] for digit in range(10))
    assert measured["accuracy"] == pytest.approx(right / 100)
    said = command("evaluate", "out").out
    assert f"test accuracy {measured['accuracy']:.2f} % on 10,000 images" in said


def test_the_same_config_and_seed_give_the_same_model(tmp_path: Path, command: Command) -> None:
    write_spec(tmp_path, CONFIGURATION, "config.toml")
    for folder, seed in (("one", "1"), ("same", "1"), ("other", "2")):
        assert command("train", "config.toml", "--split", "--seed", seed, "--output", folder).code == 0
    one, same, other = (
        (tmp_path / folder / "model.safetensors").read_bytes() for folder in ("one", "same", "other")
    )
    assert one == same
    assert one != other


def test_without_output_the_folder_is_named_after_config_and_seed(tmp_path: Path, command: Command) -> None:
    write_spec(tmp_path, CONFIGURATION, "config.toml")
    assert command("train", "config.toml", "--split", "--seed", "3").code == 0
    assert (tmp_path / "models" / "config-seed-3" / "model.safetensors").is_file()


def test_a_training_that_is_stopped_exits_with_3_and_saves_no_model(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mnist_tune.worker.signals import StopRequest

    def listen(stop: StopRequest) -> None:
        stop._on_signal(signal.SIGTERM, None)  # as if it came before the first batch

    monkeypatch.setattr(StopRequest, "listen", listen)
    write_spec(tmp_path, CONFIGURATION, "config.toml")
    (tmp_path / "mine").mkdir()
    for output in ("out", "made/for/it", "mine"):
        answer = command("train", "config.toml", "--split", "--output", output)
        assert (answer.code, answer.out) == (3, "")
        assert "no model was saved" in answer.err
    # What was made for it is taken back, and a folder that was there stays.
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["mine"]
    assert not (tmp_path / "out" / "model.safetensors").exists()


def test_an_exported_configuration_trains_to_its_trials_own_numbers(
    tmp_path: Path, command: Command, finished: FinishedRun
) -> None:
    command("export", "tiny", *finished.storage, "--output", "best.toml")
    assert command("train", "best.toml", "--split", "--output", "again").code == 0
    status = json.loads(finished.run.stdout)
    (best,) = [trial for trial in status["trials"] if trial["number"] == status["best"]["trial"]]
    again = json.loads((tmp_path / "again" / "metrics.json").read_text(encoding="utf-8"))["history"]
    measured = ("epoch", "training_loss", "validation_loss", "validation_accuracy")
    for theirs, ours in zip(best["history"], again, strict=True):
        assert [ours[key] for key in measured] == [theirs[key] for key in measured]


# data check, --version, --help, --debug


def test_data_check_of_whole_data(command: Command, mnist_directory: Path) -> None:
    answer = command("data", "check")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[0] == f"data directory: {mnist_directory}"
    assert answer.out.count(": 47,040,016 bytes, ok") == 1
    assert [file["status"] for file in command("data", "check", "--json").json["files"]] == ["ok"] * 4


def test_data_check_of_a_corrupt_file_names_it_and_exits_with_1(
    tmp_path: Path, command: Command, mnist_directory: Path
) -> None:
    answer = command("data", "check", "--data-dir", str(truncated_data(tmp_path, mnist_directory)))
    assert answer.code == 1
    assert "train-labels-idx1-ubyte: 59,908 bytes, truncated: 59,908 of 60,008 bytes" in answer.out
    assert answer.out.count(", ok, ") == 3


def test_data_check_of_an_empty_folder_downloads_nothing(tmp_path: Path, command: Command) -> None:
    answer = command("data", "check", "--data-dir", str(tmp_path / "nothing"))
    assert answer.code == 0  # nothing is wrong yet: the first use unpacks them
    assert answer.out.count(": missing") == 4
    assert files_in(tmp_path) == []


def truncated_data(folder: Path, whole: Path) -> Path:
    """MNIST with the end of one file missing."""
    raw = folder / "truncated" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for file in raw_files.FILES:
        source = raw_files.raw_path(whole, file)
        if file.name.startswith("train-labels"):
            (raw / file.name).write_bytes(source.read_bytes()[:-100])
        else:
            (raw / file.name).symlink_to(source)
    return folder / "truncated"


def test_the_version_is_the_packages(command: Command) -> None:
    assert command("--version") == Answer(0, f"mnist-tune {__version__}\n", "")


def test_help_lists_every_command(command: Command) -> None:
    registered = typer.main.get_command(app)
    assert set(registered.commands) == {names[0] for names in COMMANDS}  # type: ignore[attr-defined]
    answer = command("--help")
    assert answer.code == 0
    for name in registered.commands:  # type: ignore[attr-defined]
        assert re.search(rf"^\W*{name} ", answer.out, re.MULTILINE), name


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_the_help_of_every_command_has_an_example(command: Command, names: list[str]) -> None:
    answer = command(*names, "--help")
    assert answer.code == 0
    assert f"Example: mnist-tune {' '.join(names)}" in answer.out


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    new_study(tmp_path)
    answer = run_command("--debug", "status", "tinny", folder=tmp_path)
    assert answer.returncode == 2
    assert answer.stderr.startswith("Traceback (most recent call last)")
    assert "UserError: no study 'tinny'" in answer.stderr


def test_commands_that_only_look_do_not_wait_for_torch(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    for _ in range(8):
        complete_next_cell(study, 90.0)
    script = """
import sys
import time
from mnist_tune.__main__ import main
for line in sys.argv[1:]:
    sys.argv = ["mnist-tune", *line.split()]
    try:
        main()
    except SystemExit as leaving:
        assert not leaving.code, line
    heavy = {"torch", "torchvision"} | ({"optuna", "sqlalchemy"} if "--help" in line else set())
    assert not heavy & sys.modules.keys(), (line, heavy & sys.modules.keys())
"""
    reading = ["studies", "status tiny", "export tiny", "logs tiny"]
    lines = ["--help", "worker --help", "create-study spec.toml", *reading]
    environment = {ENVIRONMENT_VARIABLE: f"sqlite:///{tmp_path}/{STORED}", "PATH": ""}
    answer = subprocess.run(
        [sys.executable, "-c", script, *lines],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (answer.returncode, answer.stderr) == (0, "")


# Bad inputs


class Bomb:
    """Makes a file when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("exploded"),)


@pytest.fixture(scope="module")
def litter(tmp_path_factory: pytest.TempPathFactory, mnist_directory: Path) -> Path:
    """A study, of which no cell was run, and everything that may be named by mistake."""
    folder = tmp_path_factory.mktemp("litter")
    study = new_study(folder)
    study.storage.remove_session()
    study.storage.engine.dispose()
    write_spec(folder, TINY_SPEC.replace("[study]", "[study"), "broken.toml")
    write_spec(folder, TINY_SPEC.replace("epochs", "epoch"), "misspelt.toml")
    write_spec(folder, TINY_SPEC.replace("epochs = 2", "epochs = 3"), "differing.toml")
    write_spec(folder, CONFIGURATION, "config.toml")
    write_spec(folder, CONFIGURATION.replace("epochs", "epoch"), "misspelt-config.toml")
    (folder / "bomb.pt").write_bytes(pickle.dumps(Bomb()))
    torch.save(Bomb(), folder / "zipped-bomb.pt")
    (folder / "empty-folder").mkdir()
    truncated_data(folder, mnist_directory)
    return folder


@pytest.fixture
def littered(tmp_path: Path, litter: Path) -> Path:
    """A folder of the test's own with all of that."""
    return shutil.copytree(litter, tmp_path, symlinks=True, dirs_exist_ok=True)


SERVER = "--storage postgresql://user:secret@127.0.0.1:1/x"
BAD_INPUTS = [
    ("create-study nothing.toml", "nothing.toml: no such file"),
    ("run nothing.toml", "nothing.toml: no such file"),
    ("create-study broken.toml", "broken.toml: is not valid TOML"),
    ("run broken.toml", "broken.toml: is not valid TOML"),
    ("create-study misspelt.toml", "misspelt.toml: training.epoch: unknown key; did you mean 'epochs'?"),
    ("run misspelt.toml", "misspelt.toml: training.epoch: unknown key; did you mean 'epochs'?"),
    (
        "create-study differing.toml",
        "study 'tiny' exists with another spec: training.epochs is 2 there and 3",
    ),
    ("run differing.toml", "study 'tiny' exists with another spec: training.epochs is 2 there and 3"),
    ("create-study spec.toml --name a/b", "--name: name: 'a/b' is not allowed"),
    ("create-study bomb.pt", "bomb.pt: is not a text file"),
    ("create-study empty-folder", "empty-folder: is a folder"),
    ("status tinny", "no study 'tinny' in this storage; did you mean 'tiny'?"),
    ("worker tinny", "no study 'tinny' in this storage; did you mean 'tiny'?"),
    ("export tinny", "no study 'tinny' in this storage; did you mean 'tiny'?"),
    ("delete-study tinny --yes", "no study 'tinny' in this storage; did you mean 'tiny'?"),
    ("copy-study tinny --to sqlite:///new.db", "no study 'tinny' in this storage; did you mean 'tiny'?"),
    ("copy-study tiny --from sqlite:///mistyped.db --to sqlite:///new.db", "mistyped.db: no such file"),
    ("copy-study tiny --to sqlite:///studies.db", "studies.db: has a study 'tiny' already; give the copy"),
    ("copy-study tiny --to sqlite:///new.db --name a/b", "--name: name: 'a/b' is not allowed"),
    ("copy-study tiny --to sqlite:///config.toml", "config.toml: is not an SQLite database"),
    ("copy-study tiny --to sqlite:///nowhere/x.db", "nowhere does not exist; create it first"),
    ("copy-study tiny --to mysql://user:secret@127.0.0.1/x", "--to: mysql:// is not supported; write sqlite"),
    (f"copy-study tiny {SERVER} --to sqlite:///new.db", "user:***@127.0.0.1:1/x: cannot be used"),
    (f"copy-study tiny {SERVER.replace('storage', 'to')}", "postgresql://user:***@127.0.0.1:1/x: cannot be"),
    ("export tiny", "study 'tiny' has no complete trial yet; run 'mnist-tune worker tiny' first"),
    ("status tiny --storage sqlite:///mistyped.db", "sqlite:///mistyped.db: no such file"),
    ("worker tiny --storage sqlite:///mistyped.db", "sqlite:///mistyped.db: no such file"),
    ("export tiny --storage sqlite:///mistyped.db", "sqlite:///mistyped.db: no such file"),
    ("studies --storage sqlite:///mistyped.db", "sqlite:///mistyped.db: no such file"),
    ("delete-study tiny --yes --storage sqlite:///mistyped.db", "sqlite:///mistyped.db: no such file"),
    ("create-study spec.toml --storage sqlite:///nowhere/x.db", "nowhere does not exist; create it first"),
    ("status tiny --storage sqlite:///config.toml", "config.toml: is not an SQLite database"),
    ("create-study spec.toml --storage sqlite:///config.toml", "config.toml: is not an SQLite database"),
    ("status tiny --storage sqlite:///empty-folder", "sqlite:///empty-folder: "),
    ("create-study spec.toml --storage sqlite:///empty-folder", "sqlite:///empty-folder: "),
    (f"status tiny {SERVER}", "postgresql://user:***@127.0.0.1:1/x: cannot be used: "),
    (f"create-study spec.toml {SERVER}", "postgresql://user:***@127.0.0.1:1/x: cannot be used: "),
    (f"run spec.toml {SERVER}", "postgresql://user:***@127.0.0.1:1/x: cannot be used: "),
    (f"worker tiny {SERVER}", "postgresql://user:***@127.0.0.1:1/x: cannot be used: "),
    ("studies --storage mysql://user:secret@127.0.0.1/x", "mysql:// is not supported; write sqlite:///FILE"),
    ("studies --storage postgresql:/user:secret@127.0.0.1", "--storage: is not a database URL; write sqlite"),
    (
        "studies --storage postgresql://user:secret@host:port/x",
        "--storage: is not a database URL; write sqlite",
    ),
    ("studies --storage sqlite:///:memory:", "--storage: workers share a file, not memory"),
    ("run spec.toml --storage sqlite:///new.db --data-dir truncated", "train-labels-idx1-ubyte: truncated"),
    ("worker tiny --data-dir truncated", "train-labels-idx1-ubyte: truncated: 59,908 of 60,008 bytes"),
    pytest.param(
        *("train config.toml --output out --data-dir truncated", "train-labels-idx1-ubyte: truncated"),
    ),
    ("worker tiny --device tpu", "device 'tpu' is not there; write auto or one of: "),
    pytest.param(
        *("run spec.toml --storage sqlite:///new.db --device tpu", "device 'tpu' is not there; write auto"),
    ),
    pytest.param(
        *("train config.toml --output out --device tpu", "device 'tpu' is not there; write auto or one of: "),
    ),
    ("train config.toml --output out --seed 4294967296", "--seed: seed: should be less than 4294967296"),
    ("run spec.toml --artifacts config.toml", "config.toml cannot keep weights and logs (Not a directory); "),
    (
        "worker tiny --checkpoints config.toml",
        "config.toml cannot keep states to go on from (Not a directory",
    ),
    ("train spec.toml", "spec.toml: is a study's spec; train takes one configuration"),
    ("train nothing.toml", "nothing.toml: no such file"),
    ("train broken.toml", "broken.toml: is"),
    ("train misspelt-config.toml", "training.epoch: unknown key; did you mean 'epochs'?"),
    ("train config.toml --output config.toml", "config.toml: cannot be made"),
    ("evaluate nothing", "nothing: no such file"),
    ("evaluate empty-folder", "no such file"),
    ("evaluate config.toml", "config.toml: not a safetensors file, or a damaged one"),
    ("evaluate bomb.pt", "bomb.pt: a pickle"),
    ("evaluate zipped-bomb.pt", "zipped-bomb.pt: a pickle"),
]


@pytest.mark.parametrize(("line", "answer"), BAD_INPUTS)
def test_a_bad_input_gets_one_line_and_changes_nothing(
    littered: Path, command: Command, line: str, answer: str
) -> None:
    lying, stored = files_in(littered), database_content(littered)
    said = command(*line.split())
    assert (said.code, said.out) == (2, ""), said.err
    assert said.err.startswith("mnist-tune: ")
    assert said.err.count("\n") == 1
    assert answer in said.err
    assert "secret" not in said.err
    assert files_in(littered) == lying
    assert database_content(littered) == stored


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (
            "export tiny --format xml",
            "export: invalid value for '--format': 'xml' is not one of 'toml'",
        ),
        (
            "copy-study tiny",
            "copy-study: missing option '--to'; 'mnist-tune copy-study --help' shows",
        ),
        ("worker", "worker: missing argument 'STUDY'; 'mnist-tune worker --help' shows what there is"),
        (
            "worker tiny --max-trials 0",
            "worker: invalid value for '--max-trials': should be greater",
        ),
        (
            "worker tiny --threads 0",
            "worker: invalid value for '--threads': should be greater",
        ),
        ("run spec.toml --workers none", "run: invalid value for '--workers': should be a valid integer"),
        (
            "train config.toml --seed -1",
            "train: invalid value for '--seed': should be greater",
        ),
        ("nonsense", "no such command 'nonsense'; 'mnist-tune --help' shows what there is"),
        ("staus tiny", "no such command 'staus'; did you mean 'status', 'studies', 'pause'?"),
        ("data chek", "data: no such command 'chek'; did you mean 'check'?"),
        ("status tiny --storag x", "status: no such option: --storag; did you mean --storage?"),
        ("status tiny --storage", "option '--storage' requires an argument"),
        (
            "--storage x status tiny",
            "no such option: --storage; write it after the command: mnist-tune",
        ),
        ("status tiny tiny", "status: got unexpected extra argument(s) (tiny); 'mnist-tune status --help'"),
    ],
)
def test_a_wrong_use_of_the_command_line_gets_one_line_too(
    littered: Path, command: Command, line: str, answer: str
) -> None:
    lying, stored = files_in(littered), database_content(littered)
    said = command(*line.split())
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"mnist-tune: {answer}")
    assert said.err.count("\n") == 1
    assert (files_in(littered), database_content(littered)) == (lying, stored)


def test_the_argv_of_a_pools_workers_has_no_url(tmp_path: Path) -> None:
    open_file(tmp_path, create=True)
    pool = Pool("nothing", storage_url(f"sqlite:///{tmp_path}/{STORED}"))
    pool.start([Placement("cpu"), Placement("cpu")])
    seen = set()
    while pool.is_alive():  # all of them, the fork server as well
        ours = ",".join(map(str, descendants(os.getpid())))
        listed = subprocess.run(
            ["ps", "-ww", "-o", "pid=,args=", "-p", ours], capture_output=True, text=True, check=False
        ).stdout
        seen |= {line for line in listed.splitlines() if "mnist" in line}
        time.sleep(0.01)
    workers = {
        line.split()[0] for line in seen if f"worker nothing --pooled {__version__} --device cpu" in line
    }
    assert len(workers) == 2
    listed = "\n".join(seen)
    assert "fork-server" in listed
    assert "sqlite" not in listed
    # They had the URL all the same: they looked for the study there.
    assert ["no study 'nothing' in this storage" in failure for failure in pool.failures()] == [True, True]
