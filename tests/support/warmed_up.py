"""A fork server that imports this has done once what each of its children would do again: see `made_once`.

It makes a study, runs it, and reads it, in a folder that is then deleted.
"""

from __future__ import annotations

import gc
import io
import os
import tempfile
from contextlib import redirect_stdout, suppress
from pathlib import Path

import pytest

from mnist_tune.cli import app
from tests.support.made_once import keep_what_is_made_once
from tests.support.settling_studies import CLEAR, made_value, run_through, worker_of
from tests.support.specs import TINY_SPEC, write_spec
from tests.support.studies import new_study, opened_file

SEEDS = TINY_SPEC.replace("[training]", "seed = [0, 1]\n\n[training]")


def warm_up() -> None:
    """Do most of what commands and workers do."""
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.chdir(folder)
        try:
            _read(folder)
            _race(folder)
        finally:
            os.chdir(here)
    gc.collect()  # what is left of it has files open


def _read(folder: Path) -> None:
    url = f"sqlite:///{folder}/studies.db"
    _command("create-study", str(write_spec(folder, SEEDS)), "--storage", url)
    worker = worker_of(opened_file(folder / "studies.db", "tiny"), folder)
    run_through(worker, made_value)
    for command in ("status", "status --json", "verify", "export", "pause", "resume"):
        _command(*command.split(), "tiny", "--storage", url)


def _race(folder: Path) -> None:
    raced = folder / "raced"
    raced.mkdir()
    run_through(worker_of(new_study(raced, CLEAR), raced), made_value)


def _command(*arguments: str) -> None:
    with suppress(SystemExit), redirect_stdout(io.StringIO()):
        app(args=list(arguments), prog_name="mnist-tune")


keep_what_is_made_once(pytest.MonkeyPatch())
warm_up()
