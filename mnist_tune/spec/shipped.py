"""The studies that come with mnist-tune: found by name from any folder, and copied to be changed."""

from __future__ import annotations

import os
from pathlib import Path

from mnist_tune.errors import UserError
from mnist_tune.spec.documents import did_you_mean

INSTALLED = Path(__file__).parents[1] / "shipped_studies"
SOURCES = Path(__file__).parents[2] / "studies"
"""Where these studies are in a clone; a wheel has them in the package."""


def shipped_specs() -> dict[str, Path]:
    """The files of the studies that come with mnist-tune, by study name."""
    folder = INSTALLED if INSTALLED.is_dir() else SOURCES
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def find_spec(named: Path) -> Path:
    """The file of this name or, if there is none, the study of this name that comes with mnist-tune.

    Raises:
        UserError: there is neither; the message guesses what was meant.
    """
    if os.path.exists(named):  # noqa: PTH110 - a text that cannot be a path exists neither
        return named
    at_hand = shipped_specs()
    if str(named) in at_hand:
        return at_hand[str(named)]
    if named.stem in at_hand:
        raise UserError(
            f"{named}: no such file; write '{named.stem}' for the one that comes with mnist-tune, "
            "or copy it with 'mnist-tune init studies'"
        )
    if len(named.parts) == 1 and not named.suffix:
        raise UserError(
            f"{named}: no such file, nor a study that comes with mnist-tune; "
            f"{did_you_mean(str(named), at_hand)}"
        )
    return named


def copy_specs(folder: Path) -> dict[Path, str]:
    """Copy the studies that come with mnist-tune into `folder`, which is made if it is missing.

    Returns what became of each copy: new, there already or different. Existing files stay as they are.

    Raises:
        UserError: the folder cannot be made or written to.
    """
    became = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for source in shipped_specs().values():
            target, content = folder / source.name, source.read_bytes()
            try:
                with target.open("xb") as file:
                    file.write(content)
                became[target] = "new"
            except FileExistsError:
                same = target.is_file() and target.read_bytes() == content
                became[target] = "there already" if same else "different"
    except OSError as error:
        where = error.filename or folder
        raise UserError(f"{where}: cannot be written: {error.strerror}; name another folder") from None
    return became
