"""Writes what libraries log, and their warnings, to standard error with control characters escaped."""

from __future__ import annotations

import logging
import sys
import warnings
from typing import Any

from mnist_tune.text.visible import visible_lines


class FormerName(FutureWarning):
    """A warning that something was renamed, with its new name; the next version rejects the old one."""


class StandardError(logging.Handler):
    """A log handler that writes to whatever `sys.stderr` is at the moment."""

    def emit(self, record: logging.LogRecord) -> None:
        for line in visible_lines(self.format(record)):
            print(line, file=sys.stderr)  # noqa: T201


def log_to_standard_error() -> None:
    """Have all loggers of this process, and warnings, write to standard error."""
    root = logging.getLogger()
    if any(isinstance(handler, StandardError) for handler in root.handlers):
        return
    shown = warnings.formatwarning

    def formatted(message: Any, category: type[Warning], *place: Any, **line: Any) -> str:
        # The message names what the user has written; the place in our code would not help the user.
        if category is FormerName:
            return f"mnist-tune: {message}"
        return shown(message, category, *place, **line)

    warnings.formatwarning = formatted
    root.addHandler(StandardError(logging.WARNING))
    logging.captureWarnings(True)
