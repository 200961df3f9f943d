"""What libraries log and warn of, on standard error: it may repeat what is stored."""

from __future__ import annotations

import logging
import sys

from mnist_tune.text.visible import visible_lines


class StandardError(logging.Handler):
    """Writes to what is standard error at the moment."""

    def emit(self, record: logging.LogRecord) -> None:
        for line in visible_lines(self.format(record)):
            print(line, file=sys.stderr)  # noqa: T201


def log_to_standard_error() -> None:
    """Have all loggers of this process write there, and warnings too."""
    root = logging.getLogger()
    if not any(isinstance(handler, StandardError) for handler in root.handlers):
        root.addHandler(StandardError(logging.WARNING))
        logging.captureWarnings(True)
