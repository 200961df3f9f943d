"""The command line's entry point: every error ends here as one line and an exit code."""

from __future__ import annotations

import signal
import sys
import traceback
from typing import NoReturn

from mnist_tune.errors import FAILED, MnistTuneError
from mnist_tune.processes import standard_streams
from mnist_tune.text.log_handler import log_to_standard_error
from mnist_tune.text.visible import visible, visible_lines, without_passwords


def main() -> None:
    """Run the command line."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Until somebody handles it, Ctrl-C ends the process silently, as it does other programs. An exception
        # would come out of whatever is being imported.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    standard_streams.take_over()
    log_to_standard_error()
    harmless = list(map(without_passwords, sys.argv))
    if harmless != sys.argv:  # all users of the machine can see command lines
        from mnist_tune.processes.title import NAME, set_title

        set_title([NAME, *harmless[1:]])

    from mnist_tune.cli import app
    from mnist_tune.cli.options import settings

    try:
        app(prog_name="mnist-tune")
    except SystemExit:
        if lost := standard_streams.lost():
            print(f"mnist-tune: not all output could be written: {lost}", file=sys.stderr)  # noqa: T201
        raise
    except Exception as error:
        if settings.debug:
            _leave_with_traceback(error)
        if isinstance(error, MnistTuneError):
            _leave(str(error), error.exit_code)
        _leave(_summary(error), FAILED)


def _summary(error: BaseException) -> str:
    from mnist_tune.storage.database_errors import in_one_line
    from mnist_tune.text.wording import first_line

    if problem := in_one_line(error):
        return problem
    if error is standard_streams.failure():
        standard_streams.work_on()  # Python would try to write the rest of it at its end
        return f"standard output cannot be written: {error.strerror or error}"
    said = first_line(f"{type(error).__name__}: {error}")
    return f"{said} (a bug of mnist-tune; 'mnist-tune --debug COMMAND' shows where)"


def _leave_with_traceback(error: Exception) -> NoReturn:
    for line in visible_lines("".join(traceback.format_exception(error))):
        print(line, file=sys.stderr)  # noqa: T201
    sys.exit(getattr(error, "exit_code", FAILED))


def _leave(message: str, exit_code: int) -> NoReturn:
    print(f"mnist-tune: {visible(message)}", file=sys.stderr)  # noqa: T201
    sys.exit(exit_code)


if __name__ == "__main__":
    main()
