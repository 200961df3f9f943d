"""Options and arguments that several commands share, each written once."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnist_tune.cli import storages
from mnist_tune.cli.names import complete_spec, complete_study
from mnist_tune.errors import MnistTuneError, UserError
from mnist_tune.processes import standard_streams
from mnist_tune.storage.named import DATABASES, STORAGES
from mnist_tune.text.visible import visible
from mnist_tune.text.wording import listed

if TYPE_CHECKING:
    from rich.console import Console

    from mnist_tune.spec.reading import GivenSpec

PIPED_WIDTH = 240  # a log file has no margin: columns are not cut there


@dataclass
class Settings:
    """The options that come before the command."""

    debug: bool = False


settings = Settings()

SpecArgument = Annotated[
    Path,
    typer.Argument(
        metavar="SPEC",
        help="The study's TOML file, or the name of a study that comes with mnist-tune.",
        show_default=False,
        autocompletion=complete_spec,
    ),
]
StudyArgument = Annotated[
    str,
    typer.Argument(
        metavar="STUDY", help="The study's name.", show_default=False, autocompletion=complete_study
    ),
]


def only_study(storage: str | None, command: str) -> str:
    """The name of the only study in a storage; says which it is.

    Raises:
        UserError: there is none, or there are several.
    """
    asked = storages.service(storage)
    where, names = asked.where, asked.study_names()
    if len(names) == 1:
        say(f"study '{names[0]}', the only one in {where}", err=True)
        return names[0]
    if not names:
        raise UserError(f"{where}: holds no studies; make one with 'mnist-tune create-study SPEC'")
    raise UserError(f"{command}: name the study: {where} has {listed(names, 10)}")


def _named_or_only(context: typer.Context, parameter: Any, name: str) -> str:
    source = context.get_parameter_source(parameter.name)
    if context.resilient_parsing or source is None or source.name != "DEFAULT":
        return name
    return only_study(context.params.get("storage"), context.command_path.partition(" ")[2])


# For commands that look at a study or work on it, or whose effect on its workers can be taken back.
_only_study_argument = partial(
    typer.Argument,
    metavar="STUDY",
    help="The study's name; may be left out if the storage has only one.",
    show_default=False,
    autocompletion=complete_study,
)
OnlyStudyArgument = Annotated[str, _only_study_argument(callback=_named_or_only)]
WorkersStudyArgument = Annotated[str, _only_study_argument()]
"""A worker looks for the only study itself, since it waits for a storage that is away."""
STORAGE_DEFAULT = "Default: $MNIST_TUNE_STORAGE, else sqlite:///mnist-tune.db in the current folder."
_storage_option = partial(
    typer.Option, metavar="URL", help=f"{STORAGES}. {STORAGE_DEFAULT}", show_default=False
)
StorageOption = Annotated[str | None, _storage_option("--storage")]
# With both names, so that an error's advice about --storage can be followed.
FromOption = Annotated[str | None, _storage_option("--from", "--storage")]
# For commands that need the database itself.
DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--storage",
        metavar="URL",
        help=f"The database itself, not a head: {DATABASES}. {STORAGE_DEFAULT}",
        show_default=False,
    ),
]
NameOption = Annotated[
    str | None, typer.Option("--name", help="Another name than the spec's.", show_default=False)
]
DeviceOption = Annotated[
    str, typer.Option("--device", metavar="DEVICE", help="auto, cpu, cuda, cuda:N or mps.")
]
JobOption = Annotated[
    str | None,
    typer.Option(
        "--job",
        metavar="FILE.py:FUNCTION",
        help="The study's job on this machine, if it is a file. Its code is run. Default: $MNIST_TUNE_JOB.",
        show_default=False,
    ),
]
AllowCommandOption = Annotated[
    Path | None,
    typer.Option(
        "--allow-command",
        metavar="FOLDER",
        help="Run the study's command, if its job is one, in this folder. Whoever can write to the storage "
        "says what is run.",
        show_default=False,
    ),
]
JobArgument = Annotated[
    str,
    typer.Argument(
        metavar="JOB",
        help="FILE.py:FUNCTION, whose code is run; the name of an installed job; or a spec, whose job it is.",
        show_default=False,
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option("--threads", min=1, help="CPU threads of a worker. Default: 1.", show_default=False),
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        help="Folder of the job's data. MNIST's has MNIST/raw/ in it, and is filled at first use; its "
        "default is $MNIST_TUNE_DATA, else the user's cache.",
        show_default=False,
    ),
]
CheckpointsOption = Annotated[
    Path | None,
    typer.Option(
        "--checkpoints",
        metavar="DIR",
        help="Folder of training states; shared between machines, any of them goes on where another stopped. "
        "Default: $MNIST_TUNE_CHECKPOINTS, else beside the SQLite file, else the user's data folder.",
        show_default=False,
    ),
]
ArtifactsOption = Annotated[
    Path | None,
    typer.Option(
        "--artifacts",
        metavar="DIR",
        help="Folder of the trials' weights and logs. "
        "Default: $MNIST_TUNE_ARTIFACTS, else beside the SQLite file, else the user's data folder.",
        show_default=False,
    ),
]
TokensOption = Annotated[
    Path | None,
    typer.Option(
        "--tokens",
        metavar="FILE",
        help="The tokens that the head accepts, hashed. "
        "Default: $MNIST_TUNE_TOKENS, else beside the SQLite file, else in the user's data folder.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def spec(named: Path, name: str | None) -> GivenSpec:
    """The spec in a file, or of a study that comes with mnist-tune; `name` gives it another study name."""
    from mnist_tune.spec.reading import read_spec

    return read_spec(named, name)


def say_notes(notes: Iterable[str]) -> None:
    """Print notes for the author of a spec on standard error."""
    for note in notes:
        say(f"note: {note}", err=True)


def console(*, to_stderr: bool = False) -> Console:
    """A console as wide as the terminal, or with unbroken lines when piped."""
    from mnist_tune.text.console import VisibleConsole

    stream = sys.stderr if to_stderr else sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")  # characters that are missing in ASCII must not end a run
    return VisibleConsole(stderr=to_stderr, width=None if stream.isatty() else PIPED_WIDTH, soft_wrap=True)


def say(line: str, *, err: bool = False) -> None:
    """Print a line on standard output, or on standard error."""
    typer.echo(visible(line), err=err)


def print_json(content: Any) -> None:
    """Print plain data as JSON that every reader accepts. Raises MnistTuneError, as `print_exactly` does."""
    from mnist_tune.spec.documents import to_json

    print_exactly(to_json(content))


def print_exactly(text: str) -> None:
    """Print text with nothing hidden or escaped. Raises MnistTuneError if it cannot be written."""
    typer.echo(text)
    # A run may go on without output, but this was asked for.
    if (error := standard_streams.failure()) is not None:
        raise MnistTuneError(f"standard output cannot be written: {error.strerror or error}")
