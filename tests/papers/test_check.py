"""`python -m tests.check` takes the steps that it is told, and stops at the first that fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.check import ROOT, STEPS, take

UNUSED = "import os\n"


def test_steps_are_taken_in_order_up_to_the_first_that_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "module.py").write_text(UNUSED)
    assert take(["format", "lint", "types"], folder=tmp_path) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("+ ")]
    assert lines == ["+ ruff format --check .", "+ ruff check ."]


def test_what_can_be_mended_is_mended_if_that_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(UNUSED + "x  =  1\n")
    assert take(["format"], folder=tmp_path) == 1
    assert take(["lint", "format"], fix=True, folder=tmp_path) == 0
    assert (tmp_path / "module.py").read_text() == "x = 1\n"
    assert take(["format", "lint"], folder=tmp_path) == 0


def test_a_step_that_is_none_is_refused() -> None:
    typed = [sys.executable, "-m", "tests.check", "typos"]
    done = subprocess.run(typed, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"no step 'typos'; there are {', '.join(STEPS)}" in done.stderr
