"""How a command line is read: help that the terminal wraps, and a one-line error for wrong usage."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperGroup

from mnist_tune.errors import FAILED, UserError

# Typer exports no other name for this class, which is Click's own or Typer's copy.
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]


class Commands(TyperGroup):
    """Typer's group of commands, in which wrong usage raises a UserError."""

    def main(self, *arguments: Any, **options: Any) -> Any:
        try:
            exit_code = super().main(*arguments, **options | {"standalone_mode": False})
        except _UsageError as error:
            if not str(error):  # without a command: the help was printed
                sys.exit(UserError.exit_code)
            raise UserError(_in_one_line(error)) from None
        except typer.Abort:
            typer.echo("aborted", err=True)
            sys.exit(FAILED)
        sys.exit(exit_code or 0)


def help_of(command: Callable[..., Any]) -> str:
    """A command's docstring with each paragraph on one line, so that the terminal wraps it."""
    paragraphs = (inspect.getdoc(command) or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _in_one_line(error: Any) -> str:
    context, option = error.ctx, getattr(error, "option_name", "")
    path = context.command_path if context is not None else ""
    problem, _, similar = " ".join(error.format_message().split()).rstrip(".").partition(". Did you mean ")
    problem = problem.replace("Value error, ", "").replace("Input should", "should")
    remedy = f"'{path} --help' shows what there is" if path else ""
    if similar:
        remedy = f"did you mean {similar}"
    elif possible := getattr(error, "possibilities", None):
        problem, remedy = str(error.message), f"did you mean {' or '.join(sorted(possible))}?"
    elif option and context is not None and context.parent is None and _is_of_a_command(option, context):
        remedy = f"write it after the command: {path} COMMAND {option} ..."
    problem = problem[:1].lower() + problem[1:]
    return ": ".join(filter(None, (path.partition(" ")[2], "; ".join(filter(None, (problem, remedy))))))


def _is_of_a_command(option: str, context: Any) -> bool:
    commands = getattr(context.command, "commands", {}).values()
    return any(option in parameter.opts for command in commands for parameter in command.params)
