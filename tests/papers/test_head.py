"""The paper of the head: its commands in their order, and its files as their programs read them."""

from __future__ import annotations

import configparser
import shlex
from pathlib import Path
from typing import Any

import typer
import yaml

from mnist_tune.cli import app
from tests.papers.commands import TOKENS
from tests.papers.papers import HEAD_README, blocks
from tests.support.commands import run_command


def options_of(command: str) -> set[str]:
    found: Any = typer.main.get_command(app)
    return {name for each in found.commands[command].params for name in each.opts}


def known(line: str) -> str:
    """The command of a line that starts `mnist-tune`, with options that it has."""
    program, command, *words = shlex.split(line)
    assert Path(program).name == "mnist-tune", line
    assert {word for word in words if word.startswith("--")} <= options_of(command), line
    return command


def test_tokens_are_made_listed_and_revoked_as_it_stands(tmp_path: Path) -> None:
    made, listed, revoked = (run_command(*shlex.split(line)[1:], folder=tmp_path) for line in TOKENS)
    assert made.stdout.startswith("mnt_")
    assert listed.stdout.startswith("gpu-1: worker")
    assert made.stdout.strip() not in listed.stdout + listed.stderr
    assert revoked.stdout.startswith("revoked the token of 'gpu-1'")


def test_the_unit_is_one_that_systemd_can_read() -> None:
    (text,) = blocks(HEAD_README, "ini")
    unit = configparser.ConfigParser(strict=True)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(text)
    assert unit.sections() == ["Unit", "Service", "Install"]
    assert known(unit["Service"]["ExecStart"]) == "serve"
    assert unit["Service"]["ExecStart"].startswith(f"{unit['Service']['WorkingDirectory']}/")
    assert unit["Service"]["Restart"] == "always"


def test_the_compose_file_has_a_head_and_workers_that_know_it() -> None:
    (text,) = blocks(HEAD_README, "yaml")
    compose = yaml.safe_load(text)
    head, worker = compose["services"]["head"], compose["services"]["worker"]
    assert (known(head["command"]), known(worker["command"])) == ("serve", "worker")
    assert worker["environment"]["MNIST_TUNE_STORAGE"] == "http://head:8080"
    assert head["ports"] == ["127.0.0.1:8080:8080"]
    assert {volume.partition(":")[0] for volume in head["volumes"]} == set(compose["volumes"])
