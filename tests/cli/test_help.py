"""`--help`, `--version` and `--debug`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from mnist_tune import __version__
from mnist_tune.cli import app
from tests.papers.command_reference import commands
from tests.support.commands import Answer, Command, run_command
from tests.support.studies import new_study

COMMANDS = [name.split()[1:] for name, _ in commands()]


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
