"""What libraries log and warn of, on standard error: it may repeat what is stored."""

from __future__ import annotations

import logging
import sys
import warnings
from typing import Any

from mnist_tune.text.visible import visible_lines


class FormerName(FutureWarning):
    """Something was renamed; what is told is its name now. The next version will not know the old one."""


class StandardError(logging.Handler):
    """Writes to what is standard error at the moment."""

    def emit(self, record: logging.LogRecord) -> None:
        for line in visible_lines(self.format(record)):
            print(line, file=sys.stderr)  # noqa: T201


def log_to_standard_error() -> None:
    """Have all loggers of this process write there, and warnings too."""
    root = logging.getLogger()
    shown = warnings.formatwarning

    def formatted(message: Any, category: type[Warning], *place: Any, **line: Any) -> str:
        # What a user has written is named in the message; the place in our code is of no use to him.
        return (
            f"mnist-tune: {message}" if category is FormerName else shown(message, category, *place, **line)
        )

    warnings.formatwarning = formatted
    if not any(isinstance(handler, StandardError) for handler in root.handlers):
        root.addHandler(StandardError(logging.WARNING))
        logging.captureWarnings(True)
