"""Every command's help has an example that works, and the written reference matches the code."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
import typer

from mnist_tune.cli import app
from tests.papers.command_reference import PAPER, commands, description, example, panels, reference, written
from tests.support.commands import Command

COMMANDS = dict(commands())


def test_the_reference_in_the_papers_is_the_codes() -> None:
    text = PAPER.read_text(encoding="utf-8")
    assert written(text) == text, "run: python -m tests.papers.command_reference"


def test_the_reference_has_every_option_of_every_command() -> None:
    text = reference()
    assert "| `--all-data / --split` | Train on what is held back for validation too, if" in text
    assert r"| `--format toml\|json\|yaml` |" in text
    assert "--pooled" not in text, "an option for our own use"
    parsed = typer.main.get_command(app)
    for name in COMMANDS:
        command: Any = parsed
        for word in name.split()[1:]:
            command = command.commands[word]
        section = text.split(f"#### `{name}")[1].split("\n#### ")[0]
        for parameter in command.params:
            if parameter.param_type_name == "option" and not parameter.hidden and parameter.name != "help":
                assert parameter.opts[0] in section, f"{name} {parameter.opts[0]}"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_has_a_description_and_an_example_that_parses(name: str) -> None:
    assert description(COMMANDS[name])
    words = shlex.split(example(COMMANDS[name]))
    assert " ".join(words).startswith(name)
    command: Any = typer.main.get_command(app)
    for word in name.split()[1:]:
        command = command.commands[word]
    # Raises for an unknown option, a missing argument or a value of another type.
    command.make_context(name, words[len(name.split()) :])


def test_the_help_and_the_reference_list_each_command_once_in_its_group(command: Command) -> None:
    listed = [name for names in panels().values() for name in names]
    assert sorted(listed) == sorted(COMMANDS)
    assert all(len(names) <= 6 for names in panels().values())
    answer = command("--help")
    text = reference()
    for heading in panels():
        assert f"─ {heading} ─" in answer.out
        assert f"\n### {heading}\n" in text


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_is_wrapped_by_the_terminal_alone(
    name: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", 2_000)
    lines = [line.strip() for line in command(*name.split()[1:], "--help").out.splitlines()]
    for paragraph in description(COMMANDS[name]).split("\n\n"):
        assert paragraph in lines
