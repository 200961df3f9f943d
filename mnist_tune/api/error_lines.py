"""Errors for Python code: one line, with arguments in place of command options."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from mnist_tune.errors import MnistTuneError
from mnist_tune.storage.database_errors import in_one_line
from mnist_tune.storage.guarded import STORAGE_ERRORS
from mnist_tune.text.visible import visible

OPTION = re.compile(
    r"(?P<command>'mnist-tune[^']*')"
    r"|--(?P<option>storage|name|reuse|workers|per-gpu|device|threads|data-dir|checkpoints|artifacts|output)\b"
)
"""An option in a message, except in a whole command that the message advises."""
ARGUMENTS = {"output": "path"}
"""Options whose argument in Python has another name."""


@contextmanager
def told_in_python() -> Iterator[None]:
    """Have every error in the block be one of ours, on one line. May decorate a function as well.

    Python prints errors as they are, so stored text in them is made safe here.
    """
    try:
        yield
    except MnistTuneError as error:
        error.args = (_in_python(str(error)),)
        raise
    except STORAGE_ERRORS as error:
        problem = in_one_line(error)
        if problem is None:
            raise
        raise MnistTuneError(_in_python(problem)) from None


def _in_python(message: str) -> str:
    return visible(OPTION.sub(_argument, message))


def _argument(found: re.Match[str]) -> str:
    option = found["option"]
    return found[0] if option is None else f"'{ARGUMENTS.get(option, option.replace('-', '_'))}'"
