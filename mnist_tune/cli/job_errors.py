"""What a person sees of a job that is run in the foreground and fails, or is stopped."""

from __future__ import annotations

import signal
import sys
from bdb import BdbQuit
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout

import typer

from mnist_tune.cli import options
from mnist_tune.errors import FAILED, STOPPED, MnistTuneError
from mnist_tune.worker.signals import SIGNALS, ignored_signals, take_over


@contextmanager
def job_errors(when_stopped: str | Callable[[], str], *, as_json: bool = False) -> Iterator[None]:
    """Show an error in the job with its traceback; exit code 1 if the job failed, 3 if it was stopped.

    SIGTERM and the closing of the terminal stop it at once, as Ctrl-C does. With `as_json`, what is printed
    in Python goes to standard error: standard output is for the document alone.
    """
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        take_over(_interrupt, ignored_signals())
        with redirect_stdout(sys.stderr) if as_json else nullcontext():
            yield
    except (KeyboardInterrupt, BdbQuit):
        options.say(when_stopped if isinstance(when_stopped, str) else when_stopped(), err=True)
        raise typer.Exit(STOPPED) from None
    except typer.Exit:
        raise
    except MnistTuneError as error:
        from mnist_tune.jobs.loading import CannotBeImported

        if isinstance(error, CannotBeImported) and error.__cause__ is not None:
            _show(error.__cause__)
        raise
    except Exception as error:
        _show(error)
        raise typer.Exit(FAILED) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _show(error: BaseException) -> None:
    """Print the job's own part of a traceback."""
    from mnist_tune.jobs.trying import traceback_of_job

    its_part = traceback_of_job(error)
    sys.excepthook(type(error), error.with_traceback(its_part), its_part)
