"""The command reference, made from the commands' own signatures and docstrings.

python -m tests.papers.command_reference writes it into mnist_tune/cli/README.md.
"""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from enum import EnumType
from pathlib import Path
from types import NoneType
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import typer
from typer.models import ArgumentInfo, OptionInfo

from mnist_tune.cli import app

PAPER = Path(__file__).parents[2] / "mnist_tune" / "cli" / "README.md"
BEGIN = "<!-- The command reference: python -m tests.papers.command_reference writes it from the code. -->"
END = "<!-- The end of the command reference. -->"


class Row(NamedTuple):
    """An option as it is typed, and what it means."""

    written: str
    meaning: str


def commands(of: typer.Typer = app, prefix: str = "mnist-tune") -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every command by its full name, in the order of the help."""
    for command in of.registered_commands:
        assert command.callback is not None
        yield f"{prefix} {command.name}", command.callback
    for group in of.registered_groups:
        assert group.typer_instance is not None
        yield from commands(group.typer_instance, f"{prefix} {group.name}")


def panels() -> dict[str, list[str]]:
    """The commands under the headings of the help."""
    parsed: Any = typer.main.get_command(app)
    found: dict[str, list[str]] = {}
    for name, _ in commands():
        found.setdefault(parsed.commands[name.split()[1]].rich_help_panel, []).append(name)
    return found


def description(command: Callable[..., Any]) -> str:
    """The paragraphs of a command's help but for its example."""
    paragraphs = (inspect.getdoc(command) or "").split("\n\n")
    return "\n\n".join(" ".join(text.split()) for text in paragraphs if not text.startswith("Example:"))


def example(command: Callable[..., Any]) -> str:
    """The command line that a command's help shows."""
    (shown,) = re.findall(r"^Example: (.*)$", inspect.getdoc(command) or "", re.MULTILINE)
    return str(shown)


def reference() -> str:
    """The whole reference in Markdown: what several commands share once, then each command with its own."""
    rows = {name: list(_options(command)) for name, command in commands()}
    heading = {name: heading for heading, names in panels().items() for name in names[:1]}
    counts = Counter(row for options in rows.values() for row in options)
    shared = {row: None for options in rows.values() for row in options if counts[row] > 1}
    lines = ["Options of several commands:", "", *_table(shared)]
    for name, command in commands():
        lines += ["", f"### {heading[name]}"] if name in heading else []
        lines += ["", f"#### `{' '.join([name, *_arguments(command)])}`", "", description(command)]
        own = [row for row in rows[name] if row not in shared]
        also = [row.written for row in rows[name] if row in shared]
        lines += ["", *_table(own)] if own else []
        lines += ["", f"{'Also' if own else 'Options'}: {', '.join(also)}."] if also else []
        lines += ["", "```console", f"$ {example(command)}", "```"]
    return "\n".join(lines)


def _parameters(command: Callable[..., Any]) -> Iterator[tuple[str, Any, Any, Any]]:
    """Each parameter's name and type, what Typer is told of it, and its default."""
    hints = get_type_hints(command, include_extras=True)
    for name, parameter in inspect.signature(command).parameters.items():
        kind, info = get_args(hints[name])
        yield name, kind, info, parameter.default


def _arguments(command: Callable[..., Any]) -> list[str]:
    return [
        f"{info.metavar}" if default is inspect.Parameter.empty else f"[{info.metavar}]"
        for _, _, info, default in _parameters(command)
        if isinstance(info, ArgumentInfo)
    ]


def _options(command: Callable[..., Any]) -> Iterator[Row]:
    for name, kind, info, default in _parameters(command):
        if not isinstance(info, OptionInfo) or info.hidden:
            continue
        names = _names(info) or f"--{name.replace('_', '-')}"
        plain = next((each for each in (kind, *get_args(kind)) if get_origin(each) is Literal), None)
        members: Iterable[Any] = kind if isinstance(kind, EnumType) else get_args(plain)
        value = info.metavar or "|".join(map(str, members)) or _value(kind)
        is_flag = bool in (kind, *get_args(kind))
        meaning = info.help or ""
        if default is inspect.Parameter.empty:
            meaning += " Required."
        elif info.show_default and not is_flag:
            meaning += f" Default: {default}."
        yield Row(f"`{names.replace('/', ' / ')}{'' if is_flag else f' {value}'}`", meaning)


def _names(info: OptionInfo) -> str | None:
    # In `Annotated` there is no default, and Typer takes the first name for it.
    decls = (each for each in (info.default, *(info.param_decls or ())) if isinstance(each, str))
    return next((each for each in decls if each.startswith("-")), None)


def _value(kind: Any) -> str:
    types = {each for each in (*get_args(kind), kind) if isinstance(each, type)} - {NoneType}
    return "N" if types & {int, float} else "PATH" if Path in types else "NAME"


def _table(rows: Iterable[Row]) -> list[str]:
    cells = [[cell.replace("|", r"\|") for cell in row] for row in rows]
    return ["| option | meaning |", "|---|---|", *(f"| {' | '.join(row)} |" for row in cells)]


def written(text: str) -> str:
    """The paper's text with the reference between its two marks."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{reference()}\n\n{END}{after}"


if __name__ == "__main__":
    PAPER.write_text(written(PAPER.read_text(encoding="utf-8")), encoding="utf-8")
