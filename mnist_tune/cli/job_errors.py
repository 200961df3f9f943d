"""What a person sees of a job that is run in the foreground and fails, or is stopped."""

from __future__ import annotations

import sys
from bdb import BdbQuit
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout

import typer

from mnist_tune.cli import options
from mnist_tune.errors import FAILED, STOPPED, MnistTuneError


@contextmanager
def job_errors(when_stopped: str, *, as_json: bool = False) -> Iterator[None]:
    """Show an error in the job with its traceback; exit code 1 if the job failed, 3 if it was stopped.

    With `as_json`, what the job prints goes to standard error: standard output is for the document alone.
    """
    try:
        with redirect_stdout(sys.stderr) if as_json else nullcontext():
            yield
    except (KeyboardInterrupt, BdbQuit):
        options.say(when_stopped, err=True)
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


def _show(error: BaseException) -> None:
    """Print the job's own part of a traceback."""
    from mnist_tune.jobs.trying import traceback_of_job

    its_part = traceback_of_job(error)
    sys.excepthook(type(error), error.with_traceback(its_part), its_part)
