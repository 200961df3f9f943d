"""The command `report`: the files that it writes, and its errors where it cannot."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from mnist_tune.study.open_study import OpenStudy
from tests.support.commands import STORED, Command, run_python
from tests.support.made_studies.cells import complete_cell
from tests.support.waiting import wait_until


def test_the_command_writes_one_file_and_says_how_large(
    study: OpenStudy, tmp_path: Path, command: Command
) -> None:
    complete_cell(study, 90.0)
    before = set(tmp_path.iterdir())
    said = command("report", "tiny")
    size = (tmp_path / "report.html").stat().st_size
    assert said.out == f"wrote report.html ({size / 1e6:.1f} MB); open it in a browser\n"
    new = {path.name for path in set(tmp_path.iterdir()) - before}
    assert {name for name in new if not name.startswith(STORED)} == {"report.html"}


def test_a_file_that_cannot_be_written_is_one_line(
    study: OpenStudy, tmp_path: Path, command: Command
) -> None:
    said = command("report", "tiny", "--output", str(tmp_path))
    assert said.code == 2
    problem = "cannot be written: Is a directory; name another with --output"
    assert said.err == f"mnist-tune: {tmp_path}: {problem}\n"


def test_without_kaleido_the_page_is_written_and_the_remedy_told(
    study: OpenStudy, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "kaleido", None)
    said = command("report", "tiny", "--png", "figures")
    assert said.code == 1
    assert (tmp_path / "report.html").exists()
    assert said.err == "mnist-tune: no PNGs without Kaleido; run: pip install 'mnist-tune[png]'\n"


def test_without_a_browser_the_page_is_written_and_the_remedy_told(
    study: OpenStudy, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete_cell(study, 90.0)
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "none"))
    said = command("report", "tiny", "--png", "figures")
    assert said.code == 1
    assert (tmp_path / "report.html").exists()
    assert "found no Chrome or Chromium; install one, or set BROWSER_PATH" in said.err


@pytest.mark.slow
def test_a_report_needs_no_torch(study: OpenStudy, tmp_path: Path) -> None:
    complete_cell(study, 90.0)
    script = """
import sys
from mnist_tune.__main__ import main
sys.argv = ["mnist-tune", "report", "tiny"]
main()
assert "torch" not in sys.modules
"""
    done = run_python(script, tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere another program opens files")
def test_open_shows_the_report_to_whoever_made_it(
    tmp_path: Path, study: OpenStudy, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete_cell(study, 90.0)
    opener = tmp_path / "bin" / "xdg-open"
    opener.parent.mkdir()
    opener.write_text(
        f'#!/bin/sh\necho "$1" > {tmp_path}/opened.part\nmv {tmp_path}/opened.part {tmp_path}/opened\n'
    )
    opener.chmod(0o755)
    monkeypatch.setenv("PATH", f"{opener.parent}:{os.environ['PATH']}")
    answer = command("report", "tiny", "--open")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("wrote report.html (4.")
    wait_until((tmp_path / "opened").exists)
    assert (tmp_path / "opened").read_text(encoding="utf-8").strip().endswith(f"{tmp_path}/report.html")
