"""What a command is called with: its arguments, its environment, its signals; and what its source is."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import pytest

from mnist_tune.jobs.command.arguments import environment_of, filled_in
from mnist_tune.jobs.command.permitted import source_in
from mnist_tune.jobs.command.table import CommandTable
from tests.support.command_jobs import command_job, one_cell, results_in, run


def test_the_command_gets_its_parameters_its_paths_and_no_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MNIST_TUNE_STORAGE", "postgresql://me:secret@host/studies")
    monkeypatch.setenv("PGPASSWORD", "secret")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    paths = {"report": tmp_path / "report", "checkpoints": tmp_path / "checkpoints"}
    known = {"rate": 1e-05, "name": "a b", "nesterov": True, "epochs": 3}
    assert filled_in(["{args}", "--x={rate}", '{"a": {"b": 1}}', "{checkpoints}/x"], known, paths) == [
        "--rate=1e-05",
        "--name=a b",
        "--nesterov=true",
        "--epochs=3",
        "--x=1e-05",
        '{"a": {"b": 1}}',
        f"{tmp_path}/checkpoints/x",
    ]
    environment = environment_of(paths, "cuda:1", 2)
    assert "secret" not in json.dumps(environment)
    assert environment["MNIST_TUNE_REPORT"] == str(tmp_path / "report")
    assert (environment["CUDA_VISIBLE_DEVICES"], environment["MNIST_TUNE_DEVICE"]) == ("7", "cuda")
    assert environment_of(paths, "cpu", 2)["CUDA_VISIBLE_DEVICES"] == ""


def test_the_source_of_a_command_is_its_script(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / "train.py").write_text(f"# {folder.name}", encoding="utf-8")
    (inside / "run.sh").write_text("#!/bin/sh", encoding="utf-8")

    def source(*command: str) -> str | None:
        table = CommandTable(command=list(command), objective="error", direction="minimize")
        return source_in(table, inside).sha256

    script = hashlib.sha256(b"# inside").hexdigest()
    assert source("python", "train.py", "{args}") == script
    assert source(sys.executable, "-u", "train.py") == script
    assert source("python", "../outside/train.py") == hashlib.sha256(b"# outside").hexdigest()
    assert source("./run.sh", "train.py") == hashlib.sha256(b"#!/bin/sh").hexdigest()
    assert source("bash", "-c", "x" * 1_000) is None  # longer than a file's name


def test_the_command_does_not_ignore_signals(tmp_path: Path) -> None:
    script = """
import json, os
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
masks = {name: int(status[name], 16) & 0x4003 for name in ("SigIgn", "SigBlk")}
with open(os.environ["MNIST_TUNE_REPORT"], "w") as report:
    print(json.dumps({"error": sum(masks.values())}), file=report)
"""
    spec = one_cell().replace(', "{args}"', "").replace("epochs = 3", "epochs = 1")
    run(command_job(tmp_path, script, spec), tmp_path)
    assert [attempt.value for attempt in results_in(tmp_path).complete] == [0.0]
