"""The command line's entry point: every error ends here as one line and an exit code."""

from __future__ import annotations

import sys

from mnist_tune.errors import FAILED, MnistTuneError


def main() -> None:
    """Run the command line."""
    from mnist_tune.cli import app
    from mnist_tune.cli.options import settings

    try:
        app(prog_name="mnist-tune")
    except MnistTuneError as error:
        if settings.debug:
            raise
        _leave(str(error), error.exit_code)
    except Exception as error:
        if settings.debug:
            raise
        _leave(_summary(error), FAILED)


def _summary(error: BaseException) -> str:
    from mnist_tune.database_errors import driver_error, explain

    if cause := driver_error(error):
        return f"the storage {explain(cause)}"
    first_line = f"{type(error).__name__}: {error}".splitlines()[0]
    return f"{first_line} (a bug of mnist-tune; 'mnist-tune --debug COMMAND' shows where)"


def _leave(message: str, exit_code: int) -> None:
    print(f"mnist-tune: {message}", file=sys.stderr)  # noqa: T201
    sys.exit(exit_code)


if __name__ == "__main__":
    main()
