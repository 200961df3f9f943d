"""The command line's entry point: every error ends here as one line and an exit code."""

from __future__ import annotations

import signal
import sys

from mnist_tune import output
from mnist_tune.errors import FAILED, MnistTuneError


def main() -> None:
    """Run the command line."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Ctrl-C ends what does not listen to it at once and without a word, as it does other programs: an
        # exception would come out of whatever is being imported.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    output.take_over()

    from mnist_tune.cli import app
    from mnist_tune.cli.options import settings

    try:
        app(prog_name="mnist-tune")
    except SystemExit:
        if lost := output.lost():
            print(f"mnist-tune: not all output could be written: {lost}", file=sys.stderr)  # noqa: T201
        raise
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
    if error is output.failure():
        output.work_on()  # what is left of it would be tried again when Python ends
        return f"standard output cannot be written: {error.strerror or error}"
    first_line = f"{type(error).__name__}: {error}".splitlines()[0]
    return f"{first_line} (a bug of mnist-tune; 'mnist-tune --debug COMMAND' shows where)"


def _leave(message: str, exit_code: int) -> None:
    print(f"mnist-tune: {message}", file=sys.stderr)  # noqa: T201
    sys.exit(exit_code)


if __name__ == "__main__":
    main()
