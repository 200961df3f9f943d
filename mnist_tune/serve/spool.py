"""The folder through which states pass on a worker's machine, on their way to a head and back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mnist_tune.errors import UserError
from mnist_tune.files.atomic_write import make_folder
from mnist_tune.files.home import expanded, user_folder
from mnist_tune.files.own_folder import own_folder
from mnist_tune.files.writable import check_folder

PREFIX = "states-"


def spool_parent(named: Path | None) -> Path:
    """The folder for the spools of this machine: the named one, or one in the user's cache.

    Raises:
        UserError: the user has no home, and none is named.
    """
    if named is not None:
        return expanded(named).absolute()
    return user_folder("cache", "--checkpoints") / "states"


def check_spool(folder: Path) -> list[str]:
    """Check that states can pass through a folder; returns warnings. Raises UserError: they cannot."""
    return check_folder("--checkpoints", folder, "states on their way to the head")


@contextmanager
def spool(parent: Path) -> Iterator[Path]:
    """A new folder in `parent`, for one worker; it is gone after the block.

    Raises UserError if it cannot be made.

    Folders of workers that were killed are removed: nobody holds their locks any more.
    """
    with ExitStack() as stack:
        try:
            make_folder(parent)
            folder = stack.enter_context(own_folder(parent, PREFIX))
        except OSError as error:
            why = error.strerror or str(error)
            raise UserError(
                f"{parent}: cannot hold states on their way to the head ({why}); "
                "name a folder with --checkpoints"
            ) from None
        yield folder
