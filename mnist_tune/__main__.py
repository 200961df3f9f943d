"""The command line's entry point: every error ends here as one line and an exit code."""

from __future__ import annotations

import sys

from mnist_tune.errors import MnistTuneError


def main() -> None:
    """Run the command line."""
    from mnist_tune.cli import app
    from mnist_tune.cli.options import settings

    try:
        app()
    except MnistTuneError as error:
        if settings.debug:
            raise
        _leave(str(error), error.exit_code)
    except Exception as error:
        if settings.debug:
            raise
        summary = f"{type(error).__name__}: {error}".splitlines()[0]
        _leave(f"{summary} (this is a bug of mnist-tune, or its storage failed; --debug shows where)", 1)


def _leave(message: str, exit_code: int) -> None:
    print(f"mnist-tune: {message}", file=sys.stderr)  # noqa: T201
    sys.exit(exit_code)


if __name__ == "__main__":
    main()
