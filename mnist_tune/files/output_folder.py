"""Makes the folder that a person names for output, before the work whose results it is to hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from mnist_tune.errors import MnistTuneError, UserError
from mnist_tune.files.atomic_write import make_folder, write_whole


@contextmanager
def output_folder(
    path: Path, remedy: str, *, must_be_empty: bool = False, besides: str = ""
) -> Iterator[None]:
    """Make the folder before the block; if the block fails, remove the folders that were made.

    What is called `besides` may be in a folder that must be empty.

    Raises:
        UserError: it cannot be made, or holds something although it must be empty; `remedy` ends the message.
    """
    try:
        made = make_folder(path)
        is_taken = must_be_empty and any(each.name != besides for each in path.iterdir())
    except OSError as error:
        raise UserError(f"{path}: cannot be made: {error.strerror}; {remedy}") from None
    if is_taken:
        raise UserError(f"{path}: is not empty, and nothing is overwritten; {remedy}")
    try:
        yield
    except BaseException:
        with suppress(OSError):  # it is not empty, and its files may be the user's
            for folder in made:
                folder.rmdir()
        raise


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files, given by name, in their order. Raises MnistTuneError."""
    for name, content in files.items():
        try:
            write_whole(folder / name, content)
        except OSError as error:
            raise MnistTuneError(f"{folder / name}: cannot be written: {error.strerror}") from None
